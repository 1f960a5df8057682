//! Posting: the next verified batch, once, in order.
//!
//! The signed transaction is written down before it is sent: after a crash the same bytes are sent
//! again. The contract's own number and root decide what happens next, never our memory of it.

use super::contract::{Contract, Posted, post_call};
use super::{Halt, StepError};
use crate::journal::{BatchRecord, Journal, PostRecord, SettlementRecord};
use crate::lifecycle::Lifecycle;
use crate::limits::{DOUBTED_HALTS_MAX, LOG_BLOCKS_MAX, RESEND_MS};
use crate::main_chain::{At, Call, MainChainError, Refusal, Wallet};
use crate::ordering::Clock;
use crate::planted::{Bug, planted};
use alloy::primitives::{B256, U256};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::proto::BatchState;
use kerros_protocol::transcript::BatchProof;
use kerros_protocol::verification_key::VerificationKey;
use std::sync::Arc;

/// Posts batches.
pub struct Poster {
    /// Contract.
    pub contract: Contract,
    /// Signs posts.
    pub wallet: Wallet,
    /// States of batches.
    pub lifecycle: Arc<Lifecycle>,
    /// Disk.
    pub journal: Arc<Journal>,
    /// For decoding our own batches.
    pub key: VerificationKey,
    /// Time.
    pub clock: Clock,
    /// The batch whose post was sent by this process.
    pub sent: Option<u64>,
    /// Halts in a row that were not believed.
    pub doubted: u32,
}

/// Whether there is more to do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Something was done: look again.
    Moved,
    /// Nothing to do before a proof or a block comes.
    Idle,
}

impl Poster {
    /// Does the next thing, if there is one.
    ///
    /// A halt is believed only if the chain's head is the same after as before, or if it comes again and
    /// again: else the answers it rests on are of different blocks, and together they may say what
    /// never was.
    pub async fn step(&mut self) -> Result<Progress, StepError> {
        let before = self.contract.chain.head().await?;
        let result = self.advance().await;
        if let Err(StepError::Halt(halt)) = &result
            && self.doubted < DOUBTED_HALTS_MAX
            && self.contract.chain.head().await?.hash != before.hash
        {
            self.doubted += 1;
            tracing::warn!(%halt, "the main chain has moved meanwhile: looking again");
            return Ok(Progress::Idle);
        }
        self.doubted = 0;
        result
    }
    async fn advance(&mut self) -> Result<Progress, StepError> {
        let have = self.contract.batch_number().await?;
        self.take_back(have)?;
        let Some(record) = self.lifecycle.next_to_post() else {
            if have >= self.lifecycle.open() {
                let what = "fewer were sealed here";
                return Err(Halt::Inconsistent { have, what }.into());
            }
            return Ok(Progress::Idle);
        };
        let number = record.number;
        if have >= number {
            return self.adopt(record, have).await;
        }
        if have + 1 < number {
            return Err(Halt::Inconsistent { have, what: "ours before the next are final" }.into());
        }
        if record.state() != BatchState::Verified {
            return Ok(Progress::Idle);
        }
        match self.journal.post(number)? {
            None => self.post_first(&record).await,
            Some(post) => self.post_again(&record, post).await,
        }
    }

    /// A reorganisation took posts back.
    fn take_back(&mut self, have: u64) -> Result<(), StepError> {
        for number in self.lifecycle.in_state(BatchState::Posted) {
            if number > have {
                tracing::warn!(batch = number, "post was reorganised away: Verified again");
                // Nodes do not keep what a reorganisation took: the same bytes are sent at once.
                self.sent = None;
                self.lifecycle.take_back(number)?;
            }
        }
        Ok(())
    }

