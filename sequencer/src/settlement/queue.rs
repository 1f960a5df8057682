//! Follows the contract's queue at the confirmation depth and hands its entries to the writer.
//!
//! Everything is read as of one block, by its hash. Where an entry came from (block and log) and what
//! it said is on disk before the writer gets it. If a reorganisation was deeper than the confirmations,
//! entries that were handed on are compared with the chain as it is now: the same ones only get their
//! new place; if one is changed or gone, nothing more is handed on or accepted until the chain has it
//! again, since no batch with it can be posted.

use super::contract::Contract;
use super::{Backoff, is_curable};
use crate::execution::QueueEntry;
use crate::journal::{Journal, JournalError, Origin};
use crate::limits::{LOG_BLOCKS_MAX, QUEUE_POLL_MAX, QUEUE_PREFETCH_MAX};
use crate::main_chain::{At, BlockHead, LogEntry, LogQuery, MainChainError};
use crate::mempool::{ChainView, Command};
use crate::ordering::Shared;
use alloy::primitives::B256;
use alloy::sol_types::SolEvent;
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::encoding::DecodeError;
use kerros_verifier::contract::{Kerros, StoredEntry};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;

/// Why following ended.
#[derive(Debug, Error)]
pub enum QueueError {
    /// An entry that the contract should have refused.
    #[error("queue entry {entry}: {source}")]
    Entry {
        /// Number.
        entry: u64,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The main chain, in a way that does not go away.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// The disk: fatal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A reorganisation deeper than the confirmations took something back that was handed on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reorganised {
    /// The queue is shorter now.
    #[error(
        "queue entry {entry}, taken from block {block} ({hash}), is gone: a reorganisation was deeper than \
         the confirmations"
    )]
    Gone {
        /// Number.
        entry: u64,
        /// Where it was.
        block: u64,
        /// Hash of that block.
        hash: B256,
    },
    /// There is another entry in its place.
    #[error(
        "queue entry {entry}, taken from block {block} ({hash}), is another one now: a reorganisation was \
         deeper than the confirmations"
    )]
    Changed {
        /// Number.
        entry: u64,
        /// Where it was.
        block: u64,
        /// Hash of that block.
        hash: B256,
    },
}

/// The follower.
pub struct QueueFollower {
    /// Contract.
    pub contract: Contract,
    /// To see what the writer has taken.
    pub shared: Shared,
    /// To the writer.
    pub commands: mpsc::Sender<Command>,
    /// Where entries came from.
    pub journal: Arc<Journal>,
    /// Depth.
    pub confirmations: u64,
    /// Pause between polls, ms.
    pub poll_ms: u64,
    /// What was handed on.
    pub cursor: Cursor,
}

/// How far the queue was handed on.
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    /// The first entry that was not.
    next: u64,
    /// The block as of which the entries before it are known to be on the chain.
    anchor: Option<(u64, B256)>,
}

impl Cursor {
    /// After a start: `next` is the first entry that no batch has.
    pub fn new(journal: &Journal, next: u64) -> Result<Self, JournalError> {
        let last = next.checked_sub(1).map(|last| journal.origin(last)).transpose()?.flatten();
        Ok(Self { next, anchor: last.map(|origin| (origin.block, origin.block_hash)) })
    }
}

