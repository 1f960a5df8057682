//! What a transaction passes before it may wait for the writer: size, a seat, canonical bytes,
//! signature.
//!
//! Signatures are checked in chunks on threads of their own. Every request between arrival and answer
//! holds a seat, and seats are bounded, for each connection and in all. Knows no state.

pub(crate) mod intake;
mod repeats;
mod reply;
mod seats;

pub use repeats::{Digest, Repeats};
pub use reply::{Answer, Reply};
pub use seats::{Hall, Seat, Source};

use crate::execution::{OpenError, TransactionError};
use crate::limits::{BACKLOG_MAX, CHUNK_MAX, KEYS_REMEMBERED, SUSPECT_REST, TRANSACTION_BYTES_MAX};
use crate::mempool::{Command, Opened, Pending};
use crate::settlement::queue::Reorganised;
use ark_bn254::Fr;
use intake::{Chunk, Intake, Raw};
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::eddsa::KeyCache;
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::transaction::{SignedTransaction, decode_and_verify};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Why a transaction was not acknowledged; in the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// Longer than any transaction.
    #[error("{have} bytes, a transaction has at most {max}")]
    TooLarge {
        /// Bytes.
        have: usize,
        /// Bound.
        max: usize,
    },
    /// Too many requests or unsettled batches; try again later.
    #[error("overloaded: {waiting} waiting, at most {max}")]
    Overloaded {
        /// Requests or batches waiting.
        waiting: usize,
        /// Bound.
        max: usize,
    },
    /// Too little room on the disk; try again later.
    #[error("{free} bytes free on the disk, {need} are kept in reserve")]
    DiskFull {
        /// Free bytes.
        free: u64,
        /// The reserve.
        need: u64,
    },
    /// A batch that was acknowledged cannot be sealed: an operator has to look first.
    #[error("sealing has halted: reads go on, nothing new is accepted")]
    SealingHalted,
    /// The main chain took back what was credited: what rests on it could never be posted.
    #[error("{0}; nothing new is accepted until the main chain has it again")]
    QueueReorganised(Reorganised),
    /// Not the canonical bytes of a signed transaction.
    #[error("malformed transaction: {0}")]
    Malformed(#[from] DecodeError),
    /// Refused by the rules or the fee policy.
    #[error(transparent)]
    Refused(#[from] TransactionError),
    /// Another transaction of this account waits with the same nonce.
    #[error("another transaction of account {index} waits with nonce {nonce}")]
    NonceTaken {
        /// The account.
        index: AccountIndex,
        /// Its nonce.
        nonce: u32,
    },
    /// Something of ours failed; whether the transaction was executed can be asked by its id later.
    #[error("internal error")]
    Internal,
    /// The service is stopping; whether the transaction was executed can be asked by its id later.
    #[error("the sequencer is stopping")]
    Stopping,
}

/// Why an account was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenRequestError {
    /// Too many requests; try again later.
    #[error("overloaded: {waiting} waiting, at most {max}")]
    Overloaded {
        /// Requests waiting.
        waiting: usize,
        /// Bound.
        max: usize,
    },
    /// Refused.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// The service is stopping.
    #[error("the sequencer is stopping")]
    Stopping,
}

/// The door to the writer.
#[derive(Clone)]
pub struct Admission {
    hall: Hall,
    intake: Arc<Intake>,
    repeats: Arc<Repeats>,
    commands: mpsc::Sender<Command>,
}

/// A thread that checks signatures.
pub struct Checker {
    intake: Arc<Intake>,
    domain: Fr,
    commands: mpsc::Sender<Command>,
    pace: Pace,
}

/// How long a checker pauses before each chunk, in ms: a backlog of unproven batches slows admission.
pub type Pace = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Checker {
    /// Works until admission is closed or the writer has ended.
    pub fn run(self) {
        let mut rng = StdRng::from_entropy();
        let mut keys = KeyCache::new(KEYS_REMEMBERED, &mut rng);
        while let Some(chunk) = self.intake.take(CHUNK_MAX) {
            // The pause too: else connections that rest would have half of the chunks under one.
            let (suspect, started) = (chunk.suspect, Instant::now());
            let pause = (self.pace)();
            if pause > 0 {
                std::thread::sleep(Duration::from_millis(pause));
            }
            let command = check(chunk, self.domain, &mut keys, &mut rng);
            if suspect {
                self.intake.rest(started.elapsed() * SUSPECT_REST);
            }
            if self.commands.blocking_send(command).is_err() {
                return;
            }
        }
    }
}

/// Decodes and checks a chunk: what is malformed is answered, the rest goes to the writer.
pub(crate) fn check(chunk: Chunk, domain: Fr, keys: &mut KeyCache, rng: &mut StdRng) -> Command {
    let Chunk { number, items, .. } = chunk;
    let bytes: Vec<&[u8]> = items.iter().map(|raw| raw.bytes.as_slice()).collect();
    let started = Instant::now();
    let checked = decode_and_verify(&bytes, domain, keys, rng);
    let wrong = checked.iter().filter(|item| matches!(item, Ok((_, Err(_))))).count();
    crate::metrics::checked(items.len(), wrong, started.elapsed());
    let mut transactions = Vec::with_capacity(items.len());
    for (raw, checked) in items.into_iter().zip(checked) {
        let Raw { source, digest, stream, reply, seat, .. } = raw;
        match checked {
            Ok((signed, verified)) => {
                source.note(verified.is_ok());
                let id = signed.transaction.id();
                let signed = Box::new(signed);
                transactions.push(Pending { id, digest, signed, verified, stream, reply, seat });
            }
            Err(error) => reply.send(Answer::Refused(SubmitError::Malformed(error))),
        }
    }
    // Empty chunks too: the writer waits for every number.
    Command::Transactions { chunk: number, transactions }
}

