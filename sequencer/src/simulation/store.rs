//! A disk that loses power: the database's writes and the watermark's slots.
//!
//! Every write is kept in order, so that any earlier state can be had again. A crash keeps what was
//! synced, and of what was not as many writes as chance will have; a slot that was being
//! written may be torn.

use crate::journal::store::{Begin, Row, Store, StoreError, Write};
use crate::journal::watermark::Slots;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The process is gone; unwinds to the simulation.
pub struct Crash;

type Rows = BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>;

/// What happens to the next writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The process dies before it.
    DiesBefore,
    /// It reaches the medium; the process dies before it knows.
    DiesAfter,
    /// The device reports an error; whether it reached the medium is the dice's.
    Fails,
}

#[derive(Default)]
struct Inner {
    writes: Vec<Write>,
    /// So many of `writes` are on the medium.
    synced: usize,
    rows: Rows,
    slots: Vec<u8>,
    /// After so many more writes, this.
    armed: Option<(u32, Fate)>,
    dice: Option<StdRng>,
}

/// The medium; survives processes.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

fn apply(rows: &mut Rows, write: &Write) {
    for (family, key, value) in write.changes() {
        let rows = rows.entry(family).or_default();
        match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        };
    }
}

impl Inner {
    /// What befalls the write that is made now.
    fn fate(&mut self) -> Option<Fate> {
        let (left, fate) = self.armed?;
        if left > 0 {
            self.armed = Some((left - 1, fate));
            return None;
        }
        self.armed = None;
        Some(fate)
    }
    fn chance(&mut self) -> bool {
        self.dice.as_mut().is_some_and(|dice| dice.r#gen())
    }
    fn rebuild(&mut self) {
        self.rows.clear();
        for write in &self.writes {
            apply(&mut self.rows, write);
        }
    }
}

impl Disk {
    /// An empty one with its own dice.
    pub fn new(dice: StdRng) -> Self {
        let disk = Self::default();
        disk.lock().dice = Some(dice);
        disk
    }
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A crash unwinds through the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// After `left` more writes, `fate`.
    pub fn arm(&self, left: u32, fate: Fate) {
        self.lock().armed = Some((left, fate));
    }
    /// Nothing happens any more.
    pub fn disarm(&self) {
        self.lock().armed = None;
    }
    /// Power is lost: writes that were not synced are there up to some point.
    pub fn lose_power(&self) {
        let mut inner = self.lock();
        inner.armed = None;
        while inner.writes.len() > inner.synced && inner.chance() {
            inner.writes.pop();
        }
        inner.synced = inner.writes.len();
        inner.rebuild();
    }
    /// The watermark's file; empty before it is made.
    pub fn slots(&self) -> Vec<u8> {
        self.lock().slots.clone()
    }
    /// Makes the watermark's file.
    pub fn make_slots(&self, bytes: Vec<u8>) {
        self.lock().slots = bytes;
    }
    /// The last row up to there.
    fn last(
        &self,
        family: &'static str,
        to: Bound<Vec<u8>>,
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>>> {
        let inner = self.lock();
        let rows = inner.rows.get(family);
        let last = rows.and_then(|rows| rows.range((Bound::Unbounded, to)).next_back());
        let last = last.map(|(key, value)| Ok((key.as_slice().into(), value.as_slice().into())));
        Box::new(last.into_iter())
    }
    /// The same medium without its last `lost` writes: another disk.
    pub fn without(&self, lost: usize) -> Self {
        let inner = self.lock();
        let mut other = Inner { slots: inner.slots.clone(), ..Inner::default() };
        let keep = inner.writes.len().saturating_sub(lost);
        other.writes = inner.writes[..keep].to_vec();
        other.synced = keep;
        other.rebuild();
        Self(Arc::new(Mutex::new(other)))
    }
}

impl Store for Disk {
    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().rows.get(family).and_then(|rows| rows.get(key)).cloned())
    }
    fn write(&self, write: &Write, sync: bool) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let fate = inner.fate();
        if fate == Some(Fate::DiesBefore) {
            drop(inner);
            resume_unwind(Box::new(Crash));
        }
        let failed = fate == Some(Fate::Fails);
        if !failed || inner.chance() {
            inner.writes.push(write.clone());
            if sync {
                inner.synced = inner.writes.len();
            }
        }
        if failed {
            return Err(StoreError("input/output error".to_owned()));
        }
        apply(&mut inner.rows, write);
        drop(inner);
        if fate == Some(Fate::DiesAfter) {
            resume_unwind(Box::new(Crash));
        }
        Ok(())
    }
    fn scan<'a>(
        &'a self,
        family: &'static str,
        from: Begin<'_>,
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        let mut from = match from {
            Begin::First => Bound::Unbounded,
            Begin::Up(start) => Bound::Included(start.to_vec()),
            // Downwards nobody reads more than one row.
            Begin::Last => return self.last(family, Bound::Unbounded),
            Begin::Down(start) => return self.last(family, Bound::Included(start.to_vec())),
        };
        Box::new(std::iter::from_fn(move || {
            let inner = self.lock();
            let rows = inner.rows.get(family)?;
            let (key, value) = rows.range((from.clone(), Bound::Unbounded)).next()?;
            from = Bound::Excluded(key.clone());
            Some(Ok((key.as_slice().into(), value.as_slice().into())))
        }))
    }
    fn each(
        &self,
        family: &'static str,
        show: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let inner = self.lock();
        let mut rows = inner.rows.get(family).into_iter().flatten();
        let _ = rows.all(|(key, value)| show(key, value));
        Ok(())
    }
}

impl Slots for Disk {
    fn write(&mut self, slot: &[u8], offset: u64) -> std::io::Result<()> {
        let mut inner = self.lock();
        let fate = inner.fate();
        let start = usize::try_from(offset).expect("a small file");
        let mut written = slot.len();
        if matches!(fate, Some(Fate::DiesBefore | Fate::Fails)) {
            // Torn anywhere.
            written = inner.dice.as_mut().map_or(0, |dice| dice.gen_range(0..=slot.len()));
        }
        inner.slots[start..start + written].copy_from_slice(&slot[..written]);
        drop(inner);
        match fate {
            None => Ok(()),
            Some(Fate::Fails) => Err(std::io::Error::other("input/output error")),
            Some(_) => resume_unwind(Box::new(Crash)),
        }
    }
}
