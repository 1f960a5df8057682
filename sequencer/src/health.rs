//! Health as progress: not whether the process answers, but whether what it promises still moves.
//!
//! [`health`] is pure: the time is an argument, what was seen is in [`Facts`]. [`Pulse`] is what the
//! writer and the queue's follower leave behind so that somebody else can see them move; they know
//! nothing of thresholds and read no clock for it.

use crate::main_chain::BlockHead;
use crate::settlement::queue::Reorganised;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// Why the service is not healthy. Durations are in ms.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// Commands wait and the writer has not finished a turn for too long.
    #[error("{waiting} commands wait, the writer has not finished a turn for {ms} ms")]
    WriterStalled {
        /// Commands.
        waiting: usize,
        /// Since its last turn.
        ms: u64,
    },
    /// A closed batch has not been sealed for too long.
    #[error("batch {batch} has been with the sealer for {ms} ms")]
    SealerStalled {
        /// The batch.
        batch: u64,
        /// Since it is the sealer's next.
        ms: u64,
    },
    /// The main chain has not shown its head for too long.
    #[error("the main chain has not answered for {ms} ms")]
    MainChainSilent {
        /// Since its last answer.
        ms: u64,
    },
    /// Sealing waits for an operator.
    #[error("sealing has halted: {why}")]
    SealingHalted {
        /// As in GetInfo.
        why: String,
    },
    /// The main chain took queue entries back that were credited.
    #[error("{0}")]
    QueueReorganised(Reorganised),
    /// Settlement waits for an operator.
    #[error("settlement has halted: {why}")]
    SettlementHalted {
        /// As in GetInfo.
        why: String,
    },
    /// Nothing can be posted for too long, for a reason that may go away.
    #[error("nothing can be posted for {ms} ms: {why}")]
    PostingWaits {
        /// What it waits for.
        why: String,
        /// Since it waits.
        ms: u64,
    },
    /// A sealed batch is not final for too long.
    #[error("batch {batch} was sealed {ms} ms ago and is not final")]
    SettlementLate {
        /// The oldest.
        batch: u64,
        /// Since it was sealed.
        ms: u64,
    },
    /// Less room on the disk than the reserve.
    #[error("{free} bytes free on the disk, {reserve} are kept in reserve")]
    DiskFull {
        /// Bytes.
        free: u64,
        /// Bytes.
        reserve: u64,
    },
}

impl Reason {
    /// All codes.
    pub const CODES: [&str; 9] = [
        "WRITER_STALLED",
        "SEALER_STALLED",
        "SEALING_HALTED",
        "MAIN_CHAIN_SILENT",
        "QUEUE_REORGANISED",
        "SETTLEMENT_HALTED",
        "POSTING_WAITS",
        "SETTLEMENT_LATE",
        "DISK_FULL",
    ];
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WriterStalled { .. } => Self::CODES[0],
            Self::SealerStalled { .. } => Self::CODES[1],
            Self::SealingHalted { .. } => Self::CODES[2],
            Self::MainChainSilent { .. } => Self::CODES[3],
            Self::QueueReorganised(_) => Self::CODES[4],
            Self::SettlementHalted { .. } => Self::CODES[5],
            Self::PostingWaits { .. } => Self::CODES[6],
            Self::SettlementLate { .. } => Self::CODES[7],
            Self::DiskFull { .. } => Self::CODES[8],
        }
    }
    /// Whether provers are concerned: only the sealer keeps them from their work. That proofs are
    /// not posted must not make them stop.
    pub fn concerns_provers(&self) -> bool {
        matches!(self, Self::SealerStalled { .. })
    }
}

/// What an operator still calls progress.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// Longest silence of writer, sealer and main chain, ms.
    pub stall_ms: u64,
    /// Greatest age of a sealed batch that is not final, ms.
    pub progress_ms: u64,
}

/// What was seen; times are ms on the scale of `now`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Commands that wait for the writer.
    pub commands_waiting: usize,
    /// When the writer finished a turn last.
    pub turned_ms: u64,
    /// The sealer's next batch and since when it is that.
    pub sealing: Option<(u64, u64)>,
    /// Why sealing has halted.
    pub sealing_halted: Option<String>,
    /// When the main chain showed its head last.
    pub head_seen_ms: u64,
    /// What the main chain took back that was credited.
    pub reorganised: Option<Reorganised>,
    /// Why settlement has halted.
    pub halted: Option<String>,
    /// Why nothing can be posted, and since when.
    pub waits: Option<(String, u64)>,
    /// The oldest batch that is sealed and not final, and when it was sealed.
    pub unsettled: Option<(u64, u64)>,
    /// Free bytes on the disk.
    pub disk_free: u64,
    /// Least free bytes.
    pub disk_reserve: u64,
}

