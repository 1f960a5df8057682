//! Transactions whose turn by nonce has not come.

use super::Pending;
use crate::admission::{Answer, SubmitError};
use crate::execution::TransactionError;
use crate::limits::{PARKED_MAX, PARKED_MS_MAX, PARKED_PER_ACCOUNT_MAX};
use crate::planted::{Bug, planted};
use kerros_protocol::account::AccountIndex;
use kerros_protocol::rejection::Rejection;
use std::collections::{BTreeMap, HashMap, VecDeque};

struct Waiting {
    pending: Pending,
    since_ms: u64,
    /// The nonce that was missing.
    need: u32,
}

/// Parked transactions by account and nonce, bounded in all and per account, for a limited time.
#[derive(Default)]
pub struct Parked {
    accounts: HashMap<AccountIndex, BTreeMap<u32, Waiting>>,
    /// By age; may name some that have left.
    ages: VecDeque<(u64, AccountIndex, u32)>,
    count: usize,
}

fn too_early(have: u32, need: u32) -> SubmitError {
    SubmitError::Refused(TransactionError::Rule(Rejection::WrongNonce { have, need }))
}

impl Parked {
    /// Transactions parked.
    pub fn count(&self) -> usize {
        self.count
    }
    /// Parks a transaction whose account's next nonce is `need`, or answers why not.
    pub fn park(&mut self, pending: Pending, need: u32, now: u64) {
        let (index, nonce) =
            (pending.signed.transaction.from(), pending.signed.transaction.nonce());
        let account = self.accounts.entry(index).or_default();
        if let Some(other) = account.get(&nonce) {
            // The same one again is answered with the first: both wait for the same receipt.
            let same = other.pending.id == pending.id;
            let error = SubmitError::NonceTaken { index, nonce };
            let error = if same { too_early(nonce, need) } else { error };
            pending.reply.send(Answer::Refused(error));
            return;
        }
        if nonce - need > PARKED_PER_ACCOUNT_MAX || self.count >= PARKED_MAX {
            if account.is_empty() {
                self.accounts.remove(&index);
            }
            pending.reply.send(Answer::Refused(too_early(nonce, need)));
            return;
        }
        account.insert(nonce, Waiting { pending, since_ms: now, need });
        self.ages.push_back((now, index, nonce));
        self.count += 1;
    }
    /// Takes the transaction of an account with this nonce.
    pub fn take(&mut self, index: AccountIndex, nonce: u32) -> Option<Pending> {
        // Most of the time nothing is parked.
        if self.count == 0 {
            return None;
        }
        self.remove(index, nonce).map(|waiting| waiting.pending)
    }
    fn remove(&mut self, index: AccountIndex, nonce: u32) -> Option<Waiting> {
        let account = self.accounts.get_mut(&index)?;
        let waiting = account.remove(&nonce)?;
        if account.is_empty() {
            self.accounts.remove(&index);
        }
        self.count -= 1;
        Some(waiting)
    }
    /// Refuses what has waited too long, as a nonce that is ahead.
    pub fn expire(&mut self, now: u64) {
        while let Some((since, index, nonce)) = self.ages.front().copied() {
            // One from the future was parked before the clock was set back: it goes now.
            if self.count > 0 && since <= now && now - since < PARKED_MS_MAX {
                return;
            }
            self.ages.pop_front();
            let waiting = self.accounts.get(&index).and_then(|account| account.get(&nonce));
            if waiting.is_some_and(|waiting| waiting.since_ms == since)
                && let Some(Waiting { pending, need, .. }) = self.remove(index, nonce)
                && !planted(Bug::ParkedDropped)
            {
                pending.reply.send(Answer::Refused(too_early(nonce, need)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, pending};
    use super::*;
    use tokio::sync::oneshot::{Receiver, error::TryRecvError};

    fn at(index: u32) -> AccountIndex {
        AccountIndex::new(index).expect("in range")
    }
    fn refusal(answer: &mut Receiver<Answer>) -> SubmitError {
        match answer.try_recv().expect("answered") {
            Answer::Refused(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parked_transactions_come_out_by_account_and_nonce() {
        let mut parked = Parked::default();
        parked.park(pending(0, 7, 0), 5, 0);
        parked.park(pending(0, 6, 0), 5, 0);
        assert_eq!(parked.count(), 2);
        assert!(parked.take(at(2), 6).is_none() && parked.take(at(1), 5).is_none());
        assert_eq!(parked.take(at(1), 6).expect("parked").signed.transaction.nonce(), 6);
        assert!(parked.take(at(1), 7).is_some() && parked.count() == 0);
    }

    #[test]
    fn too_far_ahead_twice_and_too_long_are_refused() {
        let mut parked = Parked::default();
        let (far, mut answer) = asked(0, PARKED_PER_ACCOUNT_MAX + 6, 0);
        parked.park(far, 5, 0);
        let have = PARKED_PER_ACCOUNT_MAX + 6;
        assert_eq!(refusal(&mut answer), too_early(have, 5));
        assert_eq!(parked.count(), 0);

        let (first, mut early) = asked(0, 9, 0);
        parked.park(first, 5, 1_000);
        let (other, mut answer) = asked(0, 9, 3);
        parked.park(other, 5, 1_001);
        let taken = SubmitError::NonceTaken { index: at(1), nonce: 9 };
        assert_eq!(refusal(&mut answer), taken);
        parked.expire(1_000 + PARKED_MS_MAX - 1);
        assert!(matches!(early.try_recv(), Err(TryRecvError::Empty)));
        parked.expire(1_000 + PARKED_MS_MAX);
        assert_eq!(refusal(&mut early), too_early(9, 5));
        assert_eq!(parked.count(), 0);
    }

    #[test]
    fn one_that_left_and_came_again_has_its_own_time() {
        let mut parked = Parked::default();
        parked.park(pending(0, 9, 0), 5, 0);
        assert!(parked.take(at(1), 9).is_some());
        parked.park(pending(0, 9, 0), 5, 100);
        parked.expire(PARKED_MS_MAX);
        assert_eq!(parked.count(), 1);
        parked.expire(PARKED_MS_MAX + 100);
        assert_eq!(parked.count(), 0);
    }
}
