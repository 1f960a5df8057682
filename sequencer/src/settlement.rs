//! Settlement: what the main chain's queue says, posting verified batches in order, finality.
//!
//! Invariants: a batch is posted only if its proof was verified here and the contract's root is the
//! one the batch starts from; before sending, the contract is asked at one block what it has, and the disk
//! what was signed before, so that a restart neither posts twice nor skips. What cannot be cured by waiting halts settlement, not the service.

pub mod attempts;
pub mod contract;
pub mod finality;
pub mod post;
pub mod queue;
pub mod view;

use crate::journal::JournalError;
use crate::limits::{RETRY_MS_MAX, RETRY_MS_MIN};
use crate::main_chain::MainChainError;
use kerros_verifier::contract::KerrosErrors;
use std::time::Duration;
use thiserror::Error;

/// Why settlement has stopped until an operator looks.
#[derive(Debug, Error)]
pub enum Halt {
    /// The chain has a batch of this number that is not ours.
    #[error("batch {number} on the main chain has root {theirs}, ours has {ours}")]
    ForeignBatch {
        /// Number.
        number: u64,
        /// On the chain.
        theirs: String,
        /// In our journal.
        ours: String,
    },
    /// The contract's root is not where our next batch starts.
    #[error("the contract's root is {theirs}, batch {number} starts from {ours}")]
    ForeignRoot {
        /// Our next batch.
        number: u64,
        /// On the chain.
        theirs: String,
        /// In our journal.
        ours: String,
    },
    /// The contract has more batches than were ever sealed here, or fewer than were final.
    #[error("the contract has {have} batches, but {what}")]
    Inconsistent {
        /// Batches on the chain.
        have: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// The contract refuses the post.
    #[error("posting batch {number}: {source}")]
    Refused {
        /// The batch.
        number: u64,
        /// The revert.
        source: MainChainError,
    },
    /// Our own stored batch or proof cannot be read.
    #[error("batch {number} on disk: {what}")]
    Unreadable {
        /// The batch.
        number: u64,
        /// What.
        what: String,
    },
}

/// Why a step was not done.
#[derive(Debug, Error)]
pub enum StepError {
    /// Needs an operator.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The main chain; tried again.
    #[error(transparent)]
    Chain(#[from] MainChainError),
    /// The disk: fatal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Whether a failure may go away by itself or by funding the operator's account.
pub(crate) fn is_curable(error: &MainChainError) -> bool {
    error.is_transient()
        || matches!(
            error,
            MainChainError::Answered { .. }
                | MainChainError::Nonsense { .. }
                | MainChainError::TooManyLogs { .. }
                // Whatever it says: it is one node's word, and nothing proves it.
                | MainChainError::Refused(_)
        )
}

/// Whether the contract's queue is not the one that a batch serves: entries that were deep enough when
/// they were taken are not there, or others are.
pub(crate) fn is_other_queue(error: &MainChainError) -> bool {
    let other = |error: &KerrosErrors| {
        matches!(error, KerrosErrors::QueueTooShort(_) | KerrosErrors::QueueMismatch(_))
    };
    error.contract_error().is_some_and(other)
}

/// Pauses that double up to a bound.
#[derive(Debug)]
pub(crate) struct Backoff {
    next_ms: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next_ms: RETRY_MS_MIN }
    }
    pub(crate) fn reset(&mut self) {
        self.next_ms = RETRY_MS_MIN;
    }
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = Duration::from_millis(self.next_ms);
        self.next_ms = (self.next_ms * 2).min(RETRY_MS_MAX);
        pause
    }
}