/// Everything that is wrong; nothing if all is well.
pub fn health(now: u64, facts: &Facts, thresholds: &Thresholds) -> Vec<Reason> {
    let Thresholds { stall_ms, progress_ms } = *thresholds;
    let since = |then: u64| now.saturating_sub(then);
    let mut reasons = Vec::new();
    let (waiting, ms) = (facts.commands_waiting, since(facts.turned_ms));
    if waiting > 0 && ms > stall_ms {
        reasons.push(Reason::WriterStalled { waiting, ms });
    }
    // One that has halted says so itself, and keeps provers from nothing.
    let sealing = facts.sealing.filter(|_| facts.sealing_halted.is_none());
    if let Some((batch, ms)) = sealing.map(|(batch, then)| (batch, since(then)))
        && ms > stall_ms
    {
        reasons.push(Reason::SealerStalled { batch, ms });
    }
    if let Some(why) = facts.sealing_halted.clone() {
        reasons.push(Reason::SealingHalted { why });
    }
    let ms = since(facts.head_seen_ms);
    if ms > stall_ms {
        reasons.push(Reason::MainChainSilent { ms });
    }
    reasons.extend(facts.reorganised.clone().map(Reason::QueueReorganised));
    if let Some(why) = facts.halted.clone() {
        reasons.push(Reason::SettlementHalted { why });
    }
    if let Some((why, ms)) = facts.waits.clone().map(|(why, then)| (why, since(then)))
        && ms > stall_ms
    {
        reasons.push(Reason::PostingWaits { why, ms });
    }
    if let Some((batch, ms)) = facts.unsettled.map(|(batch, then)| (batch, since(then)))
        && ms > progress_ms
    {
        reasons.push(Reason::SettlementLate { batch, ms });
    }
    let (free, reserve) = (facts.disk_free, facts.disk_reserve);
    if free < reserve {
        reasons.push(Reason::DiskFull { free, reserve });
    }
    reasons
}

/// A value, and since when it is seen.
#[derive(Debug, Clone, Copy)]
pub struct Since<T> {
    value: T,
    /// On the scale of `now`.
    pub ms: u64,
}

impl<T: PartialEq> Since<T> {
    /// First seen now.
    pub fn new(now: u64, value: T) -> Self {
        Self { value, ms: now }
    }
    /// Seen again, or something else is.
    pub fn see(&mut self, now: u64, value: T) {
        if self.value != value {
            *self = Self::new(now, value);
        }
    }
}

/// Signs of life.
#[derive(Debug, Default)]
pub struct Pulse {
    turns: AtomicU64,
    /// 0 if there is none.
    first_ms: AtomicU64,
    pool: AtomicUsize,
    parked: AtomicUsize,
    heads: AtomicU64,
    head: Mutex<Option<BlockHead>>,
    reorganised: Mutex<Option<Reorganised>>,
}

