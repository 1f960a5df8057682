//! The bounded queue between admission and the single writer.
//!
//! Nothing waits here for its turn by nonce or fee: the order of arrival is the order. A transaction
//! whose nonce is ahead is refused as transient and its sender tries again.

use crate::execution::{OpenError, Place, QueueEntry, TransactionError};
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::eddsa::SignatureError;
use kerros_protocol::transaction::SignedTransaction;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What the main chain says, at the confirmation depth unless noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainView {
    /// Last registered asset.
    pub last_asset: u16,
    /// One more than the last queue entry.
    pub queue_final: u64,
    /// The same at the newest block.
    pub queue_seen: u64,
    /// Deposits waiting in the queue at the newest block.
    pub pending_deposits: u32,
}

/// An account asked for and given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its index.
    pub index: AccountIndex,
    /// The open batch if that opens it, else 0.
    pub batch: u64,
    /// Whether this request opened it.
    pub opened: bool,
}

/// What the writer is asked to do. A reply that nobody waits for is dropped.
pub enum Command {
    /// Execute a transaction.
    Submit {
        /// The transaction.
        signed: Box<SignedTransaction>,
        /// Result of the signature check.
        verified: Result<(), SignatureError>,
        /// Answered when durable.
        reply: oneshot::Sender<Result<Place, TransactionError>>,
        /// Its place in the backlog.
        permit: OwnedSemaphorePermit,
    },
    /// Open an account.
    Open {
        /// Asset.
        asset: AssetId,
        /// Owner.
        owner: Address,
        /// Key.
        key: AccountKey,
        /// Answered when durable.
        reply: oneshot::Sender<Result<Opened, OpenError>>,
        /// Its place in the backlog.
        permit: OwnedSemaphorePermit,
    },
    /// Queue entries that follow the ones given before, and the chain's view.
    Chain {
        /// Numbers and contents, in order.
        entries: Vec<(u64, QueueEntry)>,
        /// The view.
        view: ChainView,
    },
    /// Seal now; answers the batch's number, 0 if there was nothing.
    Seal {
        /// Answered when durable.
        reply: oneshot::Sender<u64>,
    },
    /// Double the ledger with the next batch; answers the k it will have.
    Grow {
        /// Answered when durable.
        reply: oneshot::Sender<u8>,
    },
    /// Time has passed.
    Tick,
    /// Finish what is queued and return.
    Stop,
}
