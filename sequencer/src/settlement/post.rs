//! Posting: the next verified batch, once, in order.
//!
//! Every step takes one block and asks everything of that very block: how many batches the contract
//! has, its root, the poster's next number. What was sent before is folded from the disk
//! (`attempts`), and a signed transaction is written down before it is sent. A batch gets a second
//! number only when a final block shows the first one used and the batch not there; whatever is sent
//! until then has the first. The poster's account is for posts alone: what else waits with its next
//! number is outbid.

mod adopt;
mod wait;

use super::attempts::{self, Attempt, History, Next};
use super::contract::{Contract, post_call};
use super::view::{View, Watched};
use super::{Halt, StepError, is_other_queue};
use crate::journal::{BatchRecord, Empty, Happened, Journal, PostRecord};
use crate::lifecycle::Lifecycle;
use crate::limits::DOUBTED_HALTS_MAX;
use crate::main_chain::{Call, Fees, MainChainError, Refusal, Wallet};
use crate::ordering::Clock;
use crate::planted::{Bug, planted};
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy::primitives::B256;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::proto::BatchState;
use kerros_protocol::transcript::BatchProof;
use kerros_protocol::verification_key::VerificationKey;
use std::sync::Arc;

/// Posts batches.
pub struct Poster {
    /// Looks at the contract.
    pub watched: Watched,
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
    /// A post that waits longer than this is replaced by one with higher fees, ms.
    pub bump_ms: u64,
    /// The most a post offers, wei per gas.
    pub fee_max: u128,
    /// What was sent last and when: only so that it is not sent again at once.
    pub resent: Option<(B256, u64)>,
    /// Halts in a row that were not believed.
    pub doubted: u32,
    /// Head at which the chain first said what halts, if it has said so ever since.
    pub contradicted: Option<u64>,
}

/// Whether there is more to do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Something was done: look again.
    Moved,
    /// Nothing to do before a proof or a block comes.
    Idle,
}

/// What a post says and up to which number of gas.
struct Body {
    call: Call,
    calldata_len: u64,
}

impl Poster {
    fn contract(&self) -> &Contract {
        &self.watched.contract
    }
    /// Does the next thing, if there is one.
    ///
    /// What the chain says is a reason to halt only when it has said so for `confirmations` blocks: until
    /// then a reorganisation may undo it, and waiting does all that a halt would. And only if the head is
    /// the same after as before, or if it comes again and again: a block that is gone by now may have said
    /// what will never be.
    pub async fn step(&mut self) -> Result<Progress, StepError> {
        self.watched.waits.begin();
        let result = self.look_and_advance().await;
        self.watched.waits.end();
        result
    }
    async fn look_and_advance(&mut self) -> Result<Progress, StepError> {
        let view = self.watched.look(self.wallet.address()).await?;
        let result = self.advance(&view).await;
        if result.is_ok() {
            self.contradicted = None;
        }
        if let Err(StepError::Halt(halt)) = &result
            && !matches!(halt, Halt::Unreadable { .. })
        {
            let (head, confirmations) = (view.head.number, self.watched.confirmations);
            let since = *self.contradicted.get_or_insert(head);
            if head < since.saturating_add(confirmations) {
                self.watched.waits.halt(halt);
                return Ok(Progress::Idle);
            }
        }
        if let Err(StepError::Halt(halt)) = &result
            && self.doubted < DOUBTED_HALTS_MAX
            && self.contract().chain.head().await?.hash != view.head.hash
        {
            self.doubted += 1;
            tracing::warn!(%halt, "the main chain has moved meanwhile: looking again");
            return Ok(Progress::Idle);
        }
        self.doubted = 0;
        result
    }
    async fn advance(&mut self, view: &View) -> Result<Progress, StepError> {
        let have = view.batches;
        self.take_back(view)?;
        let Some(record) = self.lifecycle.next_to_post() else {
            if have >= self.lifecycle.open() {
                let what = "fewer were sealed here";
                return Err(Halt::Inconsistent { have, what }.into());
            }
            return Ok(Progress::Idle);
        };
        let number = record.number;
        if have >= number {
            return self.adopt(record, view).await;
        }
        if have + 1 < number {
            if self.is_above(view, number - 1)? {
                return Ok(Progress::Idle);
            }
            return Err(Halt::Inconsistent { have, what: "ours before the next are final" }.into());
        }
        if record.state() != BatchState::Verified {
            return Ok(Progress::Idle);
        }
        let mut history = History::load(&self.journal, number)?;
        history.lost(&self.journal, (self.clock)())?;
        match attempts::next(&history, view.nonce, (self.clock)(), self.bump_ms) {
            Next::Sign => self.post_first(&record, history, view).await,
            Next::Watch => self.watch(history, None, view).await,
            Next::Bump => self.bump(history, None, view).await,
            Next::Fill => self.fill(view).await,
            Next::Bury => self.bury(history, view).await,
        }
    }

