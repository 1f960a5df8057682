//! What the main chain shows at one block, and whether that block is worth acting on.
//!
//! Everything in a [`View`] is asked of one block by its hash, so that it cannot be put together from
//! answers about different ones, whichever node behind an address gives them. A block that is too old, or
//! lower than reorganisations explain, is not acted on.

use super::contract::Contract;
use super::{Halt, StepError};
use crate::limits::REORG_BLOCKS_MAX;
use crate::main_chain::{At, BlockHead, MainChainError};
use crate::ordering::Clock;
use alloy::primitives::Address;
use std::sync::{Arc, Mutex, PoisonError};

/// The chain at one block.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The block.
    pub head: BlockHead,
    /// The chain's id.
    pub chain_id: u64,
    /// Batches that the contract has after it.
    pub batches: u64,
    /// The poster's next number after it.
    pub nonce: u64,
}

impl View {
    /// The block, to ask it more.
    pub fn at(&self) -> At {
        At::Hash(self.head.hash)
    }
}

/// The contract, and what a block must be like to be believed.
pub struct Watched {
    /// Contract.
    pub contract: Contract,
    /// The chain's id at the start.
    pub chain_id: u64,
    /// Blocks on top of a final one.
    pub confirmations: u64,
    /// Greatest age of the newest block, ms; 0: any.
    pub head_age_ms_max: u64,
    /// Time.
    pub clock: Clock,
    /// The greatest number seen.
    pub highest: u64,
    /// Why nothing is posted at the moment.
    pub waits: Arc<Waits>,
}

impl Watched {
    /// Looks at the newest block.
    pub async fn look(&mut self, poster: Address) -> Result<View, StepError> {
        let view = self.view(poster).await;
        // That the chain is silent is told apart.
        if let Err(error) = &view
            && !matches!(error, MainChainError::Unreachable { .. })
        {
            self.waits.chain(error);
        }
        Ok(view?)
    }
    async fn view(&mut self, poster: Address) -> Result<View, MainChainError> {
        let head = self.head().await?;
        let at = At::Hash(head.hash);
        let batches = self.contract.batch_number_at(at).await?;
        let nonce = self.contract.chain.nonce_at(poster, at).await?;
        Ok(View { head, chain_id: self.chain_id, batches, nonce })
    }
    async fn head(&mut self) -> Result<BlockHead, MainChainError> {
        let (expected, found) = (self.chain_id, self.contract.chain.chain_id().await?);
        if found != expected {
            return Err(MainChainError::OtherChain { expected, found });
        }
        let head = self.contract.chain.head().await?;
        let (number, seen) = (head.number, self.highest);
        if number.saturating_add(self.confirmations.max(REORG_BLOCKS_MAX)) < seen {
            return Err(MainChainError::LowHead { number, seen });
        }
        let age_ms = (self.clock)().saturating_sub(head.timestamp.saturating_mul(1_000));
        let limit_ms = self.head_age_ms_max;
        if limit_ms > 0 && age_ms > limit_ms {
            return Err(MainChainError::OldHead { number, age_ms, limit_ms });
        }
        self.highest = seen.max(number);
        Ok(head)
    }
}

/// Why nothing is posted although something could be; the observer tells when it lasts.
#[derive(Debug, Default)]
pub struct Waits(Mutex<(Option<String>, Option<String>)>);

impl Waits {
    fn with<T>(&self, what: impl FnOnce(&mut (Option<String>, Option<String>)) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// A step begins.
    pub(super) fn begin(&self) {
        self.with(|(_, now)| *now = None);
    }
    /// A step has ended: what it met is what holds.
    pub(super) fn end(&self) {
        self.with(|(told, now)| {
            if let Some(why) = now.as_ref().filter(|_| told.is_none()) {
                tracing::warn!(%why, "posting waits");
            }
            *told = now.take();
        });
    }
    pub(super) fn chain(&self, error: &MainChainError) {
        self.with(|(_, now)| *now = Some(error.to_string()));
    }
    pub(super) fn fee(&self, batch: u64, suggested: u128, max: u128) {
        let gwei = |wei: u128| wei as f64 / 1e9;
        let (suggested, max) = (gwei(suggested), gwei(max));
        let why = format!(
            "batch {batch} waits for lower fees: the chain suggests {suggested} gwei, the maximum is {max}"
        );
        self.with(|(_, now)| *now = Some(why));
    }
    pub(super) fn sending(&self, batch: u64, error: &MainChainError) {
        let why = format!("the post of batch {batch} is not taken: {error}");
        self.with(|(_, now)| *now = Some(why));
    }
    pub(super) fn halt(&self, halt: &Halt) {
        let why = format!("settlement halts unless a reorganisation undoes it: {halt}");
        self.with(|(_, now)| *now = Some(why));
    }
    pub(super) fn queue(&self, batch: u64, error: &MainChainError) {
        let why = format!("batch {batch} waits for the queue entries that it serves: {error}");
        self.with(|(_, now)| *now = Some(why));
    }
    /// The reason, if there is one.
    pub fn why(&self) -> Option<String> {
        self.with(|(told, _)| told.clone())
    }
}