impl QueueFollower {
    /// Follows until the writer is gone or the task is dropped.
    pub async fn run(mut self) -> Result<(), QueueError> {
        let mut backoff = Backoff::new();
        loop {
            let pause = match self.step().await {
                Ok(Step::Gone) => return Ok(()),
                Ok(Step::Behind) => Duration::ZERO,
                Ok(Step::Current) => {
                    backoff.reset();
                    Duration::from_millis(self.poll_ms)
                }
                Err(QueueError::Chain(error)) if is_curable(&error) => {
                    metrics::counter!(crate::metrics::CHAIN_FAILURES, "operation" => "queue")
                        .increment(1);
                    tracing::warn!(%error, "following the queue");
                    backoff.pause()
                }
                Err(error) => return Err(error),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The first look, before anybody is served: tells if what an earlier life handed on is gone.
    pub async fn begin(&self) -> Result<(), QueueError> {
        // So that the first request meets a sequencer that knows the registered assets.
        if let Some((view, depth)) = self.look().await? {
            self.shared.set_view(view);
            self.holds(&depth, view.queue_final).await?;
        }
        Ok(())
    }

    /// What the chain says now, and the block at the confirmation depth; none if the contract is not
    /// that deep yet.
    async fn look(&self) -> Result<Option<(ChainView, BlockHead)>, MainChainError> {
        let contract = &self.contract;
        let head = contract.chain.head().await?;
        self.shared.pulse().saw(head);
        let Some(number) = head.number.checked_sub(self.confirmations) else { return Ok(None) };
        let block = contract.chain.block(number).await?;
        let depth = block.ok_or(MainChainError::NoBlock { number })?;
        let (at, newest) = (At::Hash(depth.hash), At::Hash(head.hash));
        if contract.chain.code(contract.address, at).await?.is_empty() {
            return Ok(None);
        }
        let view = ChainView {
            last_asset: contract.read(Kerros::assetCountCall {}, at).await?,
            queue_final: contract.read(Kerros::tailCall {}, at).await?,
            queue_seen: contract.read(Kerros::tailCall {}, newest).await?,
            pending_deposits: contract.read(Kerros::pendingDepositsCall {}, newest).await?,
        };
        Ok(Some((view, depth)))
    }

    /// Hands over what comes next, if what was handed over still holds.
    pub(crate) async fn step(&mut self) -> Result<Step, QueueError> {
        let Some((view, depth)) = self.look().await? else { return Ok(Step::Current) };
        let (next, tail) = (self.cursor.next, view.queue_final);
        let taken = self.shared.read().await.queue_next();
        metrics::gauge!(crate::metrics::QUEUE_WAITING).set(tail.saturating_sub(taken) as f64);
        if !self.holds(&depth, tail).await? {
            return Ok(Step::Current);
        }
        let end = tail.min(next + QUEUE_POLL_MAX).min(taken + QUEUE_PREFETCH_MAX as u64);
        let origins = self.origins(next..end, &depth).await?;
        if !origins.is_empty() {
            self.journal.put_origins(&origins)?;
        }
        let changed = view != self.shared.view();
        let entries: Vec<_> = origins.iter().map(|(entry, it)| (*entry, it.content)).collect();
        if (changed || !entries.is_empty())
            && self.commands.send(Command::Chain { entries, view }).await.is_err()
        {
            return Ok(Step::Gone);
        }
        self.cursor = Cursor { next: end.max(next), anchor: Some((depth.number, depth.hash)) };
        // Only if this step got somewhere: else it is the writer that has to catch up.
        Ok(if (next + 1..tail).contains(&end) { Step::Behind } else { Step::Current })
    }

    /// Whether everything handed on is on the chain as of this block; tells if it is not.
    async fn holds(&self, depth: &BlockHead, tail: u64) -> Result<bool, QueueError> {
        let Some((number, hash)) = self.cursor.anchor else { return Ok(true) };
        if number > depth.number {
            // A chain that is still shorter, or a node that lags: nothing can be said yet.
            return Ok(false);
        }
        let block = self.contract.chain.block(number).await?;
        if block.is_some_and(|block| block.hash == hash) {
            self.shared.pulse().set_reorganised(None);
            return Ok(true);
        }
        let lost = self.compare(depth, tail).await?.err();
        let holds = lost.is_none();
        self.shared.pulse().set_reorganised(lost);
        Ok(holds)
    }

    /// Compares what was handed on and not served by a batch of that block with the queue there; the
    /// same entries get their new places.
    async fn compare(
        &self,
        depth: &BlockHead,
        tail: u64,
    ) -> Result<Result<(), Reorganised>, QueueError> {
        let at = At::Hash(depth.hash);
        let served = self.contract.read(Kerros::headCall {}, at).await?;
        let mut known = BTreeMap::new();
        for entry in served..self.cursor.next {
            // A version before this one kept no origins.
            let Some(origin) = self.journal.origin(entry)? else { continue };
            let (block, hash) = (origin.block, origin.block_hash);
            if entry >= tail {
                return Ok(Err(Reorganised::Gone { entry, block, hash }));
            }
            known.insert(entry, origin);
        }
        let (Some(first), Some(last)) = (known.keys().next(), known.keys().next_back()) else {
            return Ok(Ok(()));
        };
        let now = self.origins(*first..*last + 1, depth).await?;
        let mut moved = Vec::new();
        for (entry, origin) in now {
            let Some(before) = known.get(&entry).filter(|before| **before != origin) else {
                continue;
            };
            let (block, hash) = (before.block, before.block_hash);
            if before.content != origin.content {
                return Ok(Err(Reorganised::Changed { entry, block, hash }));
            }
            moved.push((entry, origin));
        }
        tracing::warn!(
            moved = moved.len(),
            "queue entries are in other blocks after a reorganisation"
        );
        self.journal.put_origins(&moved)?;
        Ok(Ok(()))
    }

    /// What these entries ask for, out of the contract's storage as of the block, and which logs
    /// announced them.
    async fn origins(
        &self,
        entries: std::ops::Range<u64>,
        depth: &BlockHead,
    ) -> Result<Vec<(u64, Origin)>, QueueError> {
        let contract = &self.contract;
        let mut contents = Vec::new();
        let mut times = None;
        for entry in entries {
            let call = Kerros::queueEntryCall { index: entry };
            let stored = contract.read(call, At::Hash(depth.hash)).await?.entry;
            let content = content(&stored).map_err(|source| QueueError::Entry { entry, source })?;
            let time = stored.enqueuedAt.to::<u64>();
            let (first, _) = times.unwrap_or((time, time));
            times = Some((first, time));
            contents.push((entry, content));
        }
        let Some((first, last)) = times else { return Ok(Vec::new()) };
        let from = self.first_block(first, depth).await?;
        let after = self.first_block(last.saturating_add(1), depth).await?;
        let to = after.checked_sub(1).ok_or_else(|| MainChainError::Nonsense {
            reason: format!("every block is said to be younger than queue entries of time {last}"),
        })?;
        let logs = self.announcements(from, to).await?;
        let mut origins = Vec::new();
        for (entry, content) in contents {
            let log = logs.get(&entry).filter(|(_, announced)| *announced == content);
            // Nodes show a block's state before its logs: ask again.
            let (log, _) = log.ok_or_else(|| MainChainError::Nonsense {
                reason: format!(
                    "queue entry {entry} is stored, but no event of blocks {from} to {to} says so"
                ),
            })?;
            let (block, block_hash, log_index) = (log.block, log.block_hash, log.index);
            origins.push((entry, Origin { block, block_hash, log_index, content }));
        }
        Ok(origins)
    }

    /// The first block of at least this time (Unix seconds); the one after `depth` if there is none.
    /// Looks back in steps that double, so that no block is asked for that is much older: nodes may
    /// have forgotten those.
    async fn first_block(&self, time: u64, depth: &BlockHead) -> Result<u64, MainChainError> {
        let (mut low, mut high, mut step) = (0, depth.number + 1, 1u64);
        while high > 0 {
            let number = high.saturating_sub(step);
            if self.time(number).await? < time {
                low = number + 1;
                break;
            }
            (high, step) = (number, step.saturating_mul(2));
        }
        while low < high {
            let number = low + (high - low) / 2;
            match self.time(number).await? < time {
                true => low = number + 1,
                false => high = number,
            }
        }
        Ok(low)
    }
    async fn time(&self, number: u64) -> Result<u64, MainChainError> {
        let block = self.contract.chain.block(number).await?;
        Ok(block.ok_or(MainChainError::NoBlock { number })?.timestamp)
    }

    /// Entries that logs of these blocks announce, with their logs.
    async fn announcements(
        &self,
        from: u64,
        to: u64,
    ) -> Result<BTreeMap<u64, (LogEntry, QueueEntry)>, QueueError> {
        let topic0 =
            vec![Kerros::DepositQueued::SIGNATURE_HASH, Kerros::ForcedExitQueued::SIGNATURE_HASH];
        let mut found = BTreeMap::new();
        let mut start = from;
        while start <= to {
            let end = to.min(start + LOG_BLOCKS_MAX - 1);
            let address = self.contract.address;
            let query = LogQuery { from: start, to: end, address, topic0: topic0.clone() };
            for log in self.contract.chain.logs(query).await? {
                if let Some((entry, content)) = announced(&log)? {
                    found.insert(entry, (log, content));
                }
            }
            start = end + 1;
        }
        Ok(found)
    }
}

/// What is left to do.
pub(crate) enum Step {
    /// Nothing before the chain moves.
    Current,
    /// More entries.
    Behind,
    /// The writer is gone.
    Gone,
}

/// An entry as the contract stores it.
fn content(stored: &StoredEntry) -> Result<QueueEntry, DecodeError> {
    // Only deposits have an owner; the kind is overwritten when an entry of a frozen contract is
    // given back.
    if !stored.owner.is_zero() {
        let owner = Address(stored.owner.into_array());
        deposit(stored.amount, stored.asset, stored.key.to_be_bytes(), owner)
    } else {
        // The contract keeps the index in the entry's `amount`.
        forced_exit(stored.amount, Address(stored.sender.into_array()))
    }
}

/// An entry as its log announces it; none if the log is another one. Public for the fuzzer, which has no
/// chain.
#[doc(hidden)]
pub fn announced(log: &LogEntry) -> Result<Option<(u64, QueueEntry)>, QueueError> {
    let topics = || log.topics.iter().copied();
    let (entry, content) =
        if let Ok(event) = Kerros::DepositQueued::decode_raw_log(topics(), &log.data) {
            let owner = Address(event.owner.into_array());
            let key = event.key.to_be_bytes();
            (event.entry, deposit(event.amount, event.asset, key, owner))
        } else if let Ok(event) = Kerros::ForcedExitQueued::decode_raw_log(topics(), &log.data) {
            let requester = Address(event.requester.into_array());
            (event.entry, forced_exit(event.index.into(), requester))
        } else {
            return Ok(None);
        };
    let content = content.map_err(|source| QueueError::Entry { entry, source })?;
    Ok(Some((entry, content)))
}

fn deposit(
    amount: u64,
    asset: u16,
    key: [u8; 32],
    owner: Address,
) -> Result<QueueEntry, DecodeError> {
    let (asset, key) = (AssetId::new(asset)?, AccountKey::from_be(&key)?);
    Ok(QueueEntry::Deposit { amount, asset, key, owner })
}

fn forced_exit(value: u64, requester: Address) -> Result<QueueEntry, DecodeError> {
    let index = u32::try_from(value).map_err(|_| DecodeError::OutOfRange {
        what: "forced exit's index",
        value,
        min: 1,
        max: u32::MAX.into(),
    })?;
    Ok(QueueEntry::ForcedExit { from: AccountIndex::new(index)?, requester })
}