    /// Whether the batch was seen in a block above this head: then it is the head that lags.
    fn is_above(&self, view: &View, number: u64) -> Result<bool, StepError> {
        let place = self.lifecycle.record(number)?.and_then(|record| record.settlement);
        Ok(place.is_some_and(|place| place.block > view.head.number))
    }

    /// A reorganisation took posts back.
    fn take_back(&mut self, view: &View) -> Result<(), StepError> {
        for number in self.lifecycle.in_state(BatchState::Posted) {
            if number > view.batches && !self.is_above(view, number)? {
                tracing::warn!(batch = number, "post was reorganised away: Verified again");
                // Nodes do not keep what a reorganisation took: the same bytes are sent at once.
                self.resent = None;
                self.lifecycle.take_back(number)?;
            }
        }
        Ok(())
    }

    fn sealed(&self, record: &BatchRecord) -> Result<(SealedBatch, Body), StepError> {
        let number = record.number;
        let unreadable = |what: String| Halt::Unreadable { number, what };
        let bytes = self.journal.sealed(number)?;
        let bytes = bytes.ok_or_else(|| unreadable("is missing".to_owned()))?;
        let batch = SealedBatch::decode(&bytes, &self.key.shape);
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        let proof = record.proof.as_ref().ok_or_else(|| unreadable("has no proof".to_owned()))?;
        let proof = BatchProof::decode(&proof.proof);
        let proof = proof.map_err(|error| unreadable(error.to_string()))?;
        let input = post_call(&batch, &proof);
        let calldata_len = input.len() as u64;
        let call = Call {
            from: Some(self.wallet.address()),
            to: Some(self.contract().address),
            input: input.into(),
            ..Call::default()
        };
        Ok((batch, Body { call, calldata_len }))
    }

    async fn post_first(
        &mut self,
        record: &BatchRecord,
        history: History,
        view: &View,
    ) -> Result<Progress, StepError> {
        let number = record.number;
        let (batch, body) = self.sealed(record)?;
        let start = match &batch.before_growth {
            Some(before) => before.root(batch.k - 1),
            None => batch.old.root(batch.k),
        };
        let theirs = self.contract().root_at(view.at()).await?;
        if theirs.as_slice() != start.0 {
            let (theirs, ours) = (theirs.to_string(), start.to_string());
            return Err(Halt::ForeignRoot { number, theirs, ours }.into());
        }
        // The lowest number that is not used: there is never a gap before it, and what waits with it, an
        // obsolete post of ours for example, can then not be included any more.
        self.sign_and_send(history, body, view.nonce, None, view).await
    }