    /// The chain has this batch: checks that it is ours and records where it is.
    async fn adopt(&self, record: BatchRecord, have: u64) -> Result<Progress, StepError> {
        let number = record.number;
        let post = self.journal.post(number)?;
        let mut found = None;
        if let Some(post) = &post {
            let receipt = self.contract.chain.receipt(hash(post)).await?;
            found = receipt.and_then(|receipt| self.contract.posted(number, &receipt.logs));
        }
        if found.is_none() {
            found = self.search(&record).await?;
        }
        // Nodes show a block's state before its logs and receipts: ask again, and say so.
        let missing = || MainChainError::Nonsense {
            reason: format!("the contract has {have} batches, but no event of batch {number}"),
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
        let receipt = self.contract.chain.receipt(posted.transaction).await?;
        let settlement = SettlementRecord {
            transaction: posted.transaction.to_vec(),
            block: posted.block,
            block_hash: posted.block_hash.to_vec(),
            gas_used: receipt.map_or(0, |receipt| receipt.gas_used),
            posted_ms: (self.clock)(),
            final_ms: 0,
            calldata_len: post.map_or(0, |post| post.calldata_len),
        };
        metrics::counter!(crate::metrics::POSTED).increment(1);
        metrics::counter!(crate::metrics::POST_GAS).increment(settlement.gas_used);
        tracing::info!(batch = number, transaction = %posted.transaction, "Posted");
        self.lifecycle.update(number, |record| {
            record.settlement = Some(settlement);
            record.set_state(BatchState::Posted);
        })?;
        Ok(Progress::Moved)
    }
    async fn search(&self, record: &BatchRecord) -> Result<Option<Posted>, StepError> {
        let before = self.lifecycle.record(record.number.saturating_sub(1))?;
        let floor = before.and_then(|before| before.settlement).map_or(0, |place| place.block);
        let mut to = self.contract.chain.head().await?.number;
        loop {
            let from = to.saturating_sub(LOG_BLOCKS_MAX - 1).max(floor);
            let logs = self.contract.posts(from, to).await?;
            if let Some(posted) = self.contract.posted(record.number, &logs) {
                return Ok(Some(posted));
            }
            if from <= floor {
                return Ok(None);
            }
            to = from - 1;
        }
    }

    fn calldata(&self, record: &BatchRecord) -> Result<(SealedBatch, Vec<u8>), StepError> {
        let number = record.number;
        let unreadable = |what: String| Halt::Unreadable { number, what };
        let bytes = self.journal.sealed(number)?;
        let bytes = bytes.ok_or_else(|| unreadable("is missing".to_owned()))?;
        let batch = SealedBatch::decode(&bytes, &self.key.shape);
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        let proof = record.proof.as_ref().ok_or_else(|| unreadable("has no proof".to_owned()))?;
        let proof = BatchProof::decode(&proof.proof);
        let proof = proof.map_err(|error| unreadable(error.to_string()))?;
        let calldata = post_call(&batch, &proof);
        Ok((batch, calldata))
    }

    async fn post_first(&mut self, record: &BatchRecord) -> Result<Progress, StepError> {
        let number = record.number;
        let (batch, calldata) = self.calldata(record)?;
        let start = match &batch.before_growth {
            Some(before) => before.root(batch.k - 1),
            None => batch.old.root(batch.k),
        };
        let theirs = self.contract.root().await?;
        if theirs.as_slice() != start.0 {
            let (theirs, ours) = (theirs.to_string(), start.to_string());
            return Err(Halt::ForeignRoot { number, theirs, ours }.into());
        }
        let nonce = self.contract.chain.nonce(self.wallet.address()).await?;
        self.sign_and_send(number, calldata, nonce).await
    }
    async fn sign_and_send(
        &mut self,
        number: u64,
        calldata: Vec<u8>,
        nonce: u64,
    ) -> Result<Progress, StepError> {
        let chain = &self.contract.chain;
        let call = Call {
            from: Some(self.wallet.address()),
            to: Some(self.contract.address),
            value: U256::ZERO,
            input: calldata.clone().into(),
            gas: None,
        };
        let refused = |error: MainChainError| match error {
            MainChainError::Reverted { .. } | MainChainError::Halted { .. } => {
                StepError::Halt(Halt::Refused { number, source: error })
            }
            other => StepError::Chain(other),
        };
        let gas = chain.estimate_gas(call.clone(), At::Latest).await.map_err(refused)?;
        let signed = self.wallet.sign(chain.as_ref(), call, nonce, gas + gas / 8).await?;
        let post = PostRecord {
            hash: signed.hash.to_vec(),
            raw: signed.raw.to_vec(),
            nonce,
            signed_ms: (self.clock)(),
            calldata_len: calldata.len() as u64,
        };
        if planted(Bug::SendFirst) {
            let progress = self.send(number, &post).await?;
            self.journal.put_post(number, &post)?;
            return Ok(progress);
        }
        self.journal.put_post(number, &post)?;
        self.send(number, &post).await
    }
    async fn send(&mut self, number: u64, post: &PostRecord) -> Result<Progress, StepError> {
        let sent = self.contract.chain.send_raw(post.raw.clone().into()).await;
        match sent {
            Ok(_) | Err(MainChainError::Refused(Refusal::AlreadyKnown)) => {
                tracing::info!(batch = number, transaction = %hash(post), "post sent");
                self.sent = Some(number);
                Ok(Progress::Moved)
            }
            Err(error @ (MainChainError::Reverted { .. } | MainChainError::Halted { .. })) => {
                Err(Halt::Refused { number, source: error }.into())
            }
            Err(error) => {
                if matches!(error, MainChainError::Refused(Refusal::NonceTooLow { .. })) {
                    self.sent = None;
                }
                Err(error.into())
            }
        }
    }

    /// A post was signed before, and the contract does not have the batch.
    async fn post_again(
        &mut self,
        record: &BatchRecord,
        post: PostRecord,
    ) -> Result<Progress, StepError> {
        let number = record.number;
        let ours = self.sent == Some(number);
        let chain = &self.contract.chain;
        match chain.receipt(hash(&post)).await? {
            Some(receipt) if receipt.succeeded => {
                // Included between our questions, or the contract's answer is older: ask again.
                return Ok(Progress::Idle);
            }
            Some(receipt) if ours => {
                let source = MainChainError::reverted(receipt.revert.unwrap_or_default());
                return Err(Halt::Refused { number, source }.into());
            }
            // Failed before this process started; the operator may have cured the cause.
            Some(_) => return self.post_first(record).await,
            None => {}
        }
        let late = (self.clock)().saturating_sub(post.signed_ms) >= RESEND_MS;
        if ours && !late {
            return Ok(Progress::Idle);
        }
        if late {
            // The same number in the sender's order, so that at most one of the two is included.
            let next = chain.nonce(self.wallet.address()).await?;
            let (_, calldata) = self.calldata(record)?;
            let taken = next > post.nonce + 1 || planted(Bug::NewNonce);
            let nonce = if taken { next } else { post.nonce };
            return self.sign_and_send(number, calldata, nonce).await;
        }
        match self.send(number, &post).await {
            Err(StepError::Chain(MainChainError::Refused(Refusal::NonceTooLow { .. }))) => {
                // Another transaction took the number: these bytes can never be included.
                self.post_first(record).await
            }
            other => other,
        }
    }
}

fn hash(post: &PostRecord) -> B256 {
    B256::try_from(post.hash.as_slice()).unwrap_or_default()
}
