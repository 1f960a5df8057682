//! Attempts to post one batch, as the fold of their events on disk, and what they allow next.
//!
//! Every attempt is a transaction that was signed, and from then on somebody may have it: it may be
//! included at any time until it is provably dead. So nothing here is decided from memory, and [`next`]
//! never lets a batch have a second number (nonce) while an attempt with another one may still be
//! included. Asks no chain; the time and what the chain showed are arguments.

use crate::journal::{AttemptEvent, AttemptRow, BlockPlace, Empty, Happened, Journal, PostRecord};
use crate::main_chain::{BlockHead, Fees};
use crate::planted::{Bug, planted};
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::B256;

use super::StepError;

/// Where an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Nobody knows whether it will be included.
    Waiting,
    /// In this block.
    Included(BlockPlace),
    /// In this block, without effect.
    Reverted(BlockPlace),
    /// Never to be included any more, or included for good without effect.
    Dead,
    /// In a final block.
    Final,
}

/// An attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// What was signed.
    pub post: PostRecord,
    /// Where it is.
    pub status: Status,
    /// Whether the chain has had it.
    pub sent: bool,
    /// Whether it was in a block without effect.
    pub reverted: bool,
    /// Whether the chain wants more for it.
    pub underpriced: bool,
    /// A later attempt with the same nonce.
    pub replaced_by: Option<u32>,
    events: u32,
}

impl Attempt {
    /// Hash by which the chain knows it.
    pub fn hash(&self) -> B256 {
        B256::try_from(self.post.hash.as_slice()).unwrap_or_default()
    }
    /// Whether it may still be included, or leave its block again.
    pub fn is_live(&self) -> bool {
        !matches!(self.status, Status::Dead | Status::Final)
    }
    /// What it offers and its gas limit, from its bytes; none if they are no transaction.
    pub fn offer(&self) -> Option<(Fees, u64)> {
        let envelope = TxEnvelope::decode_2718(&mut self.post.raw.as_slice()).ok()?;
        let max_priority_fee_per_gas = envelope.max_priority_fee_per_gas().unwrap_or_default();
        let max_fee_per_gas = envelope.max_fee_per_gas();
        Some((Fees { max_fee_per_gas, max_priority_fee_per_gas }, envelope.gas_limit()))
    }
}

/// All attempts to post a batch.
pub struct History {
    /// The batch; 0 for transactions that only fill gaps between numbers.
    pub batch: u64,
    /// In order.
    pub attempts: Vec<Attempt>,
}

