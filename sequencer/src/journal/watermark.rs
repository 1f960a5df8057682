//! How far answers have gone, in a file outside the database.
//!
//! The database cannot know what its own tail once held: a log that ends early looks like a log
//! that was never longer. This file names the last group anybody was told about; it is synced after
//! the group and before its first answer. A start compares the two.
//!
//! Two slots, in disk blocks of their own, are written alternately, so that a write that is torn
//! leaves the mark before it. Knows nothing of what a group holds.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The file's name in the data directory.
pub const FILE: &str = "watermark";
const MAGIC: &[u8; 8] = b"KERRWM01";
const BODY: usize = 8 + 8 + 8 + 4 + 32;
const SLOT: usize = BODY + 32;
/// Apart by the largest usual disk block.
const SLOT_EVERY: u64 = 4_096;

/// A place in the log: the end of a group. The default is the start of an empty log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Batch of the group.
    pub batch: u64,
    /// Operations of that batch up to here.
    pub sequence: u32,
    /// Hash of the last receipt up to here; zeros before the first.
    pub receipt: [u8; 32],
}

/// Why a start was refused, or the file not written.
#[derive(Debug, Error)]
pub enum WatermarkError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The database has groups and nothing says how many were acknowledged.
    #[error(
        "{path} is {state}, but the log has operations up to batch {batch}, operation {sequence}: \
         whether acknowledged ones behind them are missing cannot be told; to go on knowingly, \
         start once with --accept-missing-watermark"
    )]
    Missing {
        /// The file.
        path: String,
        /// Missing or damaged.
        state: &'static str,
        /// Last batch of the log.
        batch: u64,
        /// Operations in it.
        sequence: u32,
    },
    /// Acknowledged operations are not in the log.
    #[error(
        "acknowledged operations are missing: answers were given up to batch {need_batch}, operation \
         {need_sequence}, the log ends at batch {have_batch}, operation {have_sequence}; restore the \
         data directory"
    )]
    LogEndsBefore {
        /// Acknowledged up to this batch.
        need_batch: u64,
        /// And so many of its operations.
        need_sequence: u32,
        /// The log ends in this batch.
        have_batch: u64,
        /// After so many of its operations.
        have_sequence: u32,
    },
    /// The log has another history than the one that was acknowledged.
    #[error(
        "the log is not the acknowledged one: at batch {batch}, operation {sequence} the last \
         receipt is {have}, acknowledged was {need}"
    )]
    OtherReceipt {
        /// Batch.
        batch: u64,
        /// Operations of it.
        sequence: u32,
        /// In the log; "none" if no group ends there.
        have: String,
        /// In the watermark.
        need: String,
    },
}

/// What was found at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No file.
    Missing,
    /// A file without a valid slot.
    Damaged,
    /// The newest valid slot.
    Mark(Mark),
}

/// The file with its two slots, whose length never changes.
pub trait Slots: Send {
    /// Writes a slot at an offset and syncs it. After an error the file must not be used again.
    fn write(&mut self, slot: &[u8], offset: u64) -> std::io::Result<()>;
}

impl Slots for File {
    fn write(&mut self, slot: &[u8], offset: u64) -> std::io::Result<()> {
        self.write_all_at(slot, offset)?;
        // The file's length never changes: its data is all there is to sync.
        self.sync_data()
    }
}

/// The open file.
pub struct Watermark {
    slots: Box<dyn Slots>,
    counter: u64,
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}
fn failed(directory: &Path) -> impl Fn(std::io::Error) -> WatermarkError {
    let path = path(directory).display().to_string();
    move |source| WatermarkError::File { path: path.clone(), source }
}

