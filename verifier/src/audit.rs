//! Replays posts as the contract saw them: pure, without a connection.
//!
//! [`check_post`] refuses in the contract's order of checks, for the contract's reasons. What only
//! storage knows (assets, queue, root) is in [`ChainState`] and the queue given.

pub mod diagnosis;

use crate::batch::{VerifyError, verify_batch, verify_growth};
use crate::contract::Post;
use crate::post::{PostError, ReadPost, read};
use ark_bn254::Fr;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::commitment::{Commitments, Root};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transition::{ReplayError, effect};
use kerros_protocol::verification_key::VerificationKey;
use std::collections::VecDeque;
use thiserror::Error;

/// An entry of the main chain's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueEntry {
    /// Asset units for an account with this asset, key and owner.
    Deposit {
        /// Asset units.
        amount: u64,
        /// Asset id.
        asset: u16,
        /// Account key.
        key: AccountKey,
        /// Account owner.
        owner: Address,
    },
    /// Everything in an account, if the requester owns it.
    ForcedExit {
        /// Account.
        index: AccountIndex,
        /// Caller on the main chain.
        requester: Address,
    },
}

/// Why a post is refused, in the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PostRejection {
    /// Not the next batch.
    #[error("batch number {got}, expected {expected}")]
    WrongBatchNumber {
        /// Next number.
        expected: u64,
        /// Number posted.
        got: u64,
    },
    /// A word, point or record cannot be read.
    #[error(transparent)]
    Unreadable(#[from] PostError),
    /// The commitments are not those under the stored root.
    #[error("commitments hash to {got}, the stored root is {expected}")]
    WrongRoot {
        /// Stored.
        expected: Root,
        /// Posted.
        got: Root,
    },
    /// The ledger has its greatest size.
    #[error("the ledger cannot grow beyond 2^{k}")]
    LedgerAtMaximum {
        /// Exponent.
        k: u8,
    },
    /// An open names an asset that is not registered.
    #[error("open {record} names unknown asset {asset}")]
    UnknownAsset {
        /// Number of the record.
        record: usize,
        /// Asset id.
        asset: u16,
    },
    /// More entries are claimed than wait.
    #[error("{claimed} queue entries claimed, {waiting} wait")]
    QueueTooShort {
        /// By the data.
        claimed: u64,
        /// In the queue.
        waiting: usize,
    },
    /// A record differs from the entry it should serve, or is missing.
    #[error("queue entry {entry} is not served as it stands in the queue")]
    QueueMismatch {
        /// Number of the entry.
        entry: u64,
    },
    /// Growth or proof does not hold.
    #[error(transparent)]
    Invalid(#[from] VerifyError),
    /// The records contradict the accounts although a proof was accepted: the proof system is
    /// broken.
    #[error("records contradict the accounts: {0}")]
    Replay(#[from] ReplayError),
}

/// What the contract stores, followed post by post, with the accounts.
#[derive(Debug, Clone)]
pub struct ChainState {
    /// Root of the ledger.
    pub root: Root,
    /// Number of the last batch.
    pub number: u64,
    /// First unprocessed queue entry.
    pub head: u64,
    /// Highest registered asset id.
    pub asset_count: u16,
    /// Entries that wait, first one first.
    pub queue: VecDeque<QueueEntry>,
    /// All accounts, by replay of the data.
    pub ledger: Ledger,
}

impl ChainState {
    /// As deployed.
    pub fn genesis(key: &VerificationKey) -> Self {
        Self {
            root: Commitments::empty().root(key.k_genesis),
            number: 0,
            head: 0,
            asset_count: 0,
            queue: VecDeque::new(),
            ledger: Ledger::new(key.k_genesis),
        }
    }
}

/// Which of a post's equations are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equations {
    /// Proof, opening and growth.
    Checked,
    /// None: they are taken from the contract, which accepted the post. Everything else is checked.
    Trusted,
}

/// Checks a post against the state and moves the state; leaves it as it is if refused.
pub fn check_post(
    key: &VerificationKey,
    domain: Fr,
    state: &mut ChainState,
    post: &Post,
) -> Result<(), PostRejection> {
    follow_post(key, domain, state, post, Equations::Checked).map(|_| ())
}

/// The same with a choice, and gives the post taken apart.
pub fn follow_post(
    key: &VerificationKey,
    domain: Fr,
    state: &mut ChainState,
    post: &Post,
    equations: Equations,
) -> Result<ReadPost, PostRejection> {
    let (expected, got) = (state.number + 1, post.batchNumber);
    if got != expected {
        return Err(PostRejection::WrongBatchNumber { expected, got });
    }
    let read = read(key, post)?;
    let k = state.ledger.k();
    let (expected, got) = (state.root, read.stored.root(k));
    if got != expected {
        return Err(PostRejection::WrongRoot { expected, got });
    }
    if let Some(grown) = &read.grown {
        if k >= key.k_max() {
            return Err(PostRejection::LedgerAtMaximum { k });
        }
        if equations == Equations::Checked {
            verify_growth(key, &read.stored, grown, k)?;
        }
    }
    for (record, open) in read.data.opens.iter().enumerate() {
        let asset = open.asset.get();
        if asset > state.asset_count {
            return Err(PostRejection::UnknownAsset { record, asset });
        }
    }
    serve(state, &read.data)?;
    let statement = read.statement(key, domain, k, state.head);
    if equations == Equations::Checked {
        verify_batch(key, &statement, &read.data, &read.proof)?;
    }
    let size = 1 << statement.k;
    let changes = effect(size, |index| state.ledger.get(index), &read.data)?;
    if read.grown.is_some() {
        state.ledger.grow();
    }
    for (index, _, after) in changes {
        state.ledger.set(index, after);
    }
    state.queue.drain(..(statement.end - statement.first) as usize);
    state.root = statement.new_root();
    state.number = read.number;
    state.head = statement.end;
    Ok(read)
}

/// Requires that deposits and forced exits are exactly the next entries, in order.
fn serve(
    state: &ChainState,
    data: &kerros_protocol::batch::BatchData,
) -> Result<(), PostRejection> {
    let claimed = data.queue_entries();
    let waiting = state.queue.len();
    if claimed > waiting as u64 {
        return Err(PostRejection::QueueTooShort { claimed, waiting });
    }
    let mut deposits = data.deposits.iter();
    let mut exits = data.exits.iter().filter(|exit| exit.forced);
    for (entry, queued) in (state.head..state.head + claimed).zip(&state.queue) {
        let served = match queued {
            QueueEntry::Deposit { amount, asset, key, owner } => deposits.next().is_some_and(|d| {
                (d.amount, d.asset.get(), d.key, d.owner) == (*amount, *asset, *key, *owner)
            }),
            QueueEntry::ForcedExit { index, requester } => exits
                .next()
                .is_some_and(|e| (e.from, e.recipient, e.fee.float()) == (*index, *requester, 0)),
        };
        if !served {
            return Err(PostRejection::QueueMismatch { entry });
        }
    }
    Ok(())
}
