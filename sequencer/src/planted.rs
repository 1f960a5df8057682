//! Bugs planted on purpose, so that the simulation can show that it would find them.
//!
//! Only the library's own tests can plant one; in every other build [`planted`] is `false` and the
//! compiler removes what depends on it.

/// A known bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Writes are not synced.
    NoSync,
    /// Places of transactions are written apart from their group.
    SplitGroup,
    /// Answers leave before the group is on disk.
    AnswerFirst,
    /// The watermark moves before the group is on disk.
    MarkFirst,
    /// The watermark does not move.
    NoMark,
    /// A write that failed counts as done.
    IgnoredError,
    /// The checkpoint is written apart from its seal.
    SplitSeal,
    /// The chain of receipts starts again at a restart.
    ChainForgotten,
    /// A restart forgets the last operation of the open batch.
    ShortReplay,
    /// Checked chunks are executed as they come.
    ChunksAsTheyCome,
    /// Parked transactions whose time is over are dropped without an answer.
    ParkedDropped,
    /// Fees are taken and not collected.
    FeesLost,
    /// A queue entry that does not fit is skipped.
    EntrySkipped,
    /// Any epoch of a lease is good.
    NoLeaseEpoch,
    /// Epochs start again at a restart.
    EpochsForgotten,
    /// Proofs are stored unverified.
    Unverified,
    /// A late post is not replaced: it is signed again with a new number.
    NewNonce,
    /// An attempt counts as dead as soon as its number is used, however deep that is.
    BuriedEarly,
    /// A restart, and every step, forgets what was signed before.
    AttemptsForgotten,
    /// Fees are raised by less than nodes want for a replacement.
    SmallBump,
    /// A taken-back batch is left out: the next one is posted.
    BatchSkipped,
    /// A post is sent before it is written down.
    SendFirst,
    /// Posts that a reorganisation took away stay Posted.
    NoTakeBack,
    /// Posted batches are final at once.
    FinalAtOnce,
}

#[cfg(test)]
impl Bug {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::NoSync,
        Self::SplitGroup,
        Self::AnswerFirst,
        Self::MarkFirst,
        Self::NoMark,
        Self::IgnoredError,
        Self::SplitSeal,
        Self::ChainForgotten,
        Self::ShortReplay,
        Self::ChunksAsTheyCome,
        Self::ParkedDropped,
        Self::FeesLost,
        Self::EntrySkipped,
        Self::NoLeaseEpoch,
        Self::EpochsForgotten,
        Self::Unverified,
        Self::NewNonce,
        Self::BuriedEarly,
        Self::AttemptsForgotten,
        Self::SmallBump,
        Self::BatchSkipped,
        Self::SendFirst,
        Self::NoTakeBack,
        Self::FinalAtOnce,
    ];
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in this thread, or none.
#[cfg(test)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted.
#[cfg(test)]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is planted: never.
#[cfg(not(test))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}
