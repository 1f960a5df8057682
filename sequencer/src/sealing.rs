//! From a closed batch to the sealed one: check, commitments, bytes, record; on a thread of its own, so
//! that acknowledgements do not wait for curve arithmetic.
//!
//! A batch that does not pass the check is not sealed, and nothing after it: everything in it was
//! acknowledged, so nothing can be taken out. The sealer halts and says so; the log keeps what was
//! acknowledged, and the start of a build without the fault seals it from there.

mod replay;

use crate::execution::{Closing, Execution};
use crate::journal::{BatchRecord, Checkpoint, Head, Journal, JournalError, SealWrite};
use crate::lifecycle::Lifecycle;
use crate::limits::SEALS_AHEAD_MAX;
use crate::verification::BatchVerifier;
use ark_bn254::{Fr, G1Affine};
use kerros_protocol::account::{AccountIndex, Address};
use kerros_protocol::batch::{BatchDataError, SealedBatch, Shape};
use kerros_protocol::commitment::{Commitments, Srs, SrsError};
use kerros_protocol::proto::BatchState;
use kerros_protocol::transition::ReplayError;
use kerros_verifier::VerifyError;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use thiserror::Error;
use tokio::sync::oneshot;

/// Why a ledger could not grow.
#[derive(Debug, Error)]
pub enum GrowthError {
    /// The reference string has no such size or cannot be read.
    #[error("growth: {0}")]
    Srs(#[from] SrsError),
    /// Our own commitments do not pass the contract's check: a bug or a broken reference string.
    #[error("growth: {0}")]
    Check(#[from] VerifyError),
}

/// Why a closed batch could not be proved: a bug of ours, or memory that broke.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealFault {
    /// The bytes to be published do not decode.
    #[error("published bytes: {0}")]
    Bytes(#[from] BatchDataError),
    /// They decode to something else.
    #[error("the published bytes are those of other records")]
    OtherData,
    /// They do not fit the accounts before.
    #[error("{0}")]
    Data(#[from] ReplayError),
    /// They give another account than the one that was executed.
    #[error("account {index} was executed to something else than the published records give")]
    OtherAccount {
        /// The account.
        index: AccountIndex,
    },
    /// A signed record has no authorisation of its account's key, or their places are not 0, 1, ….
    #[error("authorisations do not belong to the records")]
    Authorisations,
    /// Fees and collects differ.
    #[error("fees and collects of asset {asset} differ")]
    Fees {
        /// The asset.
        asset: u16,
    },
    /// Neither everything nor nothing leaves the account.
    #[error("the forced exit of account {index} is not what its owner is due")]
    ForcedExit {
        /// The account.
        index: AccountIndex,
    },
}

/// Why a batch was not sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Nobody could prove it.
    #[error("batch {number} cannot be sealed: {fault}")]
    Fault {
        /// The batch.
        number: u64,
        /// What is wrong with it.
        fault: SealFault,
    },
}

/// Where the commitments stand: those that the first batch not yet sealed starts from.
pub struct Book {
    /// Before that batch.
    pub commitments: Commitments,
    /// The same before growth, if that batch grows.
    pub before_growth: Option<Commitments>,
    /// `[L_i(τ)]_1` of its size.
    pub lagrange: Vec<G1Affine>,
}

/// Makes the sealed batch and its record and moves the book on by `changes`, the deltas of words by
/// account position.
fn seal(
    closing: Closing,
    changes: &[(usize, [Fr; 3])],
    book: &mut Book,
    beneficiary: Address,
    now: u64,
) -> (SealedBatch, BatchRecord) {
    let head = closing.head;
    let old = book.commitments;
    let new = old.updated(&book.lagrange, changes);
    book.commitments = new;
    let sealed = SealedBatch {
        number: head.number,
        k: head.k,
        before_growth: book.before_growth.take(),
        old,
        new,
        first: head.first,
        end: closing.end,
        beneficiary,
        data: closing.data,
        transfers: closing.transfers,
        exits: closing.exits,
    };
    assert_eq!(sealed.before_growth.is_some(), head.grows, "the book and the head agree on growth");
    assert_eq!(sealed.first + sealed.data.queue_entries(), sealed.end, "entries are consecutive");
    let mut record = BatchRecord {
        number: head.number,
        counts: sealed.data.counts().map(|n| u32::try_from(n).unwrap_or(u32::MAX)).to_vec(),
        k: head.k.into(),
        grows: head.grows,
        old_root: sealed.old.root(head.k).0.to_vec(),
        new_root: sealed.new.root(head.k).0.to_vec(),
        first: sealed.first,
        end: sealed.end,
        opened_ms: head.opened_ms,
        sealed_ms: now,
        data_len: sealed.data.encode().len() as u64,
        ..BatchRecord::default()
    };
    record.set_state(BatchState::Sealed);
    (sealed, record)
}

/// A ledger twice as large.
pub struct Grown {
    /// `[L_i(τ)]_1` of the new size.
    pub lagrange: Vec<G1Affine>,
    /// Commitments in the new size.
    pub commitments: Commitments,
}

/// Commits to the same accounts in a ledger of `2^(k+1)` and checks it as the contract will.
pub fn grow(
    execution: &Execution,
    before: &Commitments,
    srs: &Srs,
    verifier: &dyn BatchVerifier,
) -> Result<Grown, GrowthError> {
    let k = execution.ledger().k();
    let lagrange = srs.lagrange(k + 1)?;
    let commitments = execution.ledger().commit(&lagrange);
    verifier.growth(before, &commitments, k)?;
    Ok(Grown { lagrange, commitments })
}

/// What sealing needs besides the batch.
pub struct Sealing {
    /// Disk.
    pub journal: Arc<Journal>,
    /// Told about sealed batches.
    pub lifecycle: Arc<Lifecycle>,
    /// Credited with entry fees.
    pub beneficiary: Address,
    /// Of all batches.
    pub shape: Shape,
}

impl Sealing {
    /// Seals one batch: check, commitments, then one synced write, then everybody may know. A batch
    /// that does not pass the check leaves book and disk as they are.
    pub fn run(&self, closing: Closing, book: &mut Book, now: u64) -> Result<(), SealError> {
        let started = Instant::now();
        let mut before = BTreeMap::new();
        for index in replay::named(&closing.data) {
            before.extend(self.journal.account(index)?.map(|account| (index, account)));
        }
        let changes = replay::replay(&closing, &self.shape, &before);
        let number = closing.head.number;
        let changes = changes.map_err(|fault| SealError::Fault { number, fault })?;
        let accounts = closing.accounts.clone();
        let (sealed, record) = seal(closing, &changes, book, self.beneficiary, now);
        let (number, first) = (record.number + 1, record.end);
        let head = Head { number, k: sealed.k, grows: false, first, opened_ms: now };
        let next = Checkpoint { head, commitments: sealed.new, before_growth: None };
        self.journal.seal(&SealWrite {
            sealed: &sealed.encode(),
            record: &record,
            accounts: &accounts,
            next: &next,
        })?;
        crate::metrics::sealed(&record, started.elapsed());
        tracing::info!(batch = record.number, counts = ?record.counts, "Sealed");
        self.lifecycle.sealed(record);
        Ok(())
    }
}

struct Job {
    closing: Closing,
    now: u64,
    replies: Vec<oneshot::Sender<u64>>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Taken and not done.
    busy: bool,
    /// The writer has ended: finish what waits.
    ended: bool,
    /// The sealer has failed or halted: nobody will seal any more.
    failed: bool,
}

impl Waiting {
    fn give_up(&mut self) {
        self.failed = true;
        // Nobody answers them: their senders see that.
        self.jobs.clear();
    }
}

#[derive(Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn wait<'a>(&self, guard: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }
    fn take(waiting: &mut Waiting) -> Option<Job> {
        let job = waiting.jobs.pop_front();
        waiting.busy |= job.is_some();
        job
    }
}

/// The sealer has failed or halted and said why elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the sealer has ended")]
pub struct SealerEnded;

/// The writer's side: hands closed batches over and goes on with the next one.
///
/// Their operations are on disk already, so that a restart closes and seals them again.
pub struct SealerHandle {
    desk: Arc<Desk>,
    book: Arc<Mutex<Book>>,
    /// Works whenever the writer has to wait, instead of a thread.
    #[cfg(test)]
    inline: Option<Arc<Sealer>>,
}

/// The sealer's side: a thread of its own.
pub struct Sealer {
    sealing: Sealing,
    desk: Arc<Desk>,
    book: Arc<Mutex<Book>>,
}

/// Both sides.
pub fn sealer(sealing: Sealing, book: Book) -> (SealerHandle, Sealer) {
    let (desk, book) = (Arc::new(Desk::default()), Arc::new(Mutex::new(book)));
    let handle = SealerHandle {
        desk: Arc::clone(&desk),
        book: Arc::clone(&book),
        #[cfg(test)]
        inline: None,
    };
    (handle, Sealer { sealing, desk, book })
}

/// Both sides on one thread: the sealer works when it is asked to or when the writer has to wait.
#[cfg(test)]
pub fn inline_sealer(sealing: Sealing, book: Book) -> (SealerHandle, Arc<Sealer>) {
    let (mut handle, sealer) = sealer(sealing, book);
    let sealer = Arc::new(sealer);
    handle.inline = Some(Arc::clone(&sealer));
    (handle, sealer)
}

impl Sealer {
    /// Works until the writer has ended and everything is sealed.
    pub fn run(self) -> Result<(), JournalError> {
        // A panic, too, has to end those who wait for the sealer.
        let _end = End(&self.desk);
        self.work()
    }
    /// Nothing more is sealed: readers go on, and so do batches sealed before.
    /// Those who wait for `replies` are told nothing but that none comes.
    fn halt(&self, reason: String, replies: Vec<oneshot::Sender<u64>>) {
        tracing::error!(%reason, "SEALING HALTED: nothing acknowledged is lost, an operator has to look");
        metrics::gauge!(crate::metrics::SEALING_HALTED).set(1.0);
        // First: whoever finds the sealer ended asks there why.
        self.sealing.lifecycle.halt(reason);
        let mut waiting = self.desk.lock();
        waiting.give_up();
        drop(replies);
        self.desk.changed.notify_all();
    }
    fn work(&self) -> Result<(), JournalError> {
        metrics::gauge!(crate::metrics::SEALING_HALTED).set(0.0);
        loop {
            let mut waiting = self.desk.lock();
            let job = loop {
                if let Some(job) = Desk::take(&mut waiting) {
                    break job;
                }
                if waiting.ended {
                    return Ok(());
                }
                waiting = self.desk.wait(waiting);
            };
            drop(waiting);
            if !self.seal(job)? {
                let mut waiting = self.desk.lock();
                while !waiting.ended {
                    waiting = self.desk.wait(waiting);
                }
                return Ok(());
            }
        }
    }
    /// Seals one batch, if one waits; whether one did.
    #[cfg(test)]
    pub fn step(&self) -> Result<bool, JournalError> {
        let job = Desk::take(&mut self.desk.lock());
        job.map_or(Ok(false), |job| self.seal(job))
    }
    /// Seals a batch, unless nobody could prove it: then the sealer has halted.
    fn seal(&self, job: Job) -> Result<bool, JournalError> {
        let number = job.closing.head.number;
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = self.sealing.run(job.closing, &mut book, job.now);
        drop(book);
        match sealed {
            Ok(()) => {}
            Err(SealError::Journal(error)) => return Err(error),
            Err(error @ SealError::Fault { .. }) => {
                self.sealing.journal.put_halted(number)?;
                self.halt(error.to_string(), job.replies);
                return Ok(false);
            }
        }
        self.desk.lock().busy = false;
        self.desk.changed.notify_all();
        for reply in job.replies {
            // Dropped if the caller has gone.
            let _ = reply.send(number);
        }
        Ok(true)
    }
}

struct End<'a>(&'a Desk);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().give_up();
        self.0.changed.notify_all();
    }
}

