//! Room on the disk: looked at often, so that the database never meets its end.
//!
//! Below the reserve, new transactions and openings are refused at the door, queue entries and old
//! batches wait. What still writes: transactions that were inside already (bounded by the seats, a
//! few MB), seals of full batches and those asked for by the operator, leases, proofs and posts (KBs
//! each, and batches stop coming), the watermark (in place), and RocksDB's flushes and compactions
//! of what it holds (memtables of 64 MB and its first levels). The default reserve of 256 MiB is
//! enough for these. A write that fails nevertheless ends the service.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Free bytes of the data directory's file system, against the reserve.
#[derive(Debug, Clone)]
pub struct Disk {
    directory: PathBuf,
    reserve: u64,
    free: Arc<AtomicU64>,
}

impl Disk {
    /// Looks for the first time.
    pub fn new(directory: PathBuf, reserve: u64) -> Self {
        let disk = Self { directory, reserve, free: Arc::new(AtomicU64::new(u64::MAX)) };
        metrics::gauge!(crate::metrics::DISK_RESERVE).set(reserve as f64);
        disk.look();
        disk
    }
    /// Looks again; tells when the answer has changed.
    pub fn look(&self) {
        let free = match rustix::fs::statvfs(&self.directory) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            Err(error) => {
                // Not knowing is no reason to stop: a write would fail and say why.
                tracing::warn!(%error, "free space of the data directory");
                return;
            }
        };
        metrics::gauge!(crate::metrics::DISK_FREE).set(free as f64);
        let had_room = self.has_room();
        self.free.store(free, Ordering::Relaxed);
        match (had_room, self.has_room()) {
            (true, false) => {
                tracing::error!(free, reserve = self.reserve, "DISK FULL: refusing transactions");
            }
            (false, true) => tracing::info!(free, "room on the disk again"),
            _ => {}
        }
    }
    /// Free bytes when last looked at.
    pub fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }
    /// Least free bytes.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }
    /// Whether there is room for more than what is under way.
    pub fn has_room(&self) -> bool {
        self.free() >= self.reserve
    }
}