/// magic 8 ‖ counter 8 ‖ batch 8 ‖ sequence 4 ‖ receipt 32 ‖ blake3 of these 32.
fn encode(counter: u64, mark: &Mark) -> [u8; SLOT] {
    let mut out = Vec::with_capacity(SLOT);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&counter.to_be_bytes());
    out.extend_from_slice(&mark.batch.to_be_bytes());
    out.extend_from_slice(&mark.sequence.to_be_bytes());
    out.extend_from_slice(&mark.receipt);
    let checksum = blake3::hash(&out);
    out.extend_from_slice(checksum.as_bytes());
    out.try_into().expect("the fields have fixed lengths")
}
fn decode(slot: &[u8]) -> Option<(u64, Mark)> {
    let (body, checksum) = slot.get(..SLOT)?.split_at(BODY);
    if !body.starts_with(MAGIC) || blake3::hash(body).as_bytes() != checksum {
        return None;
    }
    let counter = u64::from_be_bytes(body[8..16].try_into().ok()?);
    let batch = u64::from_be_bytes(body[16..24].try_into().ok()?);
    let sequence = u32::from_be_bytes(body[24..28].try_into().ok()?);
    Some((counter, Mark { batch, sequence, receipt: body[28..].try_into().ok()? }))
}
fn newest(bytes: &[u8]) -> Option<(u64, Mark)> {
    let slots = [0, SLOT_EVERY as usize].map(|at| bytes.get(at..).and_then(decode));
    slots.into_iter().flatten().max_by_key(|(counter, _)| *counter)
}

/// What a file's bytes say.
pub fn found(bytes: &[u8]) -> Found {
    newest(bytes).map_or(Found::Damaged, |(_, mark)| Found::Mark(mark))
}