impl SealerHandle {
    /// Hands a closed batch over; `replies` get its number when it is sealed.
    pub fn hand_over(&self, closing: Closing, now: u64, replies: Vec<oneshot::Sender<u64>>) {
        let mut waiting = self.desk.lock();
        // Otherwise nobody will take it.
        if !waiting.failed {
            waiting.jobs.push_back(Job { closing, now, replies });
        }
        self.desk.changed.notify_all();
    }
    /// Whether another batch may be closed.
    pub fn has_room(&self) -> bool {
        let waiting = self.desk.lock();
        waiting.jobs.len() < SEALS_AHEAD_MAX || waiting.failed
    }
    /// Waits until another batch may be closed.
    pub fn wait_for_room(&self) -> Result<(), SealerEnded> {
        self.wait_until(|waiting| waiting.jobs.len() < SEALS_AHEAD_MAX)
    }
    /// Waits until everything is sealed.
    pub fn wait_until_idle(&self) -> Result<(), SealerEnded> {
        self.wait_until(|waiting| waiting.jobs.is_empty() && !waiting.busy)
    }
    fn wait_until(&self, good: impl Fn(&Waiting) -> bool) -> Result<(), SealerEnded> {
        let mut waiting = self.desk.lock();
        loop {
            if waiting.failed {
                return Err(SealerEnded);
            }
            if good(&waiting) {
                return Ok(());
            }
            #[cfg(test)]
            if let Some(sealer) = &self.inline {
                drop(waiting);
                sealer.step().map_err(|_| SealerEnded)?;
                waiting = self.desk.lock();
                continue;
            }
            waiting = self.desk.wait(waiting);
        }
    }
    /// The book; only for an idle sealer.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SealerHandle {
    fn drop(&mut self) {
        self.desk.lock().ended = true;
        self.desk.changed.notify_all();
    }
}

#[cfg(test)]
pub(crate) mod tests;
