//! Follows the contract's queue at the confirmation depth and hands its entries to the writer.

use super::contract::Contract;
use super::{Backoff, is_curable};
use crate::execution::QueueEntry;
use crate::limits::{QUEUE_POLL_MAX, QUEUE_PREFETCH_MAX};
use crate::main_chain::{At, MainChainError};
use crate::mempool::{ChainView, Command};
use crate::ordering::Shared;
use kerros_protocol::account::{AccountIndex, AccountKey, Address, AssetId};
use kerros_protocol::encoding::DecodeError;
use kerros_verifier::contract::Kerros;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;

/// Kind of a deposit in the contract's storage.
const DEPOSIT: u8 = 1;

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
}

/// The follower.
pub struct QueueFollower {
    /// Contract.
    pub contract: Contract,
    /// To see what the writer has taken.
    pub shared: Shared,
    /// To the writer.
    pub commands: mpsc::Sender<Command>,
    /// Depth.
    pub confirmations: u64,
    /// Pause between polls, ms.
    pub poll_ms: u64,
}

impl QueueFollower {
    /// Follows until the writer is gone or the task is dropped.
    pub async fn run(self) -> Result<(), QueueError> {
        let mut next = self.shared.read().await.queue_next();
        let mut backoff = Backoff::new();
        loop {
            let pause = match self.step(&mut next).await {
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

    /// What the chain says now, and at which block; none if the contract is not that deep yet.
    pub async fn look(&self) -> Result<Option<(ChainView, At)>, MainChainError> {
        let contract = &self.contract;
        let head = contract.chain.head().await?;
        self.shared.pulse().saw(head);
        let Some(depth) = head.number.checked_sub(self.confirmations) else { return Ok(None) };
        let at = At::Block(depth);
        if contract.chain.code(contract.address, at).await?.is_empty() {
            return Ok(None);
        }
        let view = ChainView {
            last_asset: contract.read(Kerros::assetCountCall {}, at).await?,
            queue_final: contract.read(Kerros::tailCall {}, at).await?,
            queue_seen: contract.read(Kerros::tailCall {}, At::Latest).await?,
            pending_deposits: contract.read(Kerros::pendingDepositsCall {}, At::Latest).await?,
        };
        Ok(Some((view, at)))
    }

    /// Hands over what comes after entry `next`, and moves `next`.
    pub(crate) async fn step(&self, next: &mut u64) -> Result<Step, QueueError> {
        let contract = &self.contract;
        let Some((view, at)) = self.look().await? else { return Ok(Step::Current) };
        let tail = view.queue_final;
        let taken = self.shared.read().await.queue_next();
        metrics::gauge!(crate::metrics::QUEUE_WAITING).set(tail.saturating_sub(taken) as f64);
        let end = tail.min(*next + QUEUE_POLL_MAX).min(taken + QUEUE_PREFETCH_MAX as u64);
        let mut entries = Vec::new();
        for entry in *next..end {
            let answer = contract.read(Kerros::queueEntryCall { index: entry }, at).await?;
            let stored = answer.entry;
            let content = if stored.kind == DEPOSIT {
                let owner = Address(stored.owner.into_array());
                deposit(stored.amount, stored.asset, stored.key.to_be_bytes(), owner)
            } else {
                forced_exit(stored.amount, Address(stored.sender.into_array()))
            };
            let content = content.map_err(|source| QueueError::Entry { entry, source })?;
            entries.push((entry, content));
        }
        let changed = view != self.shared.view();
        if (changed || !entries.is_empty())
            && self.commands.send(Command::Chain { entries, view }).await.is_err()
        {
            return Ok(Step::Gone);
        }
        *next = end.max(*next);
        Ok(if *next < tail && end > taken { Step::Behind } else { Step::Current })
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

fn deposit(
    amount: u64,
    asset: u16,
    key: [u8; 32],
    owner: Address,
) -> Result<QueueEntry, DecodeError> {
    let (asset, key) = (AssetId::new(asset)?, AccountKey::from_be(&key)?);
    Ok(QueueEntry::Deposit { amount, asset, key, owner })
}

/// The contract keeps the index in the entry's `amount`.
fn forced_exit(value: u64, requester: Address) -> Result<QueueEntry, DecodeError> {
    let index = u32::try_from(value).map_err(|_| DecodeError::OutOfRange {
        what: "forced exit's index",
        value,
        min: 1,
        max: u32::MAX.into(),
    })?;
    Ok(QueueEntry::ForcedExit { from: AccountIndex::new(index)?, requester })
}
