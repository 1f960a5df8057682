//! Batches that nobody could prove are noticed before they are sealed, and stop nothing but sealing.

use super::*;
use crate::execution::tests::{execution, exit, transfer};
use crate::execution::{Placed, QueueEntry};
use ark_ec::{AffineRepr, CurveGroup};
use kerros_protocol::account::{Account, AccountKey, AssetId};
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use tempfile::TempDir;

const SHAPE: &str = "4,2,8,4,2";

/// A database with the accounts of `execution` after a batch 0 that never was.
pub fn database() -> (TempDir, Arc<Journal>) {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Arc::new(Journal::open(dir.path()).expect("a new database"));
    let head = execution().head().clone();
    let commitments = Commitments::empty();
    let next = Checkpoint { head, commitments, before_growth: None };
    let ledger = execution().ledger().clone();
    let accounts: Vec<_> = ledger.existing().map(|(index, account)| (index, *account)).collect();
    let record = BatchRecord::default();
    let write = SealWrite { sealed: &[], record: &record, accounts: &accounts, next: &next };
    journal.seal(&write).expect("written");
    (dir, journal)
}
pub fn book() -> Book {
    let point = |i: u64| (G1Affine::generator() * Fr::from(i)).into_affine();
    let lagrange = (1..=8).map(point).collect();
    Book { commitments: Commitments::empty(), before_growth: None, lagrange }
}
pub fn sealing(journal: &Arc<Journal>) -> Sealing {
    let lifecycle = Lifecycle::load(Arc::clone(journal), 1).expect("empty");
    Sealing {
        journal: Arc::clone(journal),
        lifecycle: Arc::new(lifecycle),
        beneficiary: Address([1; 20]),
        shape: SHAPE.parse().expect("a shape"),
    }
}
fn submit(state: &mut Execution, signed: &SignedTransaction) {
    let done = state.submit(signed, Ok(()), &mut Vec::new());
    assert!(matches!(done, Ok(Placed::Done(_))), "{done:?}");
}
/// Every kind of record.
fn closing() -> Closing {
    let mut state = execution();
    submit(&mut state, &transfer(1, 2, 10, 20, 0));
    let (asset, owner) = (AssetId::new(1).expect("not 0"), Address([9; 20]));
    let key = AccountKey::new(PrivateKey::from_bytes([5; 32]).public_key().0.x).expect("not 0");
    let deposit = QueueEntry::Deposit { amount: 7, asset, key, owner };
    let from = AccountIndex::new(3).expect("in range");
    let leave = QueueEntry::ForcedExit { from, requester: owner };
    for (entry, content) in [(0, deposit), (1, leave)] {
        let served = state.serve(entry, &content, &mut Vec::new());
        assert_eq!(served, Ok(Placed::Done(())));
    }
    submit(&mut state, &exit(2, 5, 10, 0));
    submit(&mut state, &transfer(2, 2, 5, 0, 1));
    state.close().expect("closes")
}

#[test]
fn a_sound_batch_is_sealed_with_the_commitments_of_what_was_executed() {
    let (_dir, journal) = database();
    let (sealing, mut book) = (sealing(&journal), book());
    let closing = closing();
    assert_eq!(closing.data.counts(), [1, 1, 2, 2, 1]);
    let mut ledger = execution().ledger().clone();
    let old = ledger.commit(&book.lagrange);
    book.commitments = old;
    closing.accounts.iter().for_each(|(index, account)| ledger.set(*index, *account));
    sealing.run(closing, &mut book, 1).expect("sound");
    assert_eq!(book.commitments, ledger.commit(&book.lagrange));
    assert!(journal.record(1).expect("readable").is_some());
}

