//! A batch's life: `Open → Sealed → Proved → Verified → Posted → Final`.
//!
//! Keeps the records of all batches that are not final in memory and every change on disk, and
//! tells watchers. Does not know who proves or posts. `Proved` is never on disk: a proof that was
//! not verified does not survive a crash.

use crate::execution::Closing;
use crate::journal::{BatchRecord, Journal, JournalError};
use crate::planted::{Bug, planted};
use kerros_protocol::proto::BatchState;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;

struct Inner {
    /// Not final, ascending; ends below the open batch.
    unsettled: BTreeMap<u64, BatchRecord>,
    /// Closed and not sealed yet: still Open for everybody.
    closed: BTreeMap<u64, BatchRecord>,
    /// First that is not sealed.
    open: u64,
}

/// What waits in which state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The first batch that is closed and not sealed, and how many there are.
    pub closed: Option<(u64, usize)>,
    /// States from Sealed to Posted: batches in it, and since when the oldest is, Unix ms.
    pub states: [(BatchState, (usize, Option<u64>)); 4],
    /// The oldest batch that is sealed and not final, and when it was sealed, Unix ms.
    pub oldest: Option<(u64, u64)>,
}

/// The lives of all batches.
pub struct Lifecycle {
    journal: Arc<Journal>,
    inner: Mutex<Inner>,
    revision: watch::Sender<u64>,
    stopping: AtomicBool,
    /// Why sealing has stopped, if it has.
    halted: OnceLock<String>,
}

