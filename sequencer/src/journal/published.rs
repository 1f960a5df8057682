//! A database built from what the main chain published.
//!
//! A mark stands in it from the first write to the last one, which makes everything count at once: a
//! restore that was interrupted leaves what nobody starts with and the next restore deletes. So the
//! data directory may be a mount point, and files beside the database stay.

use super::store::{Rocks, Write};
use super::{BatchRecord, Checkpoint, Journal, JournalError, Origin, keys};
use kerros_protocol::account::{Account, AccountIndex};
use prost::Message;
use std::path::Path;

/// A batch of the main chain.
pub struct Published {
    /// `SealedBatch::encode`.
    pub sealed: Vec<u8>,
    /// Its record.
    pub record: BatchRecord,
}

/// What makes a database whole.
pub struct Ending<'a> {
    /// As for [`Journal::bind`].
    pub deployment: &'a [u8],
    /// Start of the first batch that is not on the main chain.
    pub next: &'a Checkpoint,
    /// What the next receipt follows.
    pub last_receipt: [u8; 32],
    /// What the next opening follows.
    pub last_opening: [u8; 32],
}

impl Journal {
    /// Begins a database where there is none, or only one that was never finished; none if there is one.
    pub fn begin_restore(path: &Path) -> Result<Option<Self>, JournalError> {
        if let Some(found) = Self::look(path)? {
            let begun = found.deployment()?.is_some() || found.checkpoint()?.is_some();
            if begun {
                return Ok(None);
            }
            drop(found);
            Rocks::destroy(path)?;
        }
        let journal = Self::open(path)?;
        journal.put(keys::META, keys::RESTORING, &[])?;
        Ok(Some(journal))
    }
    /// Whether a restore was not finished.
    pub(super) fn is_half_built(&self) -> Result<bool, JournalError> {
        Ok(self.get(keys::META, keys::RESTORING)?.is_some())
    }
    /// Writes down batches of the main chain and where queue entries came from, in one synced write.
    pub fn put_published(
        &self,
        batches: &[Published],
        origins: &[(u64, Origin)],
    ) -> Result<(), JournalError> {
        let mut write = Write::default();
        for Published { sealed, record } in batches {
            let key = keys::batch(record.number);
            write.put(keys::SEALED, key, sealed);
            write.put(keys::RECORDS, key, record.encode_to_vec());
        }
        for (entry, origin) in origins {
            write.put(keys::ORIGINS, keys::batch(*entry), origin.encode());
        }
        self.write(&write)
    }
    /// Writes down accounts, synced.
    pub fn put_accounts<'a>(
        &self,
        accounts: impl IntoIterator<Item = (AccountIndex, &'a Account)>,
    ) -> Result<(), JournalError> {
        let mut write = Write::default();
        for (index, account) in accounts {
            write.put(keys::ACCOUNTS, keys::account(index), account.encode());
        }
        self.write(&write)
    }
    /// From here on it is a database, in one synced write.
    pub fn end_restore(&self, ending: &Ending<'_>) -> Result<(), JournalError> {
        let mut write = Write::default();
        write.put(keys::META, keys::DEPLOYMENT, ending.deployment);
        write.put(keys::META, keys::CHECKPOINT, ending.next.encode());
        write.put(keys::META, keys::RECEIPT, ending.last_receipt);
        write.put(keys::META, keys::OPENING, ending.last_opening);
        write.delete(keys::META, keys::RESTORING);
        self.write(&write)
    }
}
