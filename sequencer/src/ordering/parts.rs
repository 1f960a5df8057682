//! What the writer is made of, and what it shares with those who only read.

use super::{ReceiptSigner, Written};
use crate::admission::Repeats;
use crate::disk::Disk;
use crate::execution::Execution;
use crate::health::Pulse;
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;
use crate::mempool::ChainView;
use crate::sealing::SealerHandle;
use crate::verification::BatchVerifier;
use kerros_protocol::commitment::Srs;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// The executed state, shared with readers.
#[derive(Clone)]
pub struct Shared {
    pub(super) execution: Arc<RwLock<Execution>>,
    view: Arc<RwLock<ChainView>>,
    pub(super) pulse: Arc<Pulse>,
}

impl Shared {
    /// Shares a state.
    pub fn new(execution: Execution) -> Self {
        let (view, pulse) = Default::default();
        Self { execution: Arc::new(RwLock::new(execution)), view, pulse }
    }
    /// The state as executed. The writer holds the lock until a group is on disk.
    pub fn execution(&self) -> RwLockReadGuard<'_, Execution> {
        // A poisoned lock means that the writer has panicked: the service is about to end.
        self.execution.read().unwrap_or_else(PoisonError::into_inner)
    }
    /// Signs of life.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }
    /// Replaces what the main chain said.
    pub fn set_view(&self, view: ChainView) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
    }
    /// What the main chain said last.
    pub fn view(&self) -> ChainView {
        *self.view.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the writer needs.
pub struct Parts {
    /// The executed state.
    pub shared: Shared,
    /// The log.
    pub journal: Arc<Journal>,
    /// Told about closed batches.
    pub lifecycle: Arc<Lifecycle>,
    /// Gets closed batches.
    pub sealer: SealerHandle,
    /// Reference string.
    pub srs: Srs,
    /// For growth.
    pub verifier: Arc<dyn BatchVerifier>,
    /// Signs receipts.
    pub signer: ReceiptSigner,
    /// Told what was acknowledged.
    pub repeats: Arc<Repeats>,
    /// Told after every group.
    pub written: Arc<Written>,
    /// Room for what may wait.
    pub disk: Disk,
    /// Age at which a batch that is not empty is sealed, ms.
    pub batch_age_ms_max: u64,
    /// Time.
    pub clock: Clock,
}