impl Lifecycle {
    /// Loads what is not final; `open` is the first batch that is not sealed.
    pub fn load(journal: Arc<Journal>, open: u64) -> Result<Self, JournalError> {
        let mut unsettled = BTreeMap::new();
        for number in (1..open).rev() {
            let family = crate::journal::keys::RECORDS;
            let missing = JournalError::Missing { family, what: "a sealed batch's record" };
            let record = journal.record(number)?.ok_or(missing)?;
            if record.state() == BatchState::Final {
                break;
            }
            unsettled.insert(number, record);
        }
        let inner = Mutex::new(Inner { unsettled, closed: BTreeMap::new(), open });
        Ok(Self {
            journal,
            inner,
            revision: watch::Sender::new(0),
            stopping: AtomicBool::new(false),
            halted: OnceLock::new(),
        })
    }
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }
    /// Wakes watchers although no state has changed: a batch can be leased again.
    pub fn poke(&self) {
        self.changed();
    }
    /// Sees a new value after every change.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
    /// The writer has closed this batch and opened the next; it will be sealed.
    pub fn closed(&self, closing: &Closing) {
        let head = &closing.head;
        let mut record = BatchRecord {
            number: head.number,
            counts: closing.data.counts().map(|n| u32::try_from(n).unwrap_or(u32::MAX)).to_vec(),
            k: head.k.into(),
            grows: head.grows,
            first: head.first,
            end: closing.end,
            opened_ms: head.opened_ms,
            ..BatchRecord::default()
        };
        record.set_state(BatchState::Open);
        self.lock().closed.insert(head.number, record);
        tracing::info!(batch = head.number + 1, "Open");
    }
    /// This batch is sealed, its record is on disk.
    pub fn sealed(&self, record: BatchRecord) {
        let mut inner = self.lock();
        assert_eq!(inner.open, record.number, "batches are sealed in order");
        inner.open += 1;
        inner.closed.remove(&record.number);
        crate::metrics::edge(&record);
        inner.unsettled.insert(record.number, record);
        drop(inner);
        self.changed();
    }
    /// Number of the first batch that is not sealed.
    pub fn open(&self) -> u64 {
        self.lock().open
    }
    /// Batches sealed and not final.
    pub fn unsettled(&self) -> usize {
        self.lock().unsettled.len()
    }
    /// What waits in which state.
    pub fn overview(&self) -> Overview {
        let inner = self.lock();
        let closed = inner.closed.keys().next().map(|first| (*first, inner.closed.len()));
        let states =
            [BatchState::Sealed, BatchState::Proved, BatchState::Verified, BatchState::Posted];
        let states = states.map(|state| {
            let records = || inner.unsettled.values().filter(|record| record.state() == state);
            (state, (records().count(), records().map(BatchRecord::since_ms).min()))
        });
        let oldest = inner.unsettled.values().next();
        let oldest = oldest.map(|record| (record.number, record.sealed_ms));
        Overview { closed, states, oldest }
    }
    /// The last final batch; 0 if none.
    pub fn last_final(&self) -> u64 {
        let inner = self.lock();
        inner.unsettled.keys().next().copied().unwrap_or(inner.open) - 1
    }
    /// The record of a batch that is closed or sealed.
    pub fn record(&self, number: u64) -> Result<Option<BatchRecord>, JournalError> {
        let inner = self.lock();
        if number == 0 || number >= inner.open {
            return Ok(inner.closed.get(&number).cloned());
        }
        match inner.unsettled.get(&number) {
            Some(record) => Ok(Some(record.clone())),
            None => self.journal.record(number),
        }
    }
    /// Numbers of the batches in this state, ascending.
    pub fn in_state(&self, state: BatchState) -> Vec<u64> {
        let inner = self.lock();
        let matching = inner.unsettled.values().filter(|record| record.state() == state);
        matching.map(|record| record.number).collect()
    }
    /// The first batch that is not on the main chain, if there is one.
    pub fn next_to_post(&self) -> Option<BatchRecord> {
        let inner = self.lock();
        let mut waiting =
            inner.unsettled.values().filter(|record| record.state() < BatchState::Posted);
        let first = waiting.next();
        let skips = planted(Bug::BatchSkipped) && first.is_some_and(|one| one.proof.is_some());
        let next = if skips { waiting.next().or(first) } else { first };
        next.cloned()
    }
    /// Changes the state in memory only: between `Sealed` and `Proved`.
    pub fn set_proving(&self, number: u64, proved: bool) {
        let (from, to) = match proved {
            true => (BatchState::Sealed, BatchState::Proved),
            false => (BatchState::Proved, BatchState::Sealed),
        };
        let mut inner = self.lock();
        let Some(record) = inner.unsettled.get_mut(&number) else { return };
        if record.state() == from {
            record.set_state(to);
            drop(inner);
            self.changed();
        }
    }
    /// These batches and no others are quarantined, in memory; gives those that were not before.
    pub fn set_quarantined(&self, numbers: &[u64]) -> Vec<u64> {
        let mut inner = self.lock();
        let (mut new, mut lifted) = (Vec::new(), false);
        for record in inner.unsettled.values_mut() {
            let waits = record.state() < BatchState::Verified;
            let quarantined = waits && numbers.contains(&record.number);
            match (record.quarantined, quarantined) {
                (false, true) => new.push(record.number),
                (true, false) => lifted = true,
                _ => {}
            }
            record.quarantined = quarantined;
        }
        drop(inner);
        if lifted || !new.is_empty() {
            self.changed();
        }
        new
    }
    /// Batches in quarantine.
    pub fn quarantined(&self) -> usize {
        self.lock().unsettled.values().filter(|record| record.quarantined).count()
    }
    /// The main chain no longer has this batch: Verified again, or Sealed if a stranger's proof was
    /// all there was.
    pub fn take_back(&self, number: u64) -> Result<(), JournalError> {
        if planted(Bug::NoTakeBack) {
            return Ok(());
        }
        self.update(number, |record| {
            record.settlement = None;
            let proved = record.proof.is_some();
            record.set_state(if proved { BatchState::Verified } else { BatchState::Sealed });
        })?;
        Ok(())
    }
    /// No batch is sealed any more; the first reason is kept.
    pub fn halt(&self, reason: String) {
        self.halted.get_or_init(|| reason);
    }
    /// Why no batch is sealed any more, if so.
    pub fn halted(&self) -> Option<&str> {
        self.halted.get().map(String::as_str)
    }
    /// Ends all streams.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.changed();
    }
    /// Whether streams have to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
    /// Changes a batch's record, on disk first. Gives the new record, none if the batch is not
    /// among the unsettled ones.
    pub fn update(
        &self,
        number: u64,
        change: impl FnOnce(&mut BatchRecord),
    ) -> Result<Option<BatchRecord>, JournalError> {
        let mut inner = self.lock();
        let Some(record) = inner.unsettled.get(&number) else { return Ok(None) };
        let before = record.state();
        let mut next = record.clone();
        change(&mut next);
        assert_eq!(next.number, number, "a batch keeps its number");
        assert_ne!(next.state(), BatchState::Proved, "Proved is never on disk");
        next.quarantined &= next.state() < BatchState::Verified;
        self.journal.put_records(std::slice::from_ref(&next))?;
        if next.state() == BatchState::Final {
            inner.unsettled.remove(&number);
        } else {
            inner.unsettled.insert(number, next.clone());
        }
        drop(inner);
        if next.state() > before {
            crate::metrics::edge(&next);
        }
        self.changed();
        Ok(Some(next))
    }
}