impl History {
    /// Folds what is on disk.
    pub fn load(journal: &Journal, batch: u64) -> Result<Self, StepError> {
        let mut history = Self { batch, attempts: Vec::new() };
        if planted(Bug::AttemptsForgotten) {
            return Ok(history);
        }
        for row in journal.attempts(batch)? {
            history.apply(row)?;
        }
        Ok(history)
    }
    fn apply(&mut self, row: AttemptRow) -> Result<(), StepError> {
        let number = self.batch;
        let unreadable = |what: &str| {
            let what = format!("attempt {}, event {}: {what}", row.attempt, row.event);
            super::Halt::Unreadable { number, what }
        };
        let what = row.record.what.ok_or_else(|| unreadable("of an unknown kind"))?;
        if let Happened::Signed(post) = what {
            if row.event != 0 || row.attempt as usize != self.attempts.len() + 1 {
                return Err(unreadable("signed out of order").into());
            }
            self.attempts.push(Attempt {
                number: row.attempt,
                post,
                status: Status::Waiting,
                sent: false,
                reverted: false,
                underpriced: false,
                replaced_by: None,
                events: 1,
            });
            return Ok(());
        }
        let attempt = self.attempts.last_mut().filter(|last| last.number == row.attempt);
        let attempt = match attempt {
            Some(attempt) => attempt,
            None => {
                let place = (row.attempt as usize).checked_sub(1);
                let found = place.and_then(|place| self.attempts.get_mut(place));
                found.ok_or_else(|| unreadable("of an attempt that was never signed"))?
            }
        };
        if row.event != attempt.events {
            return Err(unreadable("out of order").into());
        }
        attempt.events += 1;
        match what {
            Happened::Signed(_) => {}
            Happened::Sent(_) => (attempt.sent, attempt.underpriced) = (true, false),
            Happened::Underpriced(_) => attempt.underpriced = true,
            Happened::Included(place) => attempt.status = Status::Included(place),
            Happened::Reverted(place) => {
                (attempt.status, attempt.reverted) = (Status::Reverted(place), true);
            }
            Happened::Lost(_) => attempt.status = Status::Waiting,
            Happened::ReplacedBy(by) => attempt.replaced_by = Some(by),
            Happened::Dead(_) => attempt.status = Status::Dead,
            Happened::Final(_) => attempt.status = Status::Final,
        }
        Ok(())
    }
    /// Writes an event down and folds it.
    pub fn add(
        &mut self,
        journal: &Journal,
        attempt: u32,
        at_ms: u64,
        what: Happened,
    ) -> Result<(), StepError> {
        let place = (attempt as usize).checked_sub(1);
        let event = place.and_then(|place| self.attempts.get(place)).map_or(0, |a| a.events);
        let record = AttemptEvent { at_ms, what: Some(what) };
        let row = AttemptRow { attempt, event, record };
        journal.add_attempt(self.batch, &row)?;
        self.apply(row)
    }
    /// Writes down a new attempt, and that it replaces those before it that have its number.
    pub fn sign(&mut self, journal: &Journal, post: PostRecord) -> Result<u32, StepError> {
        let number = u32::try_from(self.attempts.len() + 1).unwrap_or(u32::MAX);
        let (nonce, at_ms) = (post.nonce, post.signed_ms);
        self.add(journal, number, at_ms, Happened::Signed(post))?;
        let rivals = self.attempts.iter().filter(|rival| {
            rival.number < number
                && rival.is_live()
                && rival.post.nonce == nonce
                && rival.replaced_by.is_none()
        });
        for rival in rivals.map(|rival| rival.number).collect::<Vec<_>>() {
            self.add(journal, rival, at_ms, Happened::ReplacedBy(number))?;
        }
        Ok(number)
    }
    /// The last attempt that may still be included.
    pub fn live(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.is_live())
    }
    /// Those attempts that may still be included.
    pub fn all_live(&self) -> Vec<Attempt> {
        self.attempts.iter().filter(|attempt| attempt.is_live()).cloned().collect()
    }
    /// The chain has the batch, by this transaction in this block; it need not be one of ours.
    pub fn included(
        &mut self,
        journal: &Journal,
        transaction: B256,
        block: &BlockPlace,
        at_ms: u64,
    ) -> Result<(), StepError> {
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.hash() == transaction)
        else {
            return Ok(());
        };
        match &attempt.status {
            Status::Included(place) if place == block => Ok(()),
            _ => self.add(journal, attempt.number, at_ms, Happened::Included(block.clone())),
        }
    }
    /// The chain does not have the batch: attempts that were in a block are not any more.
    pub fn lost(&mut self, journal: &Journal, at_ms: u64) -> Result<(), StepError> {
        let lost = self.attempts.iter().filter(|a| matches!(a.status, Status::Included(_)));
        for attempt in lost.map(|attempt| attempt.number).collect::<Vec<_>>() {
            self.add(journal, attempt, at_ms, Happened::Lost(Empty {}))?;
        }
        Ok(())
    }
    /// The batch is in this final block, by this transaction: its rivals with the same number are dead.
    pub fn settled(
        &mut self,
        journal: &Journal,
        transaction: B256,
        block: &BlockPlace,
        at_ms: u64,
    ) -> Result<(), StepError> {
        let ours = self.attempts.iter().find(|attempt| attempt.hash() == transaction);
        let Some(nonce) = ours.map(|attempt| attempt.post.nonce) else { return Ok(()) };
        for attempt in self.all_live() {
            if attempt.post.nonce == nonce {
                let what = match attempt.hash() == transaction {
                    true => Happened::Final(block.clone()),
                    false => Happened::Dead(block.clone()),
                };
                self.add(journal, attempt.number, at_ms, what)?;
            }
        }
        Ok(())
    }
}

/// What a batch that the chain does not have needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// No attempt can be included any more: a new one, with the lowest number that is not used.
    Sign,
    /// The last attempt is waiting: see that the chain knows it.
    Watch,
    /// It has waited too long, or the chain wants more: the same call and number for higher fees.
    Bump,
    /// Numbers before its own are not used, and have not been for long: it cannot be included before.
    Fill,
    /// Its number is used: look whether that is final.
    Bury,
}

/// What comes next at a block after which the poster's next number is `nonce`; the contract does not
/// have the batch there.
pub fn next(history: &History, nonce: u64, now_ms: u64, bump_ms: u64) -> Next {
    let Some(last) = history.live() else { return Next::Sign };
    // Also where the clock was far ahead when it was signed.
    let late = now_ms.abs_diff(last.post.signed_ms) >= bump_ms;
    if nonce > last.post.nonce {
        return Next::Bury;
    }
    match (last.underpriced || late, nonce < last.post.nonce) {
        (false, _) => Next::Watch,
        (true, false) => Next::Bump,
        (true, true) => Next::Fill,
    }
}

/// What nodes want at least for another transaction with the same number, in eighths: 12.5 % more.
const BUMP_EIGHTHS: u128 = 9;

fn bumped(fee: u128) -> Option<u128> {
    Some(fee.checked_mul(BUMP_EIGHTHS)?.div_ceil(8).max(fee + 1))
}