impl Pulse {
    /// The writer has finished a turn: its open batch has had something since `first_ms` (Unix ms),
    /// so many transactions wait in its pool, so many are parked.
    pub fn turned(&self, first_ms: Option<u64>, pool: usize, parked: usize) {
        self.first_ms.store(first_ms.unwrap_or(0), Ordering::Relaxed);
        self.pool.store(pool, Ordering::Relaxed);
        self.parked.store(parked, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Release);
    }
    /// The main chain has shown its head.
    pub fn saw(&self, head: BlockHead) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        self.heads.fetch_add(1, Ordering::Release);
    }
    /// Turns of the writer.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Acquire)
    }
    /// Since when the open batch has had something, Unix ms.
    pub fn first_ms(&self) -> Option<u64> {
        Some(self.first_ms.load(Ordering::Relaxed)).filter(|first| *first > 0)
    }
    /// Transactions in the writer's pool, and those parked.
    pub fn waiting(&self) -> (usize, usize) {
        (self.pool.load(Ordering::Relaxed), self.parked.load(Ordering::Relaxed))
    }
    /// How often a head was seen.
    pub fn heads(&self) -> u64 {
        self.heads.load(Ordering::Acquire)
    }
    /// What the main chain took back that was credited, if it did; gives whether that is new.
    pub fn set_reorganised(&self, reason: Option<Reorganised>) -> bool {
        let mut known = self.reorganised.lock().unwrap_or_else(PoisonError::into_inner);
        let new = *known != reason;
        *known = reason;
        new
    }
    /// What the main chain took back that was credited.
    pub fn reorganised(&self) -> Option<Reorganised> {
        self.reorganised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// The last one.
    pub fn head(&self) -> Option<BlockHead> {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;
    const THRESHOLDS: Thresholds = Thresholds { stall_ms: 100, progress_ms: 5_000 };

    fn well() -> Facts {
        Facts {
            commands_waiting: 3,
            turned_ms: NOW - 100,
            sealing: Some((7, NOW - 100)),
            sealing_halted: None,
            head_seen_ms: NOW - 100,
            reorganised: None,
            halted: None,
            waits: Some(("fees".to_owned(), NOW - 100)),
            unsettled: Some((5, NOW - 5_000)),
            disk_free: 10,
            disk_reserve: 10,
        }
    }
    #[track_caller]
    fn only(facts: Facts, reason: Reason) {
        assert_eq!(health(NOW, &facts, &THRESHOLDS), [reason]);
    }

    #[test]
    fn at_its_thresholds_and_before_a_clock_that_jumped_all_is_well() {
        assert_eq!(health(NOW, &well(), &THRESHOLDS), []);
        assert_eq!(health(0, &well(), &THRESHOLDS), []);
    }

    #[test]
    fn a_writer_that_does_not_turn_is_stalled_only_if_something_waits() {
        let facts = Facts { turned_ms: NOW - 101, ..well() };
        assert_eq!(health(NOW, &Facts { commands_waiting: 0, ..facts.clone() }, &THRESHOLDS), []);
        only(facts, Reason::WriterStalled { waiting: 3, ms: 101 });
    }

    #[test]
    fn a_batch_that_the_sealer_keeps_is_a_stalled_sealer() {
        let facts = Facts { sealing: Some((7, NOW - 101)), ..well() };
        only(facts, Reason::SealerStalled { batch: 7, ms: 101 });
    }

    #[test]
    fn halted_sealing_says_why() {
        let why = "other bytes".to_owned();
        let facts = Facts { sealing_halted: Some(why.clone()), ..well() };
        only(facts, Reason::SealingHalted { why });
    }

    #[test]
    fn a_main_chain_that_does_not_answer_is_silent() {
        only(Facts { head_seen_ms: NOW - 101, ..well() }, Reason::MainChainSilent { ms: 101 });
    }

    fn gone() -> Reorganised {
        Reorganised::Gone { entry: 3, block: 9, hash: Default::default() }
    }

    #[test]
    fn credited_entries_that_are_gone_are_told() {
        let facts = Facts { reorganised: Some(gone()), ..well() };
        only(facts, Reason::QueueReorganised(gone()));
    }

    #[test]
    fn halted_settlement_says_why() {
        let why = "a foreign batch".to_owned();
        only(Facts { halted: Some(why.clone()), ..well() }, Reason::SettlementHalted { why });
    }

    #[test]
    fn posting_that_waits_says_what_for() {
        let why = "high fees".to_owned();
        let facts = Facts { waits: Some((why.clone(), NOW - 101)), ..well() };
        only(facts, Reason::PostingWaits { why, ms: 101 });
    }

    #[test]
    fn a_sealed_batch_that_does_not_become_final_is_late() {
        let facts = Facts { unsettled: Some((5, NOW - 5_001)), ..well() };
        only(facts, Reason::SettlementLate { batch: 5, ms: 5_001 });
    }

    #[test]
    fn less_room_than_the_reserve_is_a_full_disk() {
        only(Facts { disk_free: 9, ..well() }, Reason::DiskFull { free: 9, reserve: 10 });
    }

    #[test]
    fn everything_at_once_is_told_and_every_code_is_used_once() {
        let facts = Facts {
            turned_ms: 0,
            sealing: Some((7, 0)),
            sealing_halted: Some(String::new()),
            head_seen_ms: 0,
            reorganised: Some(gone()),
            halted: Some(String::new()),
            waits: Some((String::new(), 0)),
            unsettled: Some((5, 0)),
            disk_free: 0,
            ..well()
        };
        let codes = |reasons: &[Reason]| reasons.iter().map(Reason::code).collect::<Vec<_>>();
        let halted = health(NOW, &facts, &THRESHOLDS);
        assert_eq!(codes(&halted)[1], "SEALING_HALTED", "and not that it is stalled");
        let reasons = health(NOW, &Facts { sealing_halted: None, ..facts }, &THRESHOLDS);
        let mut all = codes(&reasons);
        all.insert(2, "SEALING_HALTED");
        assert_eq!(all, Reason::CODES);
        let provers: Vec<_> = reasons.iter().filter(|reason| reason.concerns_provers()).collect();
        assert_eq!(provers.len(), 1);
    }

    #[test]
    fn a_value_ages_from_when_it_was_first_seen() {
        let mut since = Since::new(10, Some(7));
        since.see(20, Some(7));
        assert_eq!(since.ms, 10);
        since.see(30, None);
        assert_eq!(since.ms, 30);
    }
}
