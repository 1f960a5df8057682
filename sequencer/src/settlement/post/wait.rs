//! A post that waits, or cannot come any more: sent again, replaced by one with higher fees, its way
//! cleared, buried.

use super::{Body, Poster, Progress};
use crate::journal::{BlockPlace, Empty, Happened};
use crate::limits::{RESEND_MS, REVERTS_MAX};
use crate::main_chain::{At, Call, MainChainError};
use crate::planted::{Bug, planted};
use crate::settlement::attempts::{Attempt, History};
use crate::settlement::view::View;
use crate::settlement::{Halt, StepError, is_other_queue};
use std::sync::Arc;

impl Poster {
    /// Nothing new: but a node may have forgotten what waits, or never have got it.
    pub(super) async fn watch(
        &mut self,
        mut history: History,
        nonce: Option<u64>,
        view: &View,
    ) -> Result<Progress, StepError> {
        let Some(attempt) = waiting(&history, nonce).cloned() else { return Ok(Progress::Idle) };
        let (hash, now) = (attempt.hash(), (self.clock)());
        let just = |at: u64| now.saturating_sub(at) < RESEND_MS && at <= now;
        if self.resent.is_some_and(|(sent, at)| sent == hash && just(at)) {
            return Ok(Progress::Idle);
        }
        let chain = Arc::clone(&self.contract().chain);
        if chain.transaction(hash).await?.is_none() {
            // The block that it was in may have gone with others that it needs.
            let Body { call, .. } = self.body(history.batch, &attempt)?;
            if let Err(error) = chain.estimate_gas(call, view.at()).await {
                return self.refused(history.batch, error);
            }
            if attempt.sent {
                tracing::warn!(
                    batch = history.batch,
                    attempt = attempt.number,
                    transaction = %hash,
                    "the chain does not know this post any more: sending it again"
                );
            }
            return self.send(history, attempt.number).await;
        }
        if !attempt.sent {
            // The answer was lost, or the process died before it came.
            history.add(&self.journal, attempt.number, now, Happened::Sent(Empty {}))?;
        }
        Ok(Progress::Idle)
    }

    /// The same call and number for more.
    pub(super) async fn bump(
        &mut self,
        history: History,
        nonce: Option<u64>,
        view: &View,
    ) -> Result<Progress, StepError> {
        let Some(last) = waiting(&history, nonce).cloned() else { return Ok(Progress::Idle) };
        let body = self.body(history.batch, &last)?;
        let mut nonce = last.post.nonce;
        if planted(Bug::NewNonce) {
            nonce = self.contract().chain.nonce(self.wallet.address()).await?;
        }
        self.sign_and_send(history, body, nonce, Some(&last), view).await
    }

    /// A number before that of the waiting post is not used, although something had used it before a
    /// reorganisation: a payment of nothing to ourselves takes it.
    pub(super) async fn fill(&mut self, view: &View) -> Result<Progress, StepError> {
        let filling = History::load(&self.journal, 0)?;
        let Some(last) = waiting(&filling, Some(view.nonce)) else {
            tracing::warn!(nonce = view.nonce, "a number before the waiting post's is not used");
            let address = self.wallet.address();
            let call = Call { from: Some(address), to: Some(address), ..Call::default() };
            let body = Body { call, calldata_len: 0 };
            return self.sign_and_send(filling, body, view.nonce, None, view).await;
        };
        let late = (self.clock)().saturating_sub(last.post.signed_ms) >= self.bump_ms;
        match late || last.underpriced {
            true => self.bump(filling, Some(view.nonce), view).await,
            false => self.watch(filling, Some(view.nonce), view).await,
        }
    }

    /// The number of the live attempts is used, and the batch is not there: once that is final none of
    /// them can put it there any more.
    pub(super) async fn bury(
        &mut self,
        mut history: History,
        view: &View,
    ) -> Result<Progress, StepError> {
        let Some(nonce) = history.live().map(|last| last.post.nonce) else {
            return Ok(Progress::Moved);
        };
        let chain = Arc::clone(&self.contract().chain);
        let confirmations = if planted(Bug::BuriedEarly) { 0 } else { self.watched.confirmations };
        let Some(deep) = view.head.number.checked_sub(confirmations) else {
            return Ok(Progress::Idle);
        };
        let Some(deep) = chain.block(deep).await? else { return Ok(Progress::Idle) };
        let at = At::Hash(deep.hash);
        let used = chain.nonce_at(self.wallet.address(), at).await? > nonce;
        if !used || self.contract().batch_number_at(at).await? >= history.batch {
            return Ok(Progress::Idle);
        }
        let (place, now) = (BlockPlace::from(&deep), (self.clock)());
        let mut why = None;
        for attempt in history.all_live().iter().filter(|live| live.post.nonce <= nonce) {
            let receipt = chain.receipt(attempt.hash()).await?;
            if let Some(receipt) = receipt.filter(|receipt| !receipt.succeeded) {
                let block = BlockPlace { number: receipt.block, hash: receipt.block_hash.to_vec() };
                history.add(&self.journal, attempt.number, now, Happened::Reverted(block))?;
                why = Some(MainChainError::reverted(receipt.revert.unwrap_or_default()));
            }
            history.add(&self.journal, attempt.number, now, Happened::Dead(place.clone()))?;
            tracing::warn!(
                batch = history.batch,
                attempt = attempt.number,
                transaction = %attempt.hash(),
                reverted = why.is_some(),
                nonce,
                "attempt is dead: its number is used by another transaction, or it reverted"
            );
        }
        let reverts = history.attempts.iter().filter(|attempt| attempt.reverted).count();
        match why {
            // Gas was paid for nothing, although the call could be done when it was signed.
            Some(source) if reverts >= REVERTS_MAX && !is_other_queue(&source) => {
                Err(Halt::Refused { number: history.batch, source }.into())
            }
            _ => Ok(Progress::Moved),
        }
    }
}

/// The last attempt that may still be included, with this number if one is asked for.
fn waiting(history: &History, nonce: Option<u64>) -> Option<&Attempt> {
    let mut live = history.attempts.iter().rev().filter(|attempt| attempt.is_live());
    live.find(|attempt| nonce.is_none_or(|nonce| attempt.post.nonce == nonce))
}
