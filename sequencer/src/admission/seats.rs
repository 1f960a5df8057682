//! How much of the sequencer one connection may occupy.
//!
//! Every request between arrival and answer holds a seat. A connection has a few of its own, which
//! nobody can take, and may take more from a pool that all share, up to a bound, unless it sent a wrong
//! signature not long ago. So memory is
//! bounded, and a client with few requests under way is served whatever others do.

use crate::limits::{BACKLOG_MAX, LONG_CALLS_PER_CONNECTION_MAX, SEATS_MAX, SEATS_OWN, SUSPICION};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Seats of all connections.
#[derive(Clone)]
pub struct Hall {
    shared: Arc<Semaphore>,
    next: Arc<AtomicU64>,
}

impl Default for Hall {
    fn default() -> Self {
        Self { shared: Arc::new(Semaphore::new(BACKLOG_MAX)), next: Arc::new(AtomicU64::new(1)) }
    }
}

/// Where requests come from: a connection.
pub struct Source {
    /// Unique in this process.
    pub id: u64,
    own: Arc<Semaphore>,
    more: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    long_calls: Arc<Semaphore>,
    suspicion: AtomicU32,
}

/// The right to one request under way; given back when dropped.
pub struct Seat {
    _own: OwnedSemaphorePermit,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Hall {
    /// Seats for a new connection.
    pub fn source(&self) -> Arc<Source> {
        Arc::new(Source {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            own: Arc::new(Semaphore::new(SEATS_OWN)),
            more: Arc::new(Semaphore::new(SEATS_MAX - SEATS_OWN)),
            shared: Arc::clone(&self.shared),
            long_calls: Arc::new(Semaphore::new(LONG_CALLS_PER_CONNECTION_MAX)),
            suspicion: AtomicU32::new(0),
        })
    }
    /// Shared seats that are taken.
    pub fn taken(&self) -> usize {
        BACKLOG_MAX - self.shared.available_permits()
    }
}

impl Source {
    /// A seat, if there is one now.
    pub fn try_seat(&self) -> Option<Seat> {
        if let Ok(own) = Arc::clone(&self.own).try_acquire_owned() {
            return Some(Seat { _own: own, _shared: None });
        }
        // They are served slowly: what they hold would be missing to all others for long.
        if self.is_suspect() {
            return None;
        }
        let more = Arc::clone(&self.more).try_acquire_owned().ok()?;
        let shared = Arc::clone(&self.shared).try_acquire_owned().ok()?;
        Some(Seat { _own: more, _shared: Some(shared) })
    }
    /// A seat, when there is one.
    pub async fn seat(&self) -> Seat {
        let never = "seats are never taken away";
        if let Some(seat) = self.try_seat() {
            return seat;
        }
        tokio::select! {
            own = Arc::clone(&self.own).acquire_owned() => {
                Seat { _own: own.expect(never), _shared: None }
            }
            seat = async {
                if self.is_suspect() {
                    std::future::pending::<()>().await;
                }
                let more = Arc::clone(&self.more).acquire_owned().await.expect(never);
                let shared = Arc::clone(&self.shared).acquire_owned().await.expect(never);
                Seat { _own: more, _shared: Some(shared) }
            } => seat,
        }
    }
    /// A place for a stream of this connection, if it has one left.
    pub fn long_call(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.long_calls).try_acquire_owned().ok()
    }
    /// Whether a wrong signature came from here not long ago.
    pub fn is_suspect(&self) -> bool {
        self.suspicion.load(Ordering::Relaxed) > 0
    }
    /// Takes note of a checked signature.
    pub fn note(&self, good: bool) {
        if !good {
            self.suspicion.store(SUSPICION, Ordering::Relaxed);
        } else {
            // Fails at 0, which is as good.
            let _ = self
                .suspicion
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_keeps_its_own_seats_when_others_have_taken_all_shared_ones() {
        let hall = Hall::default();
        let mut greedy = Vec::new();
        while hall.taken() < BACKLOG_MAX {
            let source = hall.source();
            let before = greedy.len();
            greedy.extend(std::iter::from_fn(|| source.try_seat()));
            assert!(greedy.len() - before <= SEATS_MAX);
        }
        let honest = hall.source();
        let seats: Vec<_> = std::iter::from_fn(|| honest.try_seat()).collect();
        assert_eq!(seats.len(), SEATS_OWN);
        drop(greedy);
        assert_eq!(hall.taken(), 0);
        let more: Vec<_> = std::iter::from_fn(|| honest.try_seat()).collect();
        assert_eq!(more.len(), SEATS_MAX - SEATS_OWN);
    }

    #[tokio::test]
    async fn a_waiting_request_gets_the_first_seat_that_is_free() {
        let hall = Hall::default();
        let source = hall.source();
        let mut seats: Vec<_> = std::iter::from_fn(|| source.try_seat()).collect();
        assert_eq!(seats.len(), SEATS_MAX);
        let waiting = source.seat();
        tokio::pin!(waiting);
        let now = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(now, &mut waiting).await.is_err());
        seats.remove(0);
        waiting.await;
    }
}
