//! The durable log: RocksDB, one atomic synced write for each group of acknowledgements and for
//! each seal.
//!
//! Who writes what: groups of operations and the places of transactions by the single
//! writer (`ordering`); sealed batches, accounts and the checkpoint by the sealer (`sealing`); leases
//! and records after the seal by `lifecycle`; attempts to post and origins of queue entries by
//! `settlement`; all of it at once by a restore from the main chain (`service::rebuild`), before
//! anybody else.
//! After a write that failed nothing is written any more: what is on disk is then unknown.
//! This module knows no rules; it asserts on reading what it was given to write.

mod attempt;
mod error;
mod group;
pub mod keys;
mod origin;
mod published;
mod record;
pub mod store;
pub mod watermark;

pub use attempt::{AttemptEvent, AttemptRow, BlockPlace, Empty, Happened, PostRecord};
pub use error::JournalError;
pub use group::{Group, GroupSeal, Receipts, StoredReceipts};
pub use origin::Origin;
pub use published::{Ending, Published};

pub use record::{
    BatchRecord, Checkpoint, Head, LeaseRecord, Operation, PhaseRecord, ProofRecord, ReceiptPlace,
    SettlementRecord,
};

use crate::planted::{Bug, planted};
use ark_bn254::Fr;
use kerros_protocol::account::{Account, AccountIndex};
use kerros_protocol::batch::OpenRecord;
use kerros_protocol::encoding::{DecodeError, Reader};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::receipt::{Opening, Receipt};
use kerros_protocol::transaction::{SignedTransaction, TransactionId};
use prost::Message;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Begin, Rocks, Store, Write};
use watermark::Mark;

/// The open database.
pub struct Journal {
    store: Box<dyn Store>,
    /// Set for good by the first write that fails.
    failed: AtomicBool,
}

/// Receipts of the accounts that a group opens.
pub struct OpeningsWrite {
    /// [`Receipts::store`].
    pub stored: Vec<u8>,
    /// Hash of the last one.
    pub last: [u8; 32],
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
    pub next: &'a Checkpoint,
}

