//! What the journal asks of a key-value store: atomic writes, synced or not, and ordered reads.
//!
//! [`Rocks`] is the only one that a deployment uses; the simulation has one that loses power. Knows no
//! keys and no values.

use super::keys;
use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    Direction, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};
use std::ops::Range;
use std::path::Path;
use thiserror::Error;

/// Log beyond which RocksDB moves what is in memory to its tables, in bytes.
const WAL_BYTES_MAX: u64 = 32 << 20;
/// Tables go to the medium in pieces of so many bytes.
const TABLE_BYTES_PER_SYNC: u64 = 512 << 10;
/// Levels of tables, RocksDB's default.
const LEVELS: usize = 7;
/// Read at once when all rows of a family are, in bytes.
const READAHEAD_BYTES: usize = 1 << 20;

/// What the store said when it failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StoreError(pub String);

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> Self {
        Self(error.into_string())
    }
}

/// Changes that happen together or not at all. Keys and values lie in one buffer: a write of a
/// thousand places is not a thousand allocations.
#[derive(Debug, Clone, Default)]
pub struct Write {
    bytes: Vec<u8>,
    changes: Vec<Place>,
}

/// A family, and where key and value lie.
type Place = (&'static str, Range<usize>, Option<Range<usize>>);

/// A family, a key, and the value it gets; none deletes.
pub type Change<'a> = (&'static str, &'a [u8], Option<&'a [u8]>);

impl Write {
    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
    /// Sets a value.
    pub fn put(&mut self, family: &'static str, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (self.keep(key.as_ref()), self.keep(value.as_ref()));
        self.changes.push((family, key, Some(value)));
    }
    /// Deletes a value.
    pub fn delete(&mut self, family: &'static str, key: impl AsRef<[u8]>) {
        let key = self.keep(key.as_ref());
        self.changes.push((family, key, None));
    }
    /// The changes in order.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let bytes = |range: &Range<usize>| &self.bytes[range.clone()];
        self.changes
            .iter()
            .map(move |(family, key, value)| (*family, bytes(key), value.as_ref().map(bytes)))
    }
}

/// Where a scan starts.
#[derive(Debug, Clone, Copy)]
pub enum Begin<'a> {
    /// At the first key, upwards.
    First,
    /// At the last key, downwards.
    Last,
    /// At the first key that is not less, upwards.
    Up(&'a [u8]),
    /// At the last key that is not greater, downwards.
    Down(&'a [u8]),
}

/// A key and its value.
pub type Row = (Box<[u8]>, Box<[u8]>);

/// A store of ordered keys in families.
pub trait Store: Send + Sync {
    /// A value.
    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Makes all changes; with `sync`, returns only when they are on the medium. After an error it is
    /// unknown whether they are.
    fn write(&self, write: &Write, sync: bool) -> Result<(), StoreError>;
    /// Rows in order.
    fn scan<'a>(
        &'a self,
        family: &'static str,
        from: Begin<'_>,
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a>;
    /// Shows all rows of a family in order, past any cache, until `show` has seen enough.
    fn each(
        &self,
        family: &'static str,
        show: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;
}

/// RocksDB.
pub struct Rocks(DB);

impl Rocks {
    /// Opens or creates the database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = Self::options();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        Ok(Self(DB::open_cf_descriptors(&options, path, Self::families(&keys::FAMILIES))?))
    }
    /// Opens the database to look at it, without changing anything that counts; none if nothing was
    /// ever written to it. Families that an earlier version did not have are missing.
    pub fn look(path: &Path) -> Result<Option<Self>, StoreError> {
        // The last step of making a database.
        if !path.join("CURRENT").exists() {
            return Ok(None);
        }
        let options = Self::options();
        let have = DB::list_cf(&options, path)?;
        let names = keys::FAMILIES.into_iter().filter(|name| have.iter().any(|have| have == name));
        let names: Vec<_> = names.collect();
        // Families are made before the first write.
        if !(names.contains(&keys::META) && names.contains(&keys::GROUPS)) {
            return Ok(None);
        }
        let families = Self::families(&names);
        let db = DB::open_cf_descriptors_read_only(&options, path, families, false)?;
        Ok(Some(Self(db)))
    }
    /// Deletes the database's own files and no others.
    pub fn destroy(path: &Path) -> Result<(), StoreError> {
        Ok(DB::destroy(&Self::options(), path)?)
    }
    fn options() -> Options {
        let mut options = Options::default();
        // The log counts up to its first torn or damaged record. If that one was acknowledged, the
        // watermark says so; if not, nobody was told.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        // A start replays all of it, twice; by default it grows to gigabytes.
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        // A table that is written in one piece would hold up the log's syncs behind it.
        options.set_bytes_per_sync(TABLE_BYTES_PER_SYNC);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(4);
        options
    }
    fn families(names: &[&'static str]) -> Vec<ColumnFamilyDescriptor> {
        let families = names.iter().copied().map(|name| {
            let mut options = Options::default();
            // New tables are written while clients wait, and most of what is in them are hashes and
            // signatures; what gets older is compressed when it is merged.
            let mut compression = [DBCompressionType::Lz4; LEVELS];
            compression[..2].fill(DBCompressionType::None);
            options.set_compression_per_level(&compression);
            if name == keys::TRANSACTIONS {
                let mut table = BlockBasedOptions::default();
                table.set_bloom_filter(10.0, false);
                options.set_block_based_table_factory(&table);
            }
            ColumnFamilyDescriptor::new(name, options)
        });
        families.collect()
    }
    fn family(&self, name: &'static str) -> &ColumnFamily {
        self.0.cf_handle(name).expect("opened with all families")
    }
}

impl Store for Rocks {
    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get_cf(self.family(family), key)?)
    }
    fn write(&self, write: &Write, sync: bool) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (family, key, value) in write.changes() {
            let family = self.family(family);
            match value {
                Some(value) => batch.put_cf(family, key, value),
                None => batch.delete_cf(family, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        Ok(self.0.write_opt(batch, &options)?)
    }
    fn scan<'a>(
        &'a self,
        family: &'static str,
        from: Begin<'_>,
    ) -> Box<dyn Iterator<Item = Result<Row, StoreError>> + 'a> {
        let mode = match from {
            Begin::First => IteratorMode::Start,
            Begin::Last => IteratorMode::End,
            Begin::Up(key) => IteratorMode::From(key, Direction::Forward),
            Begin::Down(key) => IteratorMode::From(key, Direction::Reverse),
        };
        let rows = self.0.iterator_cf(self.family(family), mode);
        Box::new(rows.map(|row| Ok(row?)))
    }
    fn each(
        &self,
        family: &'static str,
        show: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut options = ReadOptions::default();
        // Read once: the cache is for what is asked for again.
        options.fill_cache(false);
        options.set_readahead_size(READAHEAD_BYTES);
        let mut rows = self.0.raw_iterator_cf_opt(self.family(family), options);
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            if !show(key, value) {
                break;
            }
            rows.next();
        }
        Ok(rows.status()?)
    }
}
