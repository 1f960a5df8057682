//! What goes into an execution and what comes out: policy, queue entries, places, refusals.

use super::witness::Unprovable;
use crate::journal::Head;
use kerros_protocol::account::{Account, AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::batch::{Authorisation, BatchData, Shape};
use kerros_protocol::rejection::Rejection;
use thiserror::Error;

/// What the operator decided once for all batches.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Capacities of a batch.
    pub shape: Shape,
    /// Exponent of the greatest ledger.
    pub k_max: u8,
    /// Transfers and signed exits at which a batch is sealed, at most T + E.
    pub transactions_max: u32,
    /// Least fee of a transaction, in asset units.
    pub fee_min: u64,
    /// Key of the operator's fee accounts.
    pub fee_key: AccountKey,
    /// Owner of the operator's fee accounts.
    pub fee_owner: Address,
    /// Share of the ledger in percent, 1 to 100; once more is allocated, the next batch grows.
    pub grow_at_percent: u8,
}

/// Which room is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Section O.
    Opens,
    /// Section D.
    Deposits,
    /// Section T.
    Transfers,
    /// Section E.
    Exits,
    /// Section F: one more fee asset.
    Collects,
    /// The configured number of transactions.
    Transactions,
    /// No free index below n; the next batch grows.
    Ledger,
}

/// Whether something found a place in the open batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed<T> {
    /// Yes.
    Done(T),
    /// Not before a seal.
    Full(Full),
}

/// A place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The batch.
    pub batch: u64,
    /// t among its transfers and signed exits.
    pub order: u16,
}

/// Why a signed transaction is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransactionError {
    /// By the rules.
    #[error(transparent)]
    Rule(#[from] Rejection),
    /// Below the operator's minimum.
    #[error("fee {have}, at least {need}")]
    FeeTooLow {
        /// Offered, in asset units.
        have: u128,
        /// Asked.
        need: u64,
    },
    /// Nobody could collect the fee: this shape collects none, or no account can be opened.
    #[error("no account can collect fees in asset {asset}")]
    FeeNotCollectable {
        /// The asset.
        asset: u16,
    },
    /// What the rules did could not be proved: a bug of ours. Nothing was applied.
    #[error("refused because its result could not be proved: {0}")]
    Unprovable(#[from] Unprovable),
    /// Not even an empty batch has room: the shape has no place for such a transaction.
    #[error("no batch has room for this: {full:?}")]
    NoRoom {
        /// What is always used up.
        full: Full,
    },
}

/// Why an account cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The asset is not registered on the main chain (at the confirmation depth).
    #[error("asset {have} is not registered, the last one is {last}")]
    AssetUnknown {
        /// Asked for.
        have: u16,
        /// Last registered.
        last: u16,
    },
    /// Owners are not zero.
    #[error("the owner is the zero address")]
    OwnerZero,
    /// What is left is kept for deposits.
    #[error("the ledger is full: {free} free places, {reserved} kept for deposits")]
    LedgerFull {
        /// Free indices up to the greatest ledger.
        free: u64,
        /// Kept for deposits.
        reserved: u64,
    },
}

/// A queue entry of the main chain, as far as a batch needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueEntry {
    /// Pays into the account of this triple.
    Deposit {
        /// Asset units.
        amount: u64,
        /// Asset.
        asset: AssetId,
        /// Key.
        key: AccountKey,
        /// Owner.
        owner: Address,
    },
    /// Takes everything out of an account, if the requester owns it.
    ForcedExit {
        /// The account.
        from: AccountIndex,
        /// Who asked.
        requester: Address,
    },
}

/// A bug or a main chain that broke its word: the operator has to look.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExecutionError {
    /// The rules refuse what the contract promised to be provable.
    #[error("queue entry {entry}: {rejection}")]
    Queue {
        /// Number in the queue.
        entry: u64,
        /// The rule.
        rejection: Rejection,
    },
    /// A queue entry finds no free index in the greatest ledger, against the contract's promise.
    #[error("queue entry {entry}: the ledger is full")]
    QueueLedgerFull {
        /// Number in the queue.
        entry: u64,
    },
    /// Entries do not come in order.
    #[error("queue entry {have}, expected {need}")]
    QueueOrder {
        /// Given.
        have: u64,
        /// Expected.
        need: u64,
    },
    /// Replaying the journal meets a refusal.
    #[error("operation {sequence} of the open batch: {rejection}")]
    Replay {
        /// Number in the batch.
        sequence: usize,
        /// The rule.
        rejection: Rejection,
    },
    /// Fees or forced exits cannot be applied at the seal.
    #[error("sealing: {0}")]
    Seal(Rejection),
    /// Collected fees exceed 2^64: the supply bound is broken.
    #[error("sealing: fees of asset {asset} exceed a balance")]
    FeesOverflow {
        /// The asset.
        asset: u16,
    },
}

/// What sealing needs besides the commitments after the batch.
#[derive(Debug, Clone)]
pub struct Closing {
    /// Where the batch started.
    pub head: Head,
    /// Its records.
    pub data: BatchData,
    /// For every transfer.
    pub transfers: Vec<Authorisation>,
    /// For every exit.
    pub exits: Vec<Option<Authorisation>>,
    /// First queue entry not consumed.
    pub end: u64,
    /// Accounts changed, after the batch, ascending.
    pub accounts: Vec<(AccountIndex, Account)>,
}