#[test]
fn a_batch_that_nobody_could_prove_is_not_sealed_and_changes_nothing() {
    type Damage = fn(&mut Closing);
    let damages: [(&str, Damage); 14] = [
        ("a balance", |c| c.accounts[0].1.balance += 1),
        ("a nonce", |c| c.accounts[0].1.nonce += 1),
        ("an owner", |c| c.accounts[1].1.owner.0[0] ^= 1),
        ("an account that was not touched", |c| {
            let index = AccountIndex::new(7).expect("in range");
            c.accounts.push((index, Account { balance: 1, ..c.accounts[0].1 }));
        }),
        ("an account left out", |c| {
            c.accounts.remove(1);
        }),
        ("an amount", |c| c.data.transfers[0].amount += 1),
        ("a record left out", |c| {
            c.data.transfers.remove(0);
            c.transfers.remove(0);
        }),
        ("a record twice", |c| {
            c.data.deposits.push(c.data.deposits[0]);
        }),
        ("an authorisation left out", |c| {
            c.transfers.pop();
        }),
        ("a foreign key", |c| {
            c.transfers[0].public_key = PrivateKey::from_bytes([77; 32]).public_key();
        }),
        ("a place twice", |c| c.transfers[1].order = 0),
        ("a forced exit signed", |c| c.exits[1] = c.exits[0]),
        ("fees for nobody", |c| {
            c.data.collects.pop();
        }),
        ("too many records", |c| c.data.collects = vec![c.data.collects[0]; 3]),
    ];
    let (_dir, journal) = database();
    let (sealing, mut book) = (sealing(&journal), book());
    for (what, damage) in damages {
        let mut closing = closing();
        damage(&mut closing);
        let refused = sealing.run(closing, &mut book, 1);
        assert!(matches!(refused, Err(SealError::Fault { number: 1, .. })), "{what}: {refused:?}");
        assert_eq!(book.commitments, Commitments::empty(), "{what}");
        assert_eq!(journal.record(1).expect("readable"), None, "{what}");
    }
}

#[test]
fn fees_and_forced_exits_are_checked_even_if_the_accounts_agree() {
    let shape = SHAPE.parse().expect("a shape");
    let before: BTreeMap<_, _> =
        execution().ledger().existing().map(|(index, account)| (index, *account)).collect();
    // One unit of the fee goes nowhere, in the executed accounts too.
    let mut short = closing();
    short.data.collects[0].amount -= 1;
    let to = short.data.collects[0].to;
    let account = short.accounts.iter_mut().find(|(index, _)| *index == to).expect("changed");
    account.1.balance -= 1;
    let fault = replay::replay(&short, &shape, &before).expect_err("not provable");
    assert_eq!(fault, SealFault::Fees { asset: 1 });
    let mut rest = closing();
    rest.data.exits[1].amount -= 1;
    let from = rest.data.exits[1].from;
    let account = rest.accounts.iter_mut().find(|(index, _)| *index == from).expect("changed");
    account.1.balance += 1;
    let fault = replay::replay(&rest, &shape, &before).expect_err("not provable");
    assert_eq!(fault, SealFault::ForcedExit { index: from });
}

/// Gives account 3 a unit when others pay: no check of the accounts a transaction names sees it.
pub fn secret_gift(ledger: &mut Ledger, transaction: &Transaction) {
    let index = AccountIndex::new(3).expect("in range");
    if transaction.from() == index {
        return;
    }
    let account = ledger.get(index);
    ledger.set(index, Account { balance: account.balance + 1, ..account });
}

#[test]
fn money_made_behind_the_records_is_noticed_when_it_is_spent() {
    let (_dir, journal) = database();
    let (sealing, mut book) = (sealing(&journal), book());
    let mut state = execution();
    state.plant(Some(secret_gift));
    submit(&mut state, &transfer(1, 2, 10, 0, 0));
    let first = state.close().expect("closes");
    state.begin(Head { number: 2, ..first.head.clone() });
    sealing.run(first, &mut book, 1).expect("does not name account 3");
    submit(&mut state, &transfer(3, 1, 1, 0, 0));
    let refused = sealing.run(state.close().expect("closes"), &mut book, 2);
    let index = AccountIndex::new(3).expect("in range");
    let expected = SealFault::OtherAccount { index };
    assert!(
        matches!(&refused, Err(SealError::Fault { number: 2, fault }) if *fault == expected),
        "{refused:?}"
    );
}

#[test]
fn a_halted_sealer_says_why_takes_nothing_more_and_ends_with_the_writer() {
    let (_dir, journal) = database();
    let sealing = sealing(&journal);
    let lifecycle = Arc::clone(&sealing.lifecycle);
    let (handle, sealer) = sealer(sealing, book());
    let thread = std::thread::spawn(|| sealer.run());
    let mut bad = closing();
    bad.accounts[0].1.balance += 1;
    let (reply, answer) = oneshot::channel();
    handle.hand_over(bad, 1, vec![reply]);
    assert_eq!(handle.wait_until_idle(), Err(SealerEnded));
    assert!(answer.blocking_recv().is_err(), "nobody is told that it is sealed");
    let reason = lifecycle.halted().expect("halted").to_owned();
    assert!(reason.starts_with("batch 1 cannot be sealed: account 1"), "{reason}");
    handle.hand_over(closing(), 2, Vec::new());
    assert_eq!(handle.wait_for_room(), Err(SealerEnded));
    drop(handle);
    thread.join().expect("no panic").expect("nothing failed but the check");
    assert_eq!(journal.record(1).expect("readable"), None);
}
