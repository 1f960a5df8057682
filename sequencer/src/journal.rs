//! The durable log: RocksDB, one atomic synced write for each group of acknowledgements and for
//! each seal.
//!
//! Who writes what: operations, accounts, sealed batches, transactions and the head by the single
//! writer (`ordering`); leases and records after the seal by `lifecycle`; posts by `settlement`.
//! This module knows no rules; it asserts on reading what it was given to write.

pub mod keys;
mod record;

pub use record::{
    BatchRecord, Head, LeaseRecord, Operation, PhaseRecord, PostRecord, ProofRecord,
    SettlementRecord, TransactionRecord,
};

use kerros_protocol::account::{Account, AccountIndex};
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::transaction::TransactionId;
use prost::Message;
use rocksdb::{
    ColumnFamilyDescriptor, DB, DBRecoveryMode, Direction, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteOptions,
};
use std::path::Path;
use thiserror::Error;

/// Why the database failed or was refused.
#[derive(Debug, Error)]
pub enum JournalError {
    /// RocksDB.
    #[error("database: {0}")]
    Database(#[from] rocksdb::Error),
    /// A value that this build cannot have written.
    #[error("database, {family}: {source}")]
    Decode {
        /// Column family.
        family: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
    /// A protobuf value that cannot be read.
    #[error("database, {family}: {source}")]
    Message {
        /// Column family.
        family: &'static str,
        /// What is wrong.
        source: prost::DecodeError,
    },
    /// The database belongs to another chain, contract or key.
    #[error("the database belongs to another deployment")]
    OtherDeployment,
    /// A key that should exist.
    #[error("database, {family}: {what} is missing")]
    Missing {
        /// Column family.
        family: &'static str,
        /// What.
        what: &'static str,
    },
}

/// The open database.
pub struct Journal {
    db: DB,
}

/// What a seal writes in one step.
pub struct SealWrite<'a> {
    /// `SealedBatch::encode`.
    pub sealed: &'a [u8],
    /// Its record.
    pub record: &'a BatchRecord,
    /// Accounts touched, after the batch.
    pub accounts: &'a [(AccountIndex, Account)],
    /// Start of the next batch.
    pub head: &'a Head,
}

impl Journal {
    /// Opens or creates the database.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // A torn record at the end of the log is a write nobody was told about; anything else
        // that is broken must be seen.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(4);
        let families = keys::FAMILIES.map(|name| {
            let mut options = Options::default();
            options.set_compression_type(rocksdb::DBCompressionType::Lz4);
            if name == keys::TRANSACTIONS {
                let mut table = rocksdb::BlockBasedOptions::default();
                table.set_bloom_filter(10.0, false);
                options.set_block_based_table_factory(&table);
            }
            ColumnFamilyDescriptor::new(name, options)
        });
        Ok(Self { db: DB::open_cf_descriptors(&options, path, families)? })
    }

