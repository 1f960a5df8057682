//! Transactions that wait for their signature check: one queue per connection, served in turns.
//!
//! A connection's transactions keep their order. One that had nothing waiting comes first, with its
//! first few transactions and in a small chunk, so that a flood delays the others by one chunk only
//! (the idea of FQ-CoDel, RFC 8290). Connections that sent a wrong signature are put
//! into chunks of their own: a wrong signature makes its whole chunk dearer. Of these there is one at a
//! time and a rest after each, so that they use up a share of one thread and no more; and of what waits
//! only as much stays as a connection has seats of its own. What waits is bounded by the seats
//! that requests hold.

use super::SubmitError;
use super::repeats::Digest;
use super::reply::{Answer, Reply};
use super::seats::{Seat, Source};
use crate::limits::{FRESH_CHUNK, FRESH_MAX, SEATS_OWN, SUSPECT_CHUNK_MAX};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that arrived.
pub struct Raw {
    /// From where.
    pub source: Arc<Source>,
    /// Not decoded yet.
    pub bytes: Vec<u8>,
    /// Of the bytes.
    pub digest: Digest,
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
    /// Had nothing waiting when their first transaction came.
    fresh: VecDeque<u64>,
    /// The others. One with nothing waiting keeps its turn until it comes, and is fresh only after
    /// that: else a few that empty their queue quickly would always come first.
    turns: VecDeque<u64>,
    chunks: u64,
    suspects: Suspects,
    closed: bool,
}

/// When connections that sent wrong signatures have their next chunk.
#[derive(Default)]
enum Suspects {
    /// Now.
    #[default]
    Ready,
    /// After the one that is being checked.
    Checked,
    /// Then.
    Resting(Instant),
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
    /// Of connections that sent wrong signatures: [`Intake::rest`] when it is checked.
    pub suspect: bool,
}

/// How often a checker looks whether those that rest may go on.
const REST_LOOK: Duration = Duration::from_millis(1);