impl Journal {
    /// Opens or creates the database.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self::over(Rocks::open(path)?))
    }
    /// Opens the database to look at it, without changing anything that counts; none if nothing was
    /// ever written to it.
    pub fn look(path: &Path) -> Result<Option<Self>, JournalError> {
        Ok(Rocks::look(path)?.map(Self::over))
    }
    /// A journal in any store.
    pub fn over(store: impl Store + 'static) -> Self {
        Self { store: Box::new(store), failed: AtomicBool::new(false) }
    }
    /// Nothing is written any more: what an answer rests on could not be written elsewhere.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }
    /// Whether a write has failed: the service has to end.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
    /// The deployment a database is bound to, if it is.
    pub fn deployment(&self) -> Result<Option<Vec<u8>>, JournalError> {
        self.get(keys::META, keys::DEPLOYMENT)
    }

    fn get(&self, family: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.store.get(family, key)?)
    }
    fn write(&self, write: &Write) -> Result<(), JournalError> {
        if self.failed() {
            return Err(JournalError::Failed);
        }
        // Never tried again: after a sync that failed, a second one may succeed without the data.
        let written = self.store.write(write, !planted(Bug::NoSync));
        if planted(Bug::IgnoredError) {
            return Ok(());
        }
        written.map_err(|error| {
            self.fail();
            error.into()
        })
    }
    fn put(&self, family: &'static str, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        let mut write = Write::default();
        write.put(family, key, value);
        self.write(&write)
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
        if self.is_half_built()? {
            return Err(JournalError::HalfBuilt);
        }
        match self.deployment()? {
            None => self.put(keys::META, keys::DEPLOYMENT, deployment),
            Some(known) if known == deployment => Ok(()),
            Some(_) => Err(JournalError::OtherDeployment),
        }
    }
    /// Start of the first batch that is not sealed; none in a new database.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, JournalError> {
        let family = keys::META;
        let Some(bytes) = self.get(family, keys::CHECKPOINT)? else { return Ok(None) };
        let checkpoint = Checkpoint::decode(&bytes);
        checkpoint.map(Some).map_err(|source| JournalError::Decode { family, source })
    }
    /// Replaces the checkpoint, synced; one that grows fulfils the wish for growth.
    pub fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), JournalError> {
        let mut write = Write::default();
        write.put(keys::META, keys::CHECKPOINT, checkpoint.encode());
        if checkpoint.before_growth.is_some() {
            write.delete(keys::META, keys::GROW);
        }
        self.write(&write)
    }
    /// Writes down that the next batch has to double the ledger, synced.
    pub fn put_grow(&self) -> Result<(), JournalError> {
        self.put(keys::META, keys::GROW, &[])
    }
    /// Whether the next batch has to double the ledger.
    pub fn grow(&self) -> Result<bool, JournalError> {
        Ok(self.get(keys::META, keys::GROW)?.is_some())
    }
    /// Writes down that this batch could not be sealed, synced: a restart seals it before anything else.
    pub fn put_halted(&self, batch: u64) -> Result<(), JournalError> {
        self.put(keys::META, keys::HALTED, &keys::batch(batch))
    }
    /// Whether this batch is closed because it could not be sealed.
    pub fn is_halted(&self, batch: u64) -> Result<bool, JournalError> {
        Ok(self.get(keys::META, keys::HALTED)?.is_some_and(|bytes| bytes == keys::batch(batch)))
    }
    /// Keeps the operator's fee accounts; refuses others while operations of an open batch rest on
    /// them.
    pub fn bind_fees(&self, fees: &[u8], open_batch: u64) -> Result<(), JournalError> {
        match self.get(keys::META, keys::FEES)? {
            Some(known) if known == fees => Ok(()),
            Some(_) if self.next_group(open_batch, 0)?.is_some() => {
                Err(JournalError::OtherFeeAccounts { batch: open_batch })
            }
            _ => self.put(keys::META, keys::FEES, fees),
        }
    }
    /// Hash of the last receipt of a transaction; zeros before the first.
    pub fn last_receipt(&self) -> Result<[u8; 32], JournalError> {
        self.hash(keys::RECEIPT, "last receipt")
    }
    /// Hash of the last receipt of an opening; zeros before the first.
    pub fn last_opening(&self) -> Result<[u8; 32], JournalError> {
        self.hash(keys::OPENING, "last opening")
    }
    fn hash(&self, key: &[u8], what: &'static str) -> Result<[u8; 32], JournalError> {
        let family = keys::META;
        let Some(bytes) = self.get(family, key)? else { return Ok([0; 32]) };
        let (need, have) = (32, bytes.len());
        let short = DecodeError::Short { what, need, have };
        bytes.try_into().map_err(|_| JournalError::Decode { family, source: short })
    }
    /// All accounts after the last sealed batch, in a ledger of `2^k`.
    pub fn ledger(&self, k: u8) -> Result<Ledger, JournalError> {
        let family = keys::ACCOUNTS;
        let refuse = |source| JournalError::Decode { family, source };
        let index = |key: &[u8]| {
            let what = "account key";
            let short = DecodeError::Short { what, need: 4, have: key.len() };
            let index = u32::from_be_bytes(key.try_into().map_err(|_| short)?);
            if index >> k != 0 {
                let (value, max) = (index.into(), (1 << k) - 1);
                return Err(DecodeError::OutOfRange { what, value, min: 1, max });
            }
            AccountIndex::new(index)
        };
        let last = self.store.scan(family, Begin::Last).next().transpose()?;
        let last = last.map(|(key, _)| index(&key)).transpose().map_err(refuse)?;
        let last = last.map_or(0, AccountIndex::position);
        // Room for some more, so that the next one to be opened does not move all of them.
        let mut ledger = Ledger::with_room(k, last + last / 4 + 1);
        let mut wrong = None;
        let mut set = |key: &[u8], value: &[u8]| -> Result<(), DecodeError> {
            ledger.set(index(key)?, Account::decode(value)?);
            Ok(())
        };
        self.store.each(family, &mut |key, value| {
            wrong = set(key, value).err();
            wrong.is_none()
        })?;
        wrong.map_or(Ok(ledger), |source| Err(refuse(source)))
    }
    /// One account after the last sealed batch; none if it never existed.
    pub fn account(&self, index: AccountIndex) -> Result<Option<Account>, JournalError> {
        let family = keys::ACCOUNTS;
        let Some(bytes) = self.get(family, &keys::account(index))? else { return Ok(None) };
        let account = Account::decode(&bytes);
        account.map(Some).map_err(|source| JournalError::Decode { family, source })
    }
    /// The first group at or after operation `sequence` of `batch`, of a later batch if need be.
    pub fn next_group(&self, batch: u64, sequence: u32) -> Result<Option<Group>, JournalError> {
        let start = keys::group(batch, sequence);
        let Some(row) = self.store.scan(keys::GROUPS, Begin::Up(&start)).next() else {
            return Ok(None);
        };
        let (key, value) = row?;
        Self::group(&key, &value).map(Some)
    }
    fn group(key: &[u8], value: &[u8]) -> Result<Group, JournalError> {
        let refuse = |source| JournalError::Decode { family: keys::GROUPS, source };
        let mut r = Reader::new(key);
        let (batch, sequence) = (r.take_u64("batch"), r.take_u32("sequence"));
        let (batch, sequence) = (batch.map_err(refuse)?, sequence.map_err(refuse)?);
        Group::decode(batch, sequence, value).map_err(refuse)
    }
    fn mark(&self, from: Begin<'_>, domain: Fr) -> Result<Option<Mark>, JournalError> {
        let Some(row) = self.store.scan(keys::GROUPS, from).next() else { return Ok(None) };
        let (key, value) = row?;
        Ok(Some(Self::group(&key, &value)?.mark(domain)))
    }
    /// Where the log ends.
    pub fn end(&self, domain: Fr) -> Result<Mark, JournalError> {
        Ok(self.mark(Begin::Last, domain)?.unwrap_or_default())
    }
    /// The mark after `sequence` operations of `batch`, if a group ends there.
    pub fn mark_at(
        &self,
        batch: u64,
        sequence: u32,
        domain: Fr,
    ) -> Result<Option<Mark>, JournalError> {
        let Some(last) = sequence.checked_sub(1) else { return Ok(None) };
        let key = keys::group(batch, last);
        let mark = self.mark(Begin::Down(&key), domain)?;
        Ok(mark.filter(|mark| (mark.batch, mark.sequence) == (batch, sequence)))
    }
    /// Operations of a batch in order.
    pub fn operations(&self, batch: u64) -> Result<Vec<Operation>, JournalError> {
        let family = keys::GROUPS;
        let mut operations = Vec::new();
        loop {
            let sequence = u32::try_from(operations.len()).unwrap_or(u32::MAX);
            match self.next_group(batch, sequence)? {
                Some(group) if group.batch == batch => {
                    if group.sequence != sequence {
                        let what = "an operation in the middle";
                        return Err(JournalError::Missing { family, what });
                    }
                    operations.extend(group.operations);
                }
                _ => return Ok(operations),
            }
        }
    }
    /// Appends a group of operations in one synced write.
    pub fn append(
        &self,
        group: &Group,
        ids: &[TransactionId],
        receipts: Option<&Receipts>,
        last_receipt: Option<[u8; 32]>,
        openings: Option<&OpeningsWrite>,
    ) -> Result<(), JournalError> {
        let mut write = Write::default();
        let (batch, sequence) = (group.batch, group.sequence);
        let key = keys::group(batch, sequence);
        write.put(keys::GROUPS, key, group.encode());
        if let Some(receipts) = receipts {
            write.put(keys::RECEIPTS, key, receipts.store(&group.seal));
        }
        if let Some(OpeningsWrite { stored, last }) = openings {
            write.put(keys::OPENINGS, key, stored.as_slice());
            write.put(keys::META, keys::OPENING, *last);
            for (record, index) in group.opened().zip(0..) {
                let place = ReceiptPlace { batch, sequence, index };
                write.put(keys::OPENED, keys::account(record.index), place.encode());
            }
        }
        if planted(Bug::SplitGroup) {
            self.write(&std::mem::take(&mut write))?;
        }
        for (id, index) in ids.iter().zip(0..) {
            let place = ReceiptPlace { batch, sequence, index };
            write.put(keys::TRANSACTIONS, keys::transaction(id), place.encode());
        }
        if let Some(hash) = last_receipt {
            write.put(keys::META, keys::RECEIPT, hash);
        }
        self.write(&write)
    }
    /// Seals a batch, in one synced write.
    pub fn seal(&self, seal: &SealWrite<'_>) -> Result<(), JournalError> {
        let number = seal.record.number;
        assert_eq!(seal.next.head.number, number + 1, "a seal moves on by one batch");
        let mut write = Write::default();
        write.put(keys::SEALED, keys::batch(number), seal.sealed);
        let record = seal.record.encode_to_vec();
        write.put(keys::RECORDS, keys::batch(number), record);
        for (index, account) in seal.accounts {
            write.put(keys::ACCOUNTS, keys::account(*index), account.encode());
        }
        if planted(Bug::SplitSeal) {
            self.write(&std::mem::take(&mut write))?;
        }
        write.put(keys::META, keys::CHECKPOINT, seal.next.encode());
        self.write(&write)
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
        let mut write = Write::default();
        for record in records {
            let key = keys::batch(record.number);
            write.put(keys::RECORDS, key, record.encode_to_vec());
        }
        self.write(&write)
    }
    /// Where an acknowledged transaction stands.
    pub fn transaction(&self, id: &TransactionId) -> Result<Option<ReceiptPlace>, JournalError> {
        self.place(keys::TRANSACTIONS, &keys::transaction(id))
    }
    fn place(
        &self,
        family: &'static str,
        key: &[u8],
    ) -> Result<Option<ReceiptPlace>, JournalError> {
        let Some(bytes) = self.get(family, key)? else { return Ok(None) };
        let place = ReceiptPlace::decode(&bytes);
        place.map(Some).map_err(|source| JournalError::Decode { family, source })
    }
    fn receipts(
        &self,
        family: &'static str,
        place: &ReceiptPlace,
    ) -> Result<StoredReceipts, JournalError> {
        let missing = || JournalError::Missing { family, what: "a group's receipts" };
        let bytes = self.get(family, &keys::group(place.batch, place.sequence))?;
        let stored = StoredReceipts::decode(place.batch, &bytes.ok_or_else(missing)?);
        stored.map_err(|source| JournalError::Decode { family, source })
    }
    /// The receipt of a transaction, if it was acknowledged. Reads no other transaction.
    pub fn receipt(&self, id: &TransactionId) -> Result<Option<Receipt>, JournalError> {
        let Some(place) = self.transaction(id)? else { return Ok(None) };
        let family = keys::RECEIPTS;
        let receipt = self.receipts(family, &place)?.get(*id, place.index);
        receipt.ok_or(JournalError::Missing { family, what: "a receipt" }).map(Some)
    }
    /// The receipt of an account's opening; none if the log does not have it.
    pub fn opening(&self, record: OpenRecord) -> Result<Option<Receipt<Opening>>, JournalError> {
        let place = self.place(keys::OPENED, &keys::account(record.index))?;
        let Some(place) = place else { return Ok(None) };
        let family = keys::OPENINGS;
        let receipt = self.receipts(family, &place)?.opening(record, place.index);
        receipt.ok_or(JournalError::Missing { family, what: "an opening's receipt" }).map(Some)
    }
    /// An acknowledged transaction.
    pub fn signed(&self, id: &TransactionId) -> Result<Option<SignedTransaction>, JournalError> {
        let Some(place) = self.transaction(id)? else { return Ok(None) };
        let missing = || JournalError::Missing { family: keys::GROUPS, what: "a group" };
        let group = self.next_group(place.batch, place.sequence)?.ok_or_else(missing)?;
        let signed = group.transactions().nth(place.index as usize).ok_or_else(missing)?;
        if signed.transaction.id() == *id { Ok(Some(*signed)) } else { Err(missing()) }
    }
    /// The last lease of a batch.
    pub fn lease(&self, number: u64) -> Result<Option<LeaseRecord>, JournalError> {
        self.message(keys::LEASES, &keys::batch(number))
    }
    /// Replaces a lease, synced.
    pub fn put_lease(&self, number: u64, lease: &LeaseRecord) -> Result<(), JournalError> {
        self.put(keys::LEASES, &keys::batch(number), &lease.encode_to_vec())
    }
}