/// Fees of the next attempt: at least what the chain suggests and at least an eighth more than before,
/// but never more than `max` wei per gas. None if that leaves too little to replace the one before.
pub fn fees(suggested: Fees, before: Option<Fees>, max: u128) -> Option<Fees> {
    let least = match before {
        None => Fees { max_fee_per_gas: 0, max_priority_fee_per_gas: 0 },
        Some(before) => Fees {
            max_fee_per_gas: bumped(before.max_fee_per_gas)?,
            max_priority_fee_per_gas: bumped(before.max_priority_fee_per_gas)?,
        },
    };
    let max_fee_per_gas = suggested.max_fee_per_gas.max(least.max_fee_per_gas).min(max);
    let wanted = suggested.max_priority_fee_per_gas.max(least.max_priority_fee_per_gas);
    let max_priority_fee_per_gas = wanted.min(max_fee_per_gas);
    let enough = max_fee_per_gas >= least.max_fee_per_gas
        && max_priority_fee_per_gas >= least.max_priority_fee_per_gas;
    enough.then_some(Fees { max_fee_per_gas, max_priority_fee_per_gas })
}

impl From<&BlockHead> for BlockPlace {
    fn from(head: &BlockHead) -> Self {
        Self { number: head.number, hash: head.hash.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fee(max_fee_per_gas: u128, max_priority_fee_per_gas: u128) -> Fees {
        Fees { max_fee_per_gas, max_priority_fee_per_gas }
    }
    fn attempt(number: u32, nonce: u64, status: Status) -> Attempt {
        let post = PostRecord { nonce, signed_ms: 1_000, ..PostRecord::default() };
        Attempt {
            number,
            post,
            status,
            sent: true,
            reverted: false,
            underpriced: false,
            replaced_by: None,
            events: 1,
        }
    }
    fn history(attempts: Vec<Attempt>) -> History {
        History { batch: 1, attempts }
    }

    #[test]
    fn a_new_number_needs_every_attempt_dead() {
        let place = BlockPlace::default();
        for status in [Status::Waiting, Status::Reverted(place.clone()), Status::Included(place)] {
            let live = history(vec![attempt(1, 5, status), attempt(2, 5, Status::Dead)]);
            for nonce in 0..9 {
                assert_ne!(next(&live, nonce, 1_000_000, 10), Next::Sign, "number {nonce}");
            }
        }
        let dead = history(vec![attempt(1, 5, Status::Dead), attempt(2, 6, Status::Dead)]);
        assert_eq!(next(&dead, 7, 0, 10), Next::Sign);
        assert_eq!(next(&history(Vec::new()), 0, 0, 10), Next::Sign);
    }

    #[test]
    fn an_attempt_is_bumped_when_it_is_late_or_underpriced_and_only_with_its_own_number() {
        let waits = history(vec![attempt(1, 5, Status::Waiting)]);
        assert_eq!(next(&waits, 5, 1_009, 10), Next::Watch);
        assert_eq!(next(&waits, 5, 1_010, 10), Next::Bump);
        // A clock that was set back a little bumps nothing; one that was far ahead does not wait for itself.
        assert_eq!(next(&waits, 5, 991, 10), Next::Watch);
        assert_eq!(next(&waits, 5, 990, 10), Next::Bump);
        assert_eq!(next(&waits, 4, 1_009, 10), Next::Watch);
        assert_eq!(next(&waits, 4, 1_010, 10), Next::Fill);
        assert_eq!(next(&waits, 6, 1_009, 10), Next::Bury);
        let mut cheap = waits;
        cheap.attempts[0].underpriced = true;
        assert_eq!(next(&cheap, 5, 1_000, 10), Next::Bump);
    }

    #[test]
    fn fees_rise_by_an_eighth_at_least_and_not_above_the_maximum() {
        assert_eq!(fees(fee(100, 10), None, 1_000), Some(fee(100, 10)));
        assert_eq!(fees(fee(100, 10), None, 60), Some(fee(60, 10)));
        assert_eq!(fees(fee(100, 90), None, 60), Some(fee(60, 60)));
        assert_eq!(fees(fee(1, 1), Some(fee(80, 8)), 1_000), Some(fee(90, 9)));
        assert_eq!(fees(fee(1, 1), Some(fee(81, 7)), 1_000), Some(fee(92, 8)));
        assert_eq!(fees(fee(1, 1), Some(fee(1, 0)), 1_000), Some(fee(2, 1)));
        assert_eq!(fees(fee(500, 50), Some(fee(80, 8)), 1_000), Some(fee(500, 50)));
        assert_eq!(fees(fee(500, 50), Some(fee(80, 8)), 90), Some(fee(90, 50)));
        assert_eq!(fees(fee(500, 50), Some(fee(80, 8)), 89), None);
        assert_eq!(fees(fee(500, 50), Some(fee(80, 80)), 90), Some(fee(90, 90)));
        assert_eq!(fees(fee(1, 1), Some(fee(u128::MAX, 1)), u128::MAX), None);
    }
}