impl Inner {
    fn is_suspect(&self, id: u64) -> bool {
        let first = self.lanes.get(&id).and_then(VecDeque::front);
        first.is_some_and(|raw| raw.source.is_suspect())
    }
    /// Takes up to `count` of a lane, which keeps a turn, or gives its turn up if it has nothing.
    fn take_from(&mut self, id: u64, count: usize, items: &mut Vec<Raw>) {
        match self.lanes.get_mut(&id) {
            Some(lane) if !lane.is_empty() => {
                let suspect = lane.front().is_some_and(|raw| raw.source.is_suspect());
                items.extend(lane.drain(..count.min(lane.len())));
                if suspect && lane.len() > SEATS_OWN {
                    // Seats that all share, and that others would wait for as long as for these.
                    let (waiting, max) = (lane.len(), SEATS_OWN);
                    for Raw { reply, .. } in lane.drain(SEATS_OWN..) {
                        reply.send(Answer::Refused(SubmitError::Overloaded { waiting, max }));
                    }
                }
                self.turns.push_back(id);
            }
            _ => {
                self.lanes.remove(&id);
            }
        }
    }
    fn is_waiting(&self, id: u64) -> bool {
        self.lanes.get(&id).is_some_and(|lane| !lane.is_empty())
    }
    /// Nothing if nothing may be taken now.
    fn take(&mut self, max: usize) -> (Vec<Raw>, bool) {
        let (mut items, mut max) = (Vec::new(), max);
        let rest = match self.suspects {
            Suspects::Ready => false,
            Suspects::Checked => true,
            Suspects::Resting(until) => Instant::now() < until,
        };
        let lanes = self.fresh.iter().chain(&self.turns).filter(|id| self.is_waiting(**id));
        let mut kinds = lanes.map(|id| self.is_suspect(*id)).filter(|suspect| !(*suspect && rest));
        let Some(suspect) = kinds.next() else { return (items, false) };
        if suspect {
            max = max.min(SUSPECT_CHUNK_MAX);
        }
        // Those of the other kind come first in the next chunk.
        let mut passed = VecDeque::new();
        while items.len() < max
            && let Some(id) = self.fresh.pop_front()
        {
            match self.is_suspect(id) == suspect {
                true => self.take_from(id, FRESH_MAX.min(max - items.len()), &mut items),
                false => passed.push_back(id),
            }
        }
        passed.append(&mut self.fresh);
        self.fresh = passed;
        if !items.is_empty() {
            max = max.min(FRESH_CHUNK);
        }
        let mut passed = VecDeque::new();
        while items.len() < max
            && let Some(id) = self.turns.pop_front()
        {
            match self.is_suspect(id) == suspect || !self.is_waiting(id) {
                true => self.take_from(id, 1, &mut items),
                false => passed.push_back(id),
            }
        }
        passed.append(&mut self.turns);
        self.turns = passed;
        if suspect && !items.is_empty() {
            self.suspects = Suspects::Checked;
        }
        (items, suspect)
    }
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
        if let Some(lane) = inner.lanes.get_mut(&id) {
            lane.push_back(raw);
        } else {
            inner.lanes.insert(id, VecDeque::from([raw]));
            inner.fresh.push_back(id);
        }
        drop(inner);
        self.changed.notify_one();
    }
    /// Takes at most `max`, one of each connection in turn; waits for the first. None at the end.
    pub fn take(&self, max: usize) -> Option<Chunk> {
        let mut inner = self.lock();
        let (items, suspect) = loop {
            let taken = inner.take(max);
            if !taken.0.is_empty() {
                break taken;
            }
            if inner.closed {
                return None;
            }
            // Those that rest, or a connection that has just become trusted or suspect.
            inner = if inner.lanes.values().any(|lane| !lane.is_empty()) {
                let waited = self.changed.wait_timeout(inner, REST_LOOK);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner)
            };
        };
        let number = inner.chunks;
        inner.chunks += 1;
        let more = inner.lanes.values().any(|lane| !lane.is_empty());
        drop(inner);
        if more {
            self.changed.notify_one();
        }
        Some(Chunk { number, items, suspect })
    }
    /// A chunk of connections that sent wrong signatures was checked: their next one comes after
    /// `pause`.
    pub fn rest(&self, pause: Duration) {
        let until = Suspects::Resting(Instant::now() + pause);
        self.lock().suspects = if pause.is_zero() { Suspects::Ready } else { until };
    }
    /// The same without waiting.
    #[cfg(test)]
    pub fn take_now(&self, max: usize) -> Option<Chunk> {
        if self.waiting() > 0 { self.take(max) } else { None }
    }
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().lanes.values().map(VecDeque::len).sum()
    }
    /// Ends all takers; what waits is dropped and thereby answered.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.lanes.clear();
        inner.fresh.clear();
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
        let (bytes, digest) = (vec![byte], Digest::of(&[byte]));
        Raw { source, bytes, digest, stream: 0, reply: Reply::Once(reply), seat }
    }
    fn bytes(chunk: &Chunk) -> Vec<u8> {
        chunk.items.iter().map(|raw| raw.bytes[0]).collect()
    }

    #[test]
    fn connections_take_turns_and_keep_their_own_order() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let [flood, other] = [hall.source(), hall.source()];
        (0..100).for_each(|n| intake.push(raw(&flood, n)));
        let few = u8::try_from(FRESH_MAX).expect("few");
        assert_eq!(bytes(&intake.take(FRESH_MAX).expect("open")), (0..few).collect::<Vec<_>>());
        (200..240).for_each(|n| intake.push(raw(&other, n)));
        // One that had nothing waiting comes first, then in turn.
        let first = bytes(&intake.take(FRESH_MAX + 4).expect("open"));
        let expected: Vec<u8> =
            (200..200 + few).chain([few, 200 + few, few + 1, 201 + few]).collect();
        assert_eq!(first, expected);
        assert_eq!(bytes(&intake.take(2).expect("open")), [few + 2, 202 + few]);
        assert_eq!(intake.take(1).expect("open").number, 3);
    }

    #[test]
    fn a_single_transaction_beside_a_flood_is_in_the_next_chunk_and_that_is_small() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let [flood, honest] = [hall.source(), hall.source()];
        (0..200).for_each(|n| intake.push(raw(&flood, n)));
        assert_eq!(intake.take(64).expect("open").items.len(), FRESH_CHUNK);
        assert_eq!(intake.take(64).expect("open").items.len(), 64);
        intake.push(raw(&honest, 250));
        let chunk = intake.take(64).expect("open");
        assert_eq!((chunk.items[0].bytes[0], chunk.items.len()), (250, FRESH_CHUNK));
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
    fn wrong_signatures_are_checked_one_chunk_at_a_time_with_a_rest() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let [liar, honest] = [hall.source(), hall.source()];
        (0..200).for_each(|n| intake.push(raw(&liar, n)));
        liar.note(false);
        let first = intake.take(64).expect("open");
        assert!(first.suspect && first.items.len() <= SUSPECT_CHUNK_MAX);
        drop(first);
        // While that one is checked, whoever else takes finds honest connections only.
        for n in 0..3 {
            intake.push(raw(&honest, 250 + n));
            let chunk = intake.take(64).expect("open");
            assert_eq!((bytes(&chunk), chunk.suspect), (vec![250 + n], false));
        }
        let pause = Duration::from_millis(20);
        let started = Instant::now();
        intake.rest(pause);
        intake.push(raw(&honest, 253));
        assert_eq!(bytes(&intake.take(64).expect("open")), [253]);
        // Nobody else is there: it waits for the end of the rest.
        assert!(intake.take(64).expect("open").suspect);
        assert!(started.elapsed() >= pause);
        intake.push(raw(&liar, 1));
        intake.rest(Duration::ZERO);
        assert!(intake.take(64).expect("open").suspect);
    }

    #[test]
    fn liars_keep_no_seats_that_others_share() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let mut liars: Vec<_> = (0..9).map(|_| hall.source()).collect();
        let mut answers = Vec::new();
        for liar in &liars {
            while let Some(seat) = liar.try_seat() {
                let (reply, answer) = oneshot::channel();
                let (source, reply) = (Arc::clone(liar), Reply::Once(reply));
                let (bytes, digest) = (vec![1], Digest::of(&[1]));
                intake.push(Raw { source, bytes, digest, stream: 0, reply, seat });
                answers.push(answer);
            }
        }
        assert_eq!(hall.taken(), crate::limits::BACKLOG_MAX);
        liars.iter().for_each(|liar| liar.note(false));
        // Each has its turn once; until then it was not known to lie.
        for _ in 0..2 * liars.len() {
            drop(intake.take(64).expect("open"));
            intake.rest(Duration::ZERO);
        }
        assert!(hall.taken() <= liars.len() * SEATS_OWN, "{}", hall.taken());
        let mut refused = 0;
        for mut answer in answers {
            match answer.try_recv() {
                Ok(Answer::Refused(SubmitError::Overloaded { .. })) => refused += 1,
                Ok(other) => panic!("{other:?}"),
                // In the chunks taken above, or still waiting.
                Err(_) => {}
            }
        }
        assert!(refused > crate::limits::BACKLOG_MAX - 1_024, "{refused}");
        let liar = liars.remove(0);
        drop(intake);
        let seats: Vec<_> = std::iter::from_fn(|| liar.try_seat()).collect();
        assert_eq!(seats.len(), SEATS_OWN);
        drop(seats);
        (0..crate::limits::SUSPICION).for_each(|_| liar.note(true));
        let seats: Vec<_> = std::iter::from_fn(|| liar.try_seat()).collect();
        assert!(seats.len() > SEATS_OWN, "trusted again");
    }

    #[test]
    fn sparse_connections_do_not_starve_one_that_lied_once() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let liar = hall.source();
        (0..200).for_each(|n| intake.push(raw(&liar, n)));
        liar.note(false);
        let sparse: Vec<_> = (0..32).map(|_| hall.source()).collect();
        sparse.iter().for_each(|source| intake.push(raw(source, 255)));
        let mut served = 0;
        for _ in 0..100 {
            let chunk = intake.take(64).expect("open");
            if chunk.suspect {
                intake.rest(Duration::ZERO);
                served += 1;
            }
            let ids: Vec<u64> = chunk.items.iter().map(|raw| raw.source.id).collect();
            drop(chunk);
            for source in sparse.iter().filter(|source| ids.contains(&source.id)) {
                intake.push(raw(source, 255));
            }
            if ids.contains(&liar.id) {
                intake.push(raw(&liar, 1));
            }
        }
        assert!(served >= 10, "{served} of 100 chunks");
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

    #[test]
    fn sparse_connections_do_not_starve_a_backlog() {
        let (hall, intake) = (Hall::default(), Intake::default());
        let honest = hall.source();
        (0..200).for_each(|n| intake.push(raw(&honest, n)));
        let _ = intake.take(64);
        let sparse: Vec<_> = (0..8).map(|_| hall.source()).collect();
        let feed =
            |source: &Arc<Source>, count| (0..count).for_each(|_| intake.push(raw(source, 255)));
        sparse.iter().for_each(|source| feed(source, 8));
        let mut served = 0;
        for _ in 0..100 {
            let chunk = intake.take(64).expect("open");
            served += chunk.items.iter().filter(|raw| raw.source.id == honest.id).count();
            let ids: Vec<u64> = chunk.items.iter().map(|raw| raw.source.id).collect();
            drop(chunk);
            for source in &sparse {
                feed(source, ids.iter().filter(|id| **id == source.id).count());
            }
        }
        assert!(served > 0, "100 chunks without the backlog");
    }
}
