//! What the writer is made of, and what it shares with those who only read.

use super::{ReceiptSigner, Written};
use crate::admission::Repeats;
use crate::disk::Disk;
use crate::execution::Execution;
use crate::health::Pulse;
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;
use crate::limits::READERS_MAX;
use crate::mempool::ChainView;
use crate::sealing::SealerHandle;
use crate::verification::BatchVerifier;
use kerros_protocol::commitment::Srs;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{RwLock as FairLock, RwLockReadGuard, Semaphore, SemaphorePermit};

/// The executed state, shared with readers.
#[derive(Clone)]
pub struct Shared {
    /// Who waits for it in a task waits without a thread: the writer keeps it while the disk syncs.
    pub(super) execution: Arc<FairLock<Execution>>,
    readers: Arc<Semaphore>,
    view: Arc<RwLock<ChainView>>,
    pub(super) pulse: Arc<Pulse>,
}

impl Shared {
    /// Shares a state.
    pub fn new(execution: Execution) -> Self {
        let (view, pulse) = Default::default();
        let readers = Arc::new(Semaphore::new(READERS_MAX));
        Self { execution: Arc::new(FairLock::new(execution)), readers, view, pulse }
    }
    /// The state as executed, for threads; a task has to [`Shared::read`].
    pub fn execution(&self) -> RwLockReadGuard<'_, Execution> {
        self.execution.blocking_read()
    }
    /// The state as executed. The writer holds the lock until a group is on disk, so that nobody
    /// sees what a crash could take back; keep it over no `await`.
    pub async fn read(&self) -> Reader<'_> {
        let place = self.readers.acquire().await.expect("never closed");
        Reader { state: self.execution.read().await, _place: place }
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

/// The executed state, until it is dropped.
pub struct Reader<'a> {
    state: RwLockReadGuard<'a, Execution>,
    _place: SemaphorePermit<'a>,
}

impl Deref for Reader<'_> {
    type Target = Execution;
    fn deref(&self) -> &Execution {
        &self.state
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::tests::execution;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    fn poll<T>(task: &mut Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[test]
    fn however_many_want_to_read_the_writer_waits_for_few() {
        let shared = Shared::new(execution());
        let turn = shared.execution.try_write().expect("nobody reads");
        let mut readers: Vec<_> = (0..READERS_MAX + 10).map(|_| Box::pin(shared.read())).collect();
        assert!(readers.iter_mut().all(|reader| poll(reader).is_none()));
        let mut next = Box::pin(shared.execution.write());
        assert!(poll(&mut next).is_none());
        drop(turn);
        let reading: Vec<_> = readers.iter_mut().filter_map(poll).collect();
        assert_eq!(reading.len(), READERS_MAX);
        assert!(poll(&mut next).is_none());
        drop(reading);
        assert!(poll(&mut next).is_some(), "before the other ten");
    }
}
