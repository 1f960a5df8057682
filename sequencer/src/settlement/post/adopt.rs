//! A batch that the chain has: whether it is ours, and where it is.

use super::{Poster, Progress};
use crate::journal::{BatchRecord, BlockPlace, SettlementRecord};
use crate::limits::LOG_BLOCKS_MAX;
use crate::main_chain::MainChainError;
use crate::settlement::attempts::History;
use crate::settlement::contract::Posted;
use crate::settlement::view::View;
use crate::settlement::{Halt, StepError};
use kerros_protocol::proto::BatchState;

impl Poster {
    /// The chain has this batch: checks that it is ours and records where it is.
    pub(super) async fn adopt(
        &self,
        record: BatchRecord,
        view: &View,
    ) -> Result<Progress, StepError> {
        let (number, chain) = (record.number, &self.contract().chain);
        let mut history = History::load(&self.journal, number)?;
        let mut found = None;
        for attempt in history.attempts.iter().rev() {
            let receipt = chain.receipt(attempt.hash()).await?;
            found = receipt.and_then(|receipt| self.contract().posted(number, &receipt.logs));
            if found.is_some() {
                break;
            }
        }
        if found.is_none() {
            found = self.search(&record, view).await?;
        }
        // Nodes show a block's state before its logs and receipts: ask again, and say so.
        let missing = || MainChainError::Nonsense {
            reason: format!(
                "the contract has {} batches, but no event of batch {number}",
                view.batches
            ),
        };
        let posted = found.ok_or_else(missing)?;
        if posted.new_root.as_slice() != record.new_root {
            let ours = hex::encode(&record.new_root);
            let theirs = hex::encode(posted.new_root);
            return Err(Halt::ForeignBatch { number, theirs, ours }.into());
        }
        if record.state() < BatchState::Verified {
            // Ours by its root, although no proof is stored: posted by a stranger. Its place
            // counts; what we still miss is only the proof's bytes.
            tracing::warn!(batch = number, "on the main chain without a proof of ours");
        }
        let receipt = chain.receipt(posted.transaction).await?;
        let place = BlockPlace { number: posted.block, hash: posted.block_hash.to_vec() };
        history.included(&self.journal, posted.transaction, &place, (self.clock)())?;
        let settlement = SettlementRecord {
            transaction: posted.transaction.to_vec(),
            block: posted.block,
            block_hash: place.hash,
            gas_used: receipt.map_or(0, |receipt| receipt.gas_used),
            posted_ms: (self.clock)(),
            final_ms: 0,
            calldata_len: history.attempts.last().map_or(0, |last| last.post.calldata_len),
        };
        metrics::counter!(crate::metrics::POSTED).increment(1);
        metrics::counter!(crate::metrics::POST_GAS).increment(settlement.gas_used);
        tracing::info!(batch = number, transaction = %posted.transaction, block = posted.block, "Posted");
        self.lifecycle.update(number, |record| {
            record.settlement = Some(settlement);
            record.set_state(BatchState::Posted);
        })?;
        Ok(Progress::Moved)
    }
    async fn search(&self, record: &BatchRecord, view: &View) -> Result<Option<Posted>, StepError> {
        let before = self.lifecycle.record(record.number.saturating_sub(1))?;
        let floor = before.and_then(|before| before.settlement).map_or(0, |place| place.block);
        let mut to = view.head.number;
        loop {
            let from = to.saturating_sub(LOG_BLOCKS_MAX - 1).max(floor);
            let logs = self.contract().posts(from, to).await?;
            if let Some(posted) = self.contract().posted(record.number, &logs) {
                return Ok(Some(posted));
            }
            if from <= floor {
                return Ok(None);
            }
            to = from - 1;
        }
    }
}
