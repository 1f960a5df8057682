//! Posted to Final: deep enough, and still in the same block.

use super::StepError;
use super::attempts::History;
use super::contract::Contract;
use crate::journal::{BlockPlace, Journal};
use crate::lifecycle::Lifecycle;
use crate::ordering::Clock;
use crate::planted::{Bug, planted};
use alloy::primitives::B256;
use kerros_protocol::proto::BatchState;
use std::sync::Arc;

/// Watches posted batches.
pub struct Finality {
    /// Contract.
    pub contract: Contract,
    /// States of batches.
    pub lifecycle: Arc<Lifecycle>,
    /// Disk.
    pub journal: Arc<Journal>,
    /// Blocks on top of a final one.
    pub confirmations: u64,
    /// Time.
    pub clock: Clock,
}

impl Finality {
    /// Moves batches that are deep enough to Final, in order; takes back those whose block is gone.
    pub async fn step(&self) -> Result<(), StepError> {
        let posted = self.lifecycle.in_state(BatchState::Posted);
        if posted.is_empty() {
            return Ok(());
        }
        let chain = &self.contract.chain;
        let head = chain.head().await?.number;
        for number in posted {
            let record = self.lifecycle.record(number)?;
            let Some(place) = record.and_then(|record| record.settlement) else { return Ok(()) };
            if head < place.block {
                // Rather a node that lags than a chain that got shorter: it will grow.
                return Ok(());
            }
            // A node that does not have the block yet, behind the address of one that does.
            let Some(block) = chain.block(place.block).await? else { return Ok(()) };
            if block.hash.as_slice() != place.block_hash {
                tracing::warn!(batch = number, "its block was reorganised away: Verified again");
                self.lifecycle.take_back(number)?;
                return Ok(());
            }
            let before = number == 1 || self.lifecycle.last_final() + 1 == number;
            if !before
                || (head.saturating_sub(place.block) < self.confirmations
                    && !planted(Bug::FinalAtOnce))
            {
                return Ok(());
            }
            let final_ms = (self.clock)();
            let block = BlockPlace { number: place.block, hash: place.block_hash };
            let transaction = B256::try_from(place.transaction.as_slice()).unwrap_or_default();
            let mut history = History::load(&self.journal, number)?;
            history.settled(&self.journal, transaction, &block, final_ms)?;
            self.lifecycle.update(number, |record| {
                if let Some(settlement) = &mut record.settlement {
                    settlement.final_ms = final_ms;
                }
                record.set_state(BatchState::Final);
            })?;
            tracing::info!(batch = number, "Final");
        }
        Ok(())
    }
}
