//! What the writer tells when a wrong rule or a batch that cannot be sealed is noticed.

use super::*;
use crate::admission::{Digest, Hall, Reply};
use crate::disk::Disk;
use crate::execution::tests::{execution, transfer};
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;
use crate::sealing::sealer;
use crate::sealing::tests::{book, database, sealing, secret_gift};
use crate::verification::BatchVerifier;
use alloy::signers::local::PrivateKeySigner;
use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use kerros_protocol::batch::BatchData;
use kerros_protocol::commitment::Srs;
use kerros_protocol::commitment::{Commitments, SrsHeader, SrsWriter};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use kerros_protocol::transcript::{BatchProof, Statement};
use kerros_verifier::VerifyError;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// Nothing is proved and nothing grows here.
struct Nobody;

impl BatchVerifier for Nobody {
    fn batch(&self, _: &Statement, _: &BatchData, _: &BatchProof) -> Result<(), VerifyError> {
        unreachable!("no proofs")
    }
    fn growth(&self, _: &Commitments, _: &Commitments, _: u8) -> Result<(), VerifyError> {
        unreachable!("no growth")
    }
}

struct Bench {
    _dir: TempDir,
    journal: Arc<Journal>,
    lifecycle: Arc<Lifecycle>,
    commands: mpsc::Sender<Command>,
    chunk: u64,
    writer: JoinHandle<Result<(), OrderingError>>,
    sealer: JoinHandle<Result<(), JournalError>>,
}

/// A writer and a sealer whose rules are wrong.
fn planted(rule: fn(&mut Ledger, &Transaction)) -> Bench {
    let (dir, journal) = database();
    let path = dir.path().join("srs");
    let tau_powers = vec![G2Affine::generator(); 4];
    let header = SrsHeader { development: true, k_genesis: 3, k_max: 3, tau_powers };
    let file = std::fs::File::create(&path).expect("a file");
    let mut out = SrsWriter::new(file, &header).expect("written");
    out.lagrange(&[G1Affine::generator(); 8]).expect("written");
    out.finish().sync_all().expect("written");
    let mut state = execution();
    state.plant(Some(rule));
    let sealing = sealing(&journal);
    let lifecycle = Arc::clone(&sealing.lifecycle);
    let (handle, sealer) = sealer(sealing, book());
    let domain = Fr::from(1u64);
    let parts = Parts {
        shared: Shared::new(state),
        journal: Arc::clone(&journal),
        lifecycle: Arc::clone(&lifecycle),
        sealer: handle,
        srs: Srs::open(&path).expect("own file"),
        verifier: Arc::new(Nobody),
        signer: ReceiptSigner { key: PrivateKeySigner::random(), domain, promise_ms: 1 },
        repeats: Arc::default(),
        written: Arc::default(),
        disk: Disk::new(dir.path().to_owned(), 0),
        batch_age_ms_max: 3_600_000,
        clock: Arc::new(|| 1),
    };
    let end = journal.end(domain).expect("readable");
    let watermark = Watermark::open(dir.path(), &end).expect("a new one");
    let ordering = Ordering::new(parts, watermark).expect("readable");
    let (commands, inbox) = mpsc::channel(8);
    let writer = std::thread::spawn(move || ordering.run(inbox));
    let sealer = std::thread::spawn(move || sealer.run());
    Bench { _dir: dir, journal, lifecycle, commands, chunk: 0, writer, sealer }
}

impl Bench {
    fn submit(&mut self, signed: SignedTransaction) -> Answer {
        let (reply, answer) = oneshot::channel();
        let seat = Hall::default().source().try_seat().expect("nobody has one");
        let (id, reply) = (signed.transaction.id(), Reply::Once(reply));
        let signed = Box::new(signed);
        let digest = Digest::of(&signed.encode());
        let pending = Pending { id, digest, signed, verified: Ok(()), stream: 0, reply, seat };
        let command = Command::Transactions { chunk: self.chunk, transactions: vec![pending] };
        self.chunk += 1;
        self.commands.blocking_send(command).expect("the writer lives");
        answer.blocking_recv().expect("answered")
    }
    fn seal(&self) -> Option<u64> {
        let (reply, answer) = oneshot::channel();
        self.commands.blocking_send(Command::Seal { reply }).expect("the writer lives");
        answer.blocking_recv().ok()
    }
    fn stop(self) {
        self.commands.blocking_send(Command::Stop).expect("the writer lives");
        self.writer.join().expect("no panic").expect("the writer has not failed");
        self.sealer.join().expect("no panic").expect("the sealer has not failed");
    }
}

#[test]
fn an_evicted_transaction_is_refused_and_not_in_the_log() {
    let mut bench = planted(|ledger, transaction| {
        let Transaction::Transfer(transfer) = transaction else { return };
        let mut payee = ledger.get(transfer.to);
        payee.balance += 1;
        ledger.set(transfer.to, payee);
    });
    let answer = bench.submit(transfer(1, 2, 10, 0, 0));
    let evicted = SubmitError::Refused(TransactionError::Unprovable(
        crate::execution::witness::Unprovable::Result {
            index: kerros_protocol::account::AccountIndex::new(2).expect("in range"),
        },
    ));
    assert!(matches!(&answer, Answer::Refused(error) if *error == evicted), "{answer:?}");
    assert_eq!(bench.seal(), Some(0), "the batch is empty");
    assert_eq!(bench.journal.next_group(1, 0).expect("readable"), None);
    bench.stop();
}

#[test]
fn after_sealing_has_halted_nothing_is_accepted_and_nothing_is_lost() {
    let mut bench = planted(secret_gift);
    let first = bench.submit(transfer(1, 2, 10, 0, 0));
    assert!(matches!(first, Answer::Acknowledged { .. }), "{first:?}");
    assert_eq!(bench.seal(), Some(1));
    let second = bench.submit(transfer(3, 1, 1, 0, 0));
    assert!(matches!(second, Answer::Acknowledged { .. }), "{second:?}");
    assert_eq!(bench.seal(), None, "nobody is told that it is sealed");
    let reason = bench.lifecycle.halted().expect("it says so").to_owned();
    assert!(reason.starts_with("batch 2 cannot be sealed"), "{reason}");
    let late = bench.submit(transfer(1, 2, 10, 0, 1));
    assert!(matches!(late, Answer::Refused(SubmitError::SealingHalted)), "{late:?}");
    assert_eq!(bench.journal.record(2).expect("readable"), None);
    let kept = bench.journal.next_group(2, 0).expect("readable").expect("acknowledged");
    assert_eq!(kept.transactions().count(), 1);
    // A restart seals it first, or refuses to start.
    assert!(bench.journal.is_halted(2).expect("readable"));
    bench.stop();
}
