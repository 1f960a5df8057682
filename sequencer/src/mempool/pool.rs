//! The ordering rule among transactions that can be executed.

use super::Pending;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

/// First of a lane: by fee, then by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Front {
    fee: u128,
    arrival: Reverse<u64>,
    lane: u64,
}

/// Transactions that wait. Those of a stream form a lane; a single call is a lane of its own.
#[derive(Default)]
pub struct Pool {
    lanes: HashMap<u64, VecDeque<(u64, Pending)>>,
    fronts: BinaryHeap<Front>,
    arrivals: u64,
    count: usize,
}

/// Lanes of single calls: beyond all streams' numbers.
const SINGLE: u64 = 1 << 63;

impl Pool {
    /// Adds one that came after all others.
    pub fn push(&mut self, pending: Pending) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.count += 1;
        let lane = if pending.stream == 0 { SINGLE | arrival } else { pending.stream };
        let fee = pending.signed.transaction.fee().value();
        let waiting = self.lanes.entry(lane).or_default();
        waiting.push_back((arrival, pending));
        if waiting.len() == 1 {
            self.fronts.push(Front { fee, arrival: Reverse(arrival), lane });
        }
    }
    /// Takes the next one.
    pub fn pop(&mut self) -> Option<Pending> {
        let Front { lane, .. } = self.fronts.pop()?;
        let waiting = self.lanes.get_mut(&lane)?;
        let (_, pending) = waiting.pop_front()?;
        self.count -= 1;
        match waiting.front() {
            None => {
                self.lanes.remove(&lane);
            }
            Some((arrival, next)) => {
                let fee = next.signed.transaction.fee().value();
                self.fronts.push(Front { fee, arrival: Reverse(*arrival), lane });
            }
        }
        Some(pending)
    }
    /// Transactions that wait.
    pub fn count(&self) -> usize {
        self.count
    }
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.fronts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::pending;
    use super::*;

    fn order(of: impl IntoIterator<Item = Pending>) -> Vec<u32> {
        let mut pool = Pool::default();
        of.into_iter().for_each(|pending| pool.push(pending));
        let order = std::iter::from_fn(|| pool.pop());
        let order = order.map(|pending| pending.signed.transaction.nonce()).collect();
        assert!(pool.is_empty() && pool.lanes.is_empty());
        order
    }

    #[test]
    fn higher_fees_come_first_and_equal_ones_by_arrival() {
        let waiting = [pending(0, 1, 5), pending(0, 2, 7), pending(0, 3, 5), pending(0, 4, 7)];
        assert_eq!(order(waiting), [2, 4, 1, 3]);
    }

    #[test]
    fn a_stream_keeps_its_order_whatever_it_pays() {
        let stream = [pending(9, 1, 1), pending(9, 2, 100), pending(9, 3, 50)];
        let single = [pending(0, 10, 60), pending(0, 11, 0)];
        assert_eq!(order(stream.into_iter().chain(single)), [10, 1, 2, 3, 11]);
    }
}