/// Reads the file of a data directory; changes nothing.
pub fn read(directory: &Path) -> Result<Found, WatermarkError> {
    match std::fs::read(path(directory)) {
        Ok(bytes) => Ok(found(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Missing),
        Err(error) => Err(failed(directory)(error)),
    }
}

/// Refuses a log, which ends at `end`, that lacks what was acknowledged. `at` gives the log's mark at
/// a place, if a group ends there.
pub fn check<E: From<WatermarkError>>(
    directory: &Path,
    found: Found,
    end: Mark,
    accept_missing: bool,
    at: impl FnOnce(&Mark) -> Result<Option<Mark>, E>,
) -> Result<(), E> {
    let need = match found {
        Found::Mark(mark) => mark,
        Found::Missing | Found::Damaged => {
            if accept_missing || end == Mark::default() {
                return Ok(());
            }
            let state = if found == Found::Missing { "missing" } else { "damaged" };
            let (path, batch, sequence) =
                (path(directory).display().to_string(), end.batch, end.sequence);
            return Err(WatermarkError::Missing { path, state, batch, sequence }.into());
        }
    };
    if (end.batch, end.sequence) < (need.batch, need.sequence) {
        let (need_batch, need_sequence) = (need.batch, need.sequence);
        let (have_batch, have_sequence) = (end.batch, end.sequence);
        let error =
            WatermarkError::LogEndsBefore { need_batch, need_sequence, have_batch, have_sequence };
        return Err(error.into());
    }
    if need == Mark::default() {
        return Ok(());
    }
    let have = at(&need)?;
    if have == Some(need) {
        return Ok(());
    }
    let have = have.map_or_else(|| "none".to_owned(), |mark| hex::encode(mark.receipt));
    let (batch, sequence, need) = (need.batch, need.sequence, hex::encode(need.receipt));
    Err(WatermarkError::OtherReceipt { batch, sequence, have, need }.into())
}

impl Watermark {
    /// Opens or makes the file and moves it to the end of the log: what a restart has recovered may
    /// be told to those who ask again.
    pub fn open(directory: &Path, end: &Mark) -> Result<Self, WatermarkError> {
        let failed = failed(directory);
        let path = path(directory);
        let counter = match std::fs::read(&path) {
            Ok(bytes) => newest(&bytes).map(|(counter, _)| counter),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let Some(counter) = counter else {
            return Self::create(directory, &path, end).map_err(failed);
        };
        let file = OpenOptions::new().write(true).open(&path).map_err(&failed)?;
        let mut watermark = Self { slots: Box::new(file), counter };
        watermark.advance(end).map_err(failed)?;
        Ok(watermark)
    }
    /// Over slots that hold `bytes`, whose next write is the slot that does not count.
    #[cfg(test)]
    pub fn over(slots: impl Slots + 'static, bytes: &[u8]) -> Self {
        let counter = newest(bytes).map_or(0, |(counter, _)| counter);
        Self { slots: Box::new(slots), counter }
    }
    /// A whole file under another name first: a file that is there has a valid slot.
    fn create(directory: &Path, path: &Path, end: &Mark) -> std::io::Result<Self> {
        let new = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let mut bytes = vec![0; 2 * SLOT_EVERY as usize];
        let counter = 0;
        bytes[..SLOT].copy_from_slice(&encode(counter, end));
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(directory)?.sync_all()?;
        Ok(Self { slots: Box::new(file), counter })
    }
    /// Writes the older slot and syncs it. After an error the file must not be used again.
    pub fn advance(&mut self, mark: &Mark) -> std::io::Result<()> {
        self.counter += 1;
        let slot = encode(self.counter, mark);
        self.slots.write(&slot, self.counter % 2 * SLOT_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(sequence: u32) -> Mark {
        Mark { batch: 7, sequence, receipt: [u8::try_from(sequence).expect("small"); 32] }
    }
    fn log(end: u32) -> impl FnOnce(&Mark) -> Result<Option<Mark>, WatermarkError> {
        move |at| Ok((at.sequence <= end).then(|| mark(at.sequence)))
    }

    #[test]
    fn a_torn_slot_leaves_the_mark_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()).expect("readable"), Found::Missing);
        let mut watermark = Watermark::open(dir.path(), &Mark::default()).expect("made");
        (1..=5).for_each(|sequence| watermark.advance(&mark(sequence)).expect("written"));
        assert_eq!(read(dir.path()).expect("readable"), Found::Mark(mark(5)));
        drop(watermark);
        let whole = std::fs::read(path(dir.path())).expect("readable");
        assert_eq!(whole.len(), 8_192);
        // Counter 5 is in the second slot.
        for byte in 0..SLOT {
            let mut torn = whole.clone();
            torn[4_096 + byte] ^= 1;
            std::fs::write(path(dir.path()), torn).expect("written");
            assert_eq!(read(dir.path()).expect("readable"), Found::Mark(mark(4)));
        }
        std::fs::write(path(dir.path()), [0; 8_192]).expect("written");
        assert_eq!(read(dir.path()).expect("readable"), Found::Damaged);
        let watermark = Watermark::open(dir.path(), &mark(6)).expect("made again");
        assert_eq!(watermark.counter, 0);
        assert_eq!(read(dir.path()).expect("readable"), Found::Mark(mark(6)));
    }

    #[test]
    fn a_log_must_reach_the_mark_with_the_same_receipt() {
        let here = Path::new("here");
        let found = Found::Mark(mark(5));
        check(here, found, mark(5), false, log(5)).expect("equal");
        check(here, found, mark(9), false, log(9)).expect("beyond");
        let error = check(here, found, mark(4), true, log(4)).expect_err("short");
        assert!(matches!(error, WatermarkError::LogEndsBefore { have_sequence: 4, .. }), "{error}");
        let other = |_: &Mark| Ok::<_, WatermarkError>(Some(Mark { receipt: [9; 32], ..mark(5) }));
        let error = check(here, found, mark(9), true, other).expect_err("another history");
        assert!(matches!(error, WatermarkError::OtherReceipt { .. }), "{error}");
        for found in [Found::Missing, Found::Damaged] {
            check(here, found, Mark::default(), false, log(0)).expect("a new database");
            check(here, found, mark(1), true, log(1)).expect("accepted");
            let error = check(here, found, mark(1), false, log(1)).expect_err("unknown");
            assert!(matches!(error, WatermarkError::Missing { .. }), "{error}");
        }
    }
}
