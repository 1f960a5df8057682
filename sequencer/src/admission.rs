//! What a transaction passes before it may wait for the writer: size, canonical bytes, signature.
//!
//! Signatures are checked on a pool of fixed size; the number of requests between arrival and answer
//! is bounded. Knows no state.

use crate::execution::{OpenError, Place, TransactionError};
use crate::limits::{BACKLOG_MAX, TRANSACTION_BYTES_MAX};
use crate::mempool::{Command, Opened};
use ark_bn254::Fr;
use kerros_protocol::account::{AccountKey, Address, AssetId};
use kerros_protocol::eddsa::SignatureError;
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::transaction::{SignedTransaction, TransactionId};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

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
    /// Not the canonical bytes of a signed transaction.
    #[error("malformed transaction: {0}")]
    Malformed(#[from] DecodeError),
    /// Refused by the rules or the fee policy.
    #[error(transparent)]
    Refused(#[from] TransactionError),
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

/// An acknowledgement: executed in this place, and on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub id: TransactionId,
    /// Its place.
    pub place: Place,
}

type Checked = Result<(Box<SignedTransaction>, Result<(), SignatureError>), DecodeError>;

/// A transaction whose signature is being checked.
pub struct Admitted {
    permit: OwnedSemaphorePermit,
    checked: oneshot::Receiver<Checked>,
}

/// A transaction in the writer's queue.
pub struct Queued {
    id: TransactionId,
    answer: oneshot::Receiver<Result<Place, TransactionError>>,
}

impl Queued {
    /// Waits for the acknowledgement.
    pub async fn answer(self) -> Result<Receipt, SubmitError> {
        let place = self.answer.await.map_err(|_| SubmitError::Stopping)??;
        Ok(Receipt { id: self.id, place })
    }
}

/// The door to the writer.
#[derive(Clone)]
pub struct Admission {
    domain: Fr,
    pool: Arc<rayon::ThreadPool>,
    backlog: Arc<Semaphore>,
    commands: mpsc::Sender<Command>,
}

impl Admission {
    /// `threads` check signatures under `domain`.
    pub fn new(
        domain: Fr,
        threads: usize,
        commands: mpsc::Sender<Command>,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let name = |i| format!("kerros-admission-{i}");
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build()?;
        let backlog = Arc::new(Semaphore::new(BACKLOG_MAX));
        Ok(Self { domain, pool: Arc::new(pool), backlog, commands })
    }
    /// Requests between arrival and answer.
    pub fn waiting(&self) -> usize {
        BACKLOG_MAX - self.backlog.available_permits()
    }
    fn overloaded(&self) -> SubmitError {
        SubmitError::Overloaded { waiting: self.waiting(), max: BACKLOG_MAX }
    }

    /// Starts the checks, or refuses at once if too much is waiting.
    pub fn try_admit(&self, bytes: Vec<u8>) -> Result<Admitted, SubmitError> {
        check_size(&bytes)?;
        let permit = Arc::clone(&self.backlog).try_acquire_owned();
        Ok(self.check(bytes, permit.map_err(|_| self.overloaded())?))
    }
    /// Starts the checks as soon as there is room: for streams, which are slowed down instead.
    pub async fn admit(&self, bytes: Vec<u8>) -> Result<Admitted, SubmitError> {
        check_size(&bytes)?;
        let permit = Arc::clone(&self.backlog).acquire_owned().await;
        Ok(self.check(bytes, permit.map_err(|_| SubmitError::Stopping)?))
    }
    fn check(&self, bytes: Vec<u8>, permit: OwnedSemaphorePermit) -> Admitted {
        let (done, checked) = oneshot::channel();
        let domain = self.domain;
        self.pool.spawn(move || {
            let result = SignedTransaction::decode(&bytes).map(|signed| {
                let verified = signed.verify_signature(domain);
                (Box::new(signed), verified)
            });
            // Nobody waits any more: nothing to do.
            let _ = done.send(result);
        });
        Admitted { permit, checked }
    }
    /// Waits for the checks and hands over to the writer.
    pub async fn enqueue(&self, admitted: Admitted) -> Result<Queued, SubmitError> {
        let Admitted { permit, checked } = admitted;
        let (signed, verified) = checked.await.map_err(|_| SubmitError::Stopping)??;
        let id = signed.transaction.id();
        let (reply, answer) = oneshot::channel();
        let command = Command::Submit { signed, verified, reply, permit };
        self.commands.send(command).await.map_err(|_| SubmitError::Stopping)?;
        Ok(Queued { id, answer })
    }
    /// One transaction, from bytes to acknowledgement.
    pub async fn submit(&self, bytes: Vec<u8>) -> Result<Receipt, SubmitError> {
        let admitted = self.try_admit(bytes)?;
        self.enqueue(admitted).await?.answer().await
    }
    /// One account.
    pub async fn open(
        &self,
        asset: AssetId,
        owner: Address,
        key: AccountKey,
    ) -> Result<Opened, OpenRequestError> {
        let overloaded = OpenRequestError::Overloaded { waiting: self.waiting(), max: BACKLOG_MAX };
        let permit = Arc::clone(&self.backlog).try_acquire_owned().map_err(|_| overloaded)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Open { asset, owner, key, reply, permit };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_backlog_requests_are_refused_as_overload_until_one_is_answered() {
        let (commands, _inbox) = mpsc::channel(1);
        let admission = Admission::new(Fr::from(1u64), 1, commands).expect("threads");
        let admit = || admission.try_admit(vec![0; 3]);
        let mut held: Vec<Admitted> = (0..BACKLOG_MAX).map(|_| admit().expect("room")).collect();
        let overloaded = SubmitError::Overloaded { waiting: BACKLOG_MAX, max: BACKLOG_MAX };
        assert_eq!(admit().err(), Some(overloaded));
        assert_eq!(admission.waiting(), BACKLOG_MAX);
        held.pop();
        assert!(admit().is_ok());
    }
}