    fn family(&self, name: &'static str) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(name).expect("opened with all families")
    }
    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.db.get_cf(self.family(family), key)?)
    }
    fn write(&self, batch: WriteBatch) -> Result<(), JournalError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.db.write_opt(batch, &options)?)
    }
    fn put(&self, family: &'static str, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(family), key, value);
        self.write(batch)
    }
    fn message<M: Message + Default>(
        &self,
        family: &'static str,
        key: &[u8],
    ) -> Result<Option<M>, JournalError> {
        let Some(bytes) = self.get(family, key)? else { return Ok(None) };
        let message = M::decode(bytes.as_slice());
        message.map(Some).map_err(|source| JournalError::Message { family, source })
    }

    /// Binds a new database to a deployment, or checks that it is this one.
    pub fn bind(&self, deployment: &[u8]) -> Result<(), JournalError> {
        match self.get(keys::META, keys::DEPLOYMENT)? {
            None => self.put(keys::META, keys::DEPLOYMENT, deployment),
            Some(known) if known == deployment => Ok(()),
            Some(_) => Err(JournalError::OtherDeployment),
        }
    }
    /// Start of the open batch; none in a new database.
    pub fn head(&self) -> Result<Option<Head>, JournalError> {
        let family = keys::META;
        let Some(bytes) = self.get(family, keys::HEAD)? else { return Ok(None) };
        let head = Head::decode(&bytes);
        head.map(Some).map_err(|source| JournalError::Decode { family, source })
    }
    /// Replaces the head, synced.
    pub fn put_head(&self, head: &Head) -> Result<(), JournalError> {
        self.put(keys::META, keys::HEAD, &head.encode())
    }
    /// All accounts after the last sealed batch, ascending.
    pub fn accounts(&self) -> Result<Vec<(AccountIndex, Account)>, JournalError> {
        let family = keys::ACCOUNTS;
        let refuse = |source| JournalError::Decode { family, source };
        let rows = self.db.iterator_cf(self.family(family), IteratorMode::Start);
        rows.map(|row| {
            let (key, value) = row?;
            let key: [u8; 4] = key.as_ref().try_into().map_err(|_| {
                refuse(DecodeError::Short { what: "account key", need: 4, have: key.len() })
            })?;
            let index = AccountIndex::new(u32::from_be_bytes(key)).map_err(refuse)?;
            Ok((index, Account::decode(&value).map_err(refuse)?))
        })
        .collect()
    }
    /// Operations of a batch in order.
    pub fn operations(&self, batch: u64) -> Result<Vec<Operation>, JournalError> {
        let family = keys::OPERATIONS;
        let start = keys::operation(batch, 0);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(keys::operation(batch + 1, 0));
        let mode = IteratorMode::From(&start, Direction::Forward);
        let rows = self.db.iterator_cf_opt(self.family(family), options, mode);
        let operations = rows.enumerate().map(|(sequence, row)| {
            let (key, value) = row?;
            let sequence = u32::try_from(sequence).unwrap_or(u32::MAX);
            if key.as_ref() != keys::operation(batch, sequence) {
                return Err(JournalError::Missing { family, what: "an operation in the middle" });
            }
            Operation::decode(&value).map_err(|source| JournalError::Decode { family, source })
        });
        operations.collect()
    }
    /// Appends a group of operations, the first one with number `sequence` in its batch, in one
    /// synced write.
    pub fn append(
        &self,
        batch: u64,
        sequence: u32,
        operations: &[Operation],
        transactions: &[(TransactionId, TransactionRecord)],
    ) -> Result<(), JournalError> {
        let mut write = WriteBatch::default();
        for (sequence, operation) in (sequence..).zip(operations) {
            let key = keys::operation(batch, sequence);
            write.put_cf(self.family(keys::OPERATIONS), key, operation.encode());
        }
        for (id, record) in transactions {
            let key = keys::transaction(id);
            write.put_cf(self.family(keys::TRANSACTIONS), key, record.encode());
        }
        self.write(write)
    }
    /// Ends the open batch and starts the next one, in one synced write.
    pub fn seal(&self, seal: &SealWrite<'_>) -> Result<(), JournalError> {
        let number = seal.record.number;
        assert_eq!(seal.head.number, number + 1, "a seal moves the head by one batch");
        let mut write = WriteBatch::default();
        write.put_cf(self.family(keys::SEALED), keys::batch(number), seal.sealed);
        let record = seal.record.encode_to_vec();
        write.put_cf(self.family(keys::RECORDS), keys::batch(number), record);
        for (index, account) in seal.accounts {
            write.put_cf(self.family(keys::ACCOUNTS), keys::account(*index), account.encode());
        }
        let (from, to) = (keys::operation(number, 0), keys::operation(number + 1, 0));
        write.delete_range_cf(self.family(keys::OPERATIONS), from, to);
        write.put_cf(self.family(keys::META), keys::HEAD, seal.head.encode());
        self.write(write)
    }
    /// The encoded sealed batch.
    pub fn sealed(&self, number: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.get(keys::SEALED, &keys::batch(number))
    }
    /// A batch's record.
    pub fn record(&self, number: u64) -> Result<Option<BatchRecord>, JournalError> {
        self.message(keys::RECORDS, &keys::batch(number))
    }
    /// Replaces records in one synced write.
    pub fn put_records(&self, records: &[BatchRecord]) -> Result<(), JournalError> {
        let mut write = WriteBatch::default();
        for record in records {
            let key = keys::batch(record.number);
            write.put_cf(self.family(keys::RECORDS), key, record.encode_to_vec());
        }
        self.write(write)
    }
    /// An acknowledged transaction.
    pub fn transaction(
        &self,
        id: &TransactionId,
    ) -> Result<Option<TransactionRecord>, JournalError> {
        let family = keys::TRANSACTIONS;
        let Some(bytes) = self.get(family, &keys::transaction(id))? else { return Ok(None) };
        let record = TransactionRecord::decode(&bytes);
        record.map(Some).map_err(|source| JournalError::Decode { family, source })
    }
    /// The last lease of a batch.
    pub fn lease(&self, number: u64) -> Result<Option<LeaseRecord>, JournalError> {
        self.message(keys::LEASES, &keys::batch(number))
    }
    /// Replaces a lease, synced.
    pub fn put_lease(&self, number: u64, lease: &LeaseRecord) -> Result<(), JournalError> {
        self.put(keys::LEASES, &keys::batch(number), &lease.encode_to_vec())
    }
    /// The transaction that was signed to post a batch.
    pub fn post(&self, number: u64) -> Result<Option<PostRecord>, JournalError> {
        self.message(keys::POSTS, &keys::batch(number))
    }
    /// Writes down a signed post, synced.
    pub fn put_post(&self, number: u64, post: &PostRecord) -> Result<(), JournalError> {
        self.put(keys::POSTS, &keys::batch(number), &post.encode_to_vec())
    }
}