    /// Signs what a body says and sends it, for more than `before` offers; leaves everything as it is if
    /// that is above the maximum.
    async fn sign_and_send(
        &mut self,
        mut history: History,
        body: Body,
        nonce: u64,
        before: Option<&Attempt>,
        view: &View,
    ) -> Result<Progress, StepError> {
        let number = history.batch;
        let chain = Arc::clone(&self.contract().chain);
        let gas = match chain.estimate_gas(body.call.clone(), view.at()).await {
            Ok(gas) => gas,
            Err(error) => return self.refused(number, error),
        };
        let suggested = chain.fees().await?;
        let had = before.map(|before| Self::offer(number, before)).transpose()?;
        let had = if planted(Bug::SmallBump) { None } else { had };
        let fees = attempts::fees(suggested, had, self.fee_max);
        if fees.is_none() || suggested.max_fee_per_gas > self.fee_max {
            self.watched.waits.fee(number, suggested.max_fee_per_gas, self.fee_max);
        }
        let Some(fees) = fees else { return self.watch(history, Some(nonce), view).await };
        let calldata_len = body.calldata_len;
        // With some to spare, but an honest estimate stays below what a transaction may have (EIP-7825).
        let limit = match gas <= MAX_TX_GAS_LIMIT_OSAKA {
            true => (gas + gas / 8).min(MAX_TX_GAS_LIMIT_OSAKA),
            false => gas.saturating_add(gas / 8),
        };
        let signed = self.wallet.sign_for(view.chain_id, body.call, nonce, limit, fees);
        let post = PostRecord {
            hash: signed.hash.to_vec(),
            raw: signed.raw.to_vec(),
            nonce,
            signed_ms: (self.clock)(),
            calldata_len,
        };
        let kind = if before.is_some() { "bump" } else { "first" };
        metrics::counter!(crate::metrics::POST_ATTEMPTS, "kind" => kind).increment(1);
        metrics::gauge!(crate::metrics::POST_FEE).set(fees.max_fee_per_gas as f64 / 1e9);
        if planted(Bug::SendFirst) {
            let _ = chain.send_raw(signed.raw).await;
        }
        let attempt = history.sign(&self.journal, post)?;
        tracing::info!(
            batch = number,
            attempt,
            transaction = %signed.hash,
            nonce,
            max_fee_wei = fees.max_fee_per_gas,
            tip_wei = fees.max_priority_fee_per_gas,
            gas_limit = limit,
            "post signed"
        );
        self.send(history, attempt).await
    }
    /// What an attempt says.
    fn body(&self, number: u64, attempt: &Attempt) -> Result<Body, StepError> {
        let envelope = TxEnvelope::decode_2718(&mut attempt.post.raw.as_slice());
        let envelope = envelope.map_err(|_| Self::unreadable(number, attempt))?;
        let call = Call {
            from: Some(self.wallet.address()),
            to: envelope.to(),
            value: envelope.value(),
            input: envelope.input().clone(),
            gas: None,
        };
        Ok(Body { call, calldata_len: attempt.post.calldata_len })
    }
    fn unreadable(number: u64, attempt: &Attempt) -> Halt {
        let what = format!("attempt {}: its transaction cannot be read", attempt.number);
        Halt::Unreadable { number, what }
    }
    fn offer(number: u64, attempt: &Attempt) -> Result<Fees, StepError> {
        Ok(attempt.offer().ok_or_else(|| Self::unreadable(number, attempt))?.0)
    }

    async fn send(&mut self, mut history: History, number: u32) -> Result<Progress, StepError> {
        let batch = history.batch;
        let place = history.attempts.iter().find(|attempt| attempt.number == number);
        let attempt = place.expect("one of its own").clone();
        self.resent = Some((attempt.hash(), (self.clock)()));
        let sent = self.contract().chain.send_raw(attempt.post.raw.clone().into()).await;
        match sent {
            Ok(_) | Err(MainChainError::Refused(Refusal::AlreadyKnown)) => {
                tracing::info!(batch, attempt = number, transaction = %attempt.hash(), "post sent");
                if !attempt.sent || attempt.underpriced {
                    let what = Happened::Sent(Empty {});
                    history.add(&self.journal, number, (self.clock)(), what)?;
                }
                Ok(Progress::Moved)
            }
            Err(error) => {
                let cheap = matches!(error, MainChainError::Refused(Refusal::FeeTooLow { .. }));
                if cheap && !attempt.underpriced {
                    let what = Happened::Underpriced(Empty {});
                    history.add(&self.journal, number, (self.clock)(), what)?;
                }
                if cheap || matches!(error, MainChainError::Unreachable { .. }) {
                    return Err(error.into());
                }
                // It was not run, so this is only what some node says: told, and tried again.
                self.resent = None;
                self.watched.waits.sending(batch, &error);
                Err(match error {
                    MainChainError::Reverted { .. } | MainChainError::Halted { .. } => {
                        MainChainError::from(Refusal::Invalid { detail: error.to_string() })
                    }
                    error => error,
                }
                .into())
            }
        }
    }
    /// The call cannot be done. If only because the queue is another one since a deep reorganisation, it
    /// can be done again once the chain has the entries that the batch serves: waits for that.
    fn refused(&self, number: u64, source: MainChainError) -> Result<Progress, StepError> {
        match source {
            source if is_other_queue(&source) => {
                self.watched.waits.queue(number, &source);
                Ok(Progress::Idle)
            }
            source @ (MainChainError::Reverted { .. } | MainChainError::Halted { .. }) => {
                Err(Halt::Refused { number, source }.into())
            }
            other => Err(other.into()),
        }
    }
}