impl Admission {
    /// A door and the checkers behind it, one per thread.
    pub fn new(
        domain: Fr,
        threads: usize,
        repeats: Arc<Repeats>,
        commands: mpsc::Sender<Command>,
        pace: &Pace,
    ) -> (Self, Vec<Checker>) {
        let intake = Arc::new(Intake::default());
        let checkers = (0..threads).map(|_| Checker {
            intake: Arc::clone(&intake),
            domain,
            commands: commands.clone(),
            pace: Arc::clone(pace),
        });
        let checkers = checkers.collect();
        (Self { hall: Hall::default(), intake, repeats, commands }, checkers)
    }
    /// Seats of all connections.
    pub fn hall(&self) -> &Hall {
        &self.hall
    }
    /// Requests between arrival and answer, but for the few that each connection has for itself.
    pub fn waiting(&self) -> usize {
        self.hall.taken()
    }
    /// Transactions that wait for their signature check.
    pub fn unchecked(&self) -> usize {
        self.intake.waiting()
    }
    /// Ends the checkers; nothing is admitted any more.
    pub fn close(&self) {
        self.intake.close();
    }
    fn overloaded(&self) -> SubmitError {
        SubmitError::Overloaded { waiting: self.waiting(), max: BACKLOG_MAX }
    }
    /// The answer to bytes that were acknowledged before.
    fn repeated(&self, bytes: &[u8], digest: &Digest) -> Option<Answer> {
        let known = self.repeats.knows(digest);
        let id = known.then(|| SignedTransaction::id_of(bytes)).flatten()?;
        metrics::counter!(crate::metrics::REPEATED).increment(1);
        // It is on disk.
        Some(Answer::Stale { id, error: SubmitError::Internal })
    }
    /// One transaction, from bytes to acknowledgement; refused at once if no seat is free.
    pub async fn submit(
        &self,
        source: &Arc<Source>,
        bytes: Vec<u8>,
    ) -> Result<Answer, SubmitError> {
        check_size(&bytes)?;
        let digest = Digest::of(&bytes);
        if let Some(answer) = self.repeated(&bytes, &digest) {
            return Ok(answer);
        }
        let seat = source.try_seat().ok_or_else(|| self.overloaded())?;
        let (reply, answer) = oneshot::channel();
        let (source, reply) = (Arc::clone(source), Reply::Once(reply));
        self.intake.push(Raw { source, bytes, digest, stream: 0, reply, seat });
        answer.await.map_err(|_| SubmitError::Stopping)
    }
    /// One transaction of a stream, as soon as a seat is free. Its answer goes to `reply`.
    pub async fn feed(&self, source: &Arc<Source>, stream: u64, bytes: Vec<u8>, reply: Reply) {
        if let Err(error) = check_size(&bytes) {
            reply.send(Answer::Refused(error));
            return;
        }
        let digest = Digest::of(&bytes);
        if let Some(answer) = self.repeated(&bytes, &digest) {
            reply.send(answer);
            return;
        }
        let seat = source.seat().await;
        self.intake.push(Raw { source: Arc::clone(source), bytes, digest, stream, reply, seat });
    }
    /// One account.
    pub async fn open(
        &self,
        source: &Arc<Source>,
        asset: AssetId,
        owner: Address,
        key: AccountKey,
    ) -> Result<Opened, OpenRequestError> {
        let overloaded = OpenRequestError::Overloaded { waiting: self.waiting(), max: BACKLOG_MAX };
        let seat = source.try_seat().ok_or(overloaded)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Open { asset, owner, key, reply, seat };
        self.commands.send(command).await.map_err(|_| OpenRequestError::Stopping)?;
        Ok(answer.await.map_err(|_| OpenRequestError::Stopping)??)
    }
    /// Seals the open batch; gives its number, 0 if it is empty.
    pub async fn seal(&self) -> Result<u64, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Command::Seal { reply }).await;
        sent.map_err(|_| SubmitError::Stopping)?;
        answer.await.map_err(|_| SubmitError::Stopping)
    }
    /// Doubles the ledger with the next batch; gives the k it will have.
    pub async fn grow(&self) -> Result<u8, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Command::Grow { reply }).await;
        sent.map_err(|_| SubmitError::Stopping)?;
        answer.await.map_err(|_| SubmitError::Stopping)
    }
}

fn check_size(bytes: &[u8]) -> Result<(), SubmitError> {
    let (have, max) = (bytes.len(), TRANSACTION_BYTES_MAX);
    if have > max { Err(SubmitError::TooLarge { have, max }) } else { Ok(()) }
}
