//! Transactions that wait for their signature check: one queue per connection, served in turns.
//!
//! A connection's transactions keep their order. Connections that sent a wrong signature are put
//! into chunks of their own: a wrong signature makes its whole chunk dearer. What waits is bounded by
//! the seats that requests hold.

use super::reply::Reply;
use super::seats::{Seat, Source};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that arrived.
pub struct Raw {
    /// From where.
    pub source: Arc<Source>,
    /// Not decoded yet.
    pub bytes: Vec<u8>,
    /// The stream it came in; 0 for a single call.
    pub stream: u64,
    /// Who waits for the answer.
    pub reply: Reply,
    /// Held until answered.
    pub seat: Seat,
}

#[derive(Default)]
struct Inner {
    lanes: HashMap<u64, VecDeque<Raw>>,
    turns: VecDeque<u64>,
    chunks: u64,
    closed: bool,
}

/// The queues.
#[derive(Default)]
pub struct Intake {
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// Transactions to be checked together.
pub struct Chunk {
    /// Consecutive from 0: the order in which chunks were taken.
    pub number: u64,
    /// In order.
    pub items: Vec<Raw>,
}

impl Intake {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Adds one; dropped if nobody checks any more.
    pub fn push(&self, raw: Raw) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        let id = raw.source.id;
        let lane = inner.lanes.entry(id).or_default();
        lane.push_back(raw);
        if lane.len() == 1 {
            inner.turns.push_back(id);
        }
        drop(inner);
        self.changed.notify_one();
    }
    /// Takes at most `max`, one of each connection in turn; waits for the first. None at the end.
    pub fn take(&self, max: usize) -> Option<Chunk> {
        let mut inner = self.lock();
        while inner.turns.is_empty() {
            if inner.closed {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let mut items = Vec::new();
        let mut suspect = None;
        let mut passed = Vec::new();
        while let Some(id) = inner.turns.pop_front() {
            let Some(lane) = inner.lanes.get_mut(&id) else { continue };
            let Some(first) = lane.front() else { continue };
            let is_suspect = first.source.is_suspect();
            if *suspect.get_or_insert(is_suspect) != is_suspect {
                passed.push(id);
                continue;
            }
            items.extend(lane.pop_front());
            if lane.is_empty() {
                inner.lanes.remove(&id);
            } else {
                inner.turns.push_back(id);
            }
            if items.len() == max {
                break;
            }
        }
        // Those of the other kind come first in the next chunk.
        for id in passed.into_iter().rev() {
            inner.turns.push_front(id);
        }
        let number = inner.chunks;
        inner.chunks += 1;
        let more = !inner.turns.is_empty();
        drop(inner);
        if more {
            self.changed.notify_one();
        }
        Some(Chunk { number, items })
    }
    /// Ends all takers; what waits is dropped and thereby answered.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.lanes.clear();
        inner.turns.clear();
        drop(inner);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::seats::Hall;
    use super::*;
    use tokio::sync::oneshot;

    fn raw(source: &Arc<Source>, byte: u8) -> Raw {
        let seat = source.try_seat().expect("few are taken");
        let (reply, _) = oneshot::channel();
        let source = Arc::clone(source);
        Raw { source, bytes: vec![byte], stream: 0, reply: Reply::Once(reply), seat }
    }
    fn bytes(chunk: &Chunk) -> Vec<u8> {
        chunk.items.iter().map(|raw| raw.bytes[0]).collect()
    }

    #[test]
    fn connections_take_turns_and_keep_their_own_order() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let [flood, honest] = [hall.source(), hall.source()];
        (0..100).for_each(|n| intake.push(raw(&flood, n)));
        (200..203).for_each(|n| intake.push(raw(&honest, n)));
        let first = intake.take(8).expect("open");
        assert_eq!(bytes(&first), [0, 200, 1, 201, 2, 202, 3, 4]);
        assert_eq!(bytes(&intake.take(2).expect("open")), [5, 6]);
        assert_eq!((first.number, intake.take(1).expect("open").number), (0, 2));
    }

    #[test]
    fn wrong_signatures_share_no_chunk_with_honest_connections() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let [liar, honest] = [hall.source(), hall.source()];
        liar.note(false);
        for n in 0..3 {
            intake.push(raw(&liar, n));
            intake.push(raw(&honest, 100 + n));
        }
        assert_eq!(bytes(&intake.take(8).expect("open")), [0, 1, 2]);
        assert_eq!(bytes(&intake.take(8).expect("open")), [100, 101, 102]);
        (0..crate::limits::SUSPICION).for_each(|_| liar.note(true));
        intake.push(raw(&liar, 7));
        intake.push(raw(&honest, 107));
        assert_eq!(bytes(&intake.take(8).expect("open")), [7, 107]);
    }

    #[test]
    fn a_closed_intake_ends_its_takers_and_gives_the_seats_back() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let source = hall.source();
        (0..20).for_each(|n| intake.push(raw(&source, n)));
        assert!(hall.taken() > 0);
        intake.close();
        assert!(intake.take(1).is_none());
        intake.push(raw(&source, 1));
        assert_eq!(hall.taken(), 0);
    }
}
