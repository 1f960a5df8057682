//! The embedded chain's keys and values on disk, all in one place, and the one write per block.
//!
//! | key | value |
//! |---|---|
//! | `h` | number of the newest block, 8 bytes |
//! | `o` | seconds by which the clock was moved forward, 8 bytes |
//! | `b` number 8 | [`BlockRecord`] as JSON |
//! | `B` block hash 32 | number, 8 bytes |
//! | `t` transaction hash 32 | number of its block, 8 bytes |
//! | `x` number 8 | the transaction's EIP-2718 bytes |
//! | `r` number 8 | [`ReceiptRecord`] as JSON |
//! | `a` address 20, number 8 | balance 32, nonce 8, code hash 32 |
//! | `s` address 20, slot 32, number 8 | value 32 |
//! | `c` code hash 32 | code |
//!
//! Numbers are big-endian. Accounts and slots are kept in every version, keyed by the block that
//! wrote it: the state after any block is the newest version not above it. Knows no EVM.

use super::super::MainChainError;
use alloy::consensus::Header;
use alloy::primitives::{Address, B256, Bytes, Log, U256, keccak256};
use rocksdb::{DB, Direction, IteratorMode, Options, WriteBatch, WriteOptions};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// An account without its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// Wei.
    pub balance: U256,
    /// Number of its next transaction.
    pub nonce: u64,
    /// keccak of its code; that of nothing for a wallet.
    pub code_hash: B256,
}

/// A block. It holds one transaction, or none (genesis, and blocks mined to let time pass).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockRecord {
    /// The state root is a digest of the block's changes, not a trie's root.
    pub header: Header,
    /// Hash of the header.
    pub hash: B256,
    /// Hash of the transaction.
    pub transaction: Option<B256>,
}

/// What became of a block's transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceiptRecord {
    /// Hash of the transaction.
    pub transaction: B256,
    /// Sender.
    pub from: Address,
    /// Receiver; absent for a creation.
    pub to: Option<Address>,
    /// Created contract.
    pub contract: Option<Address>,
    /// Whether it took effect.
    pub succeeded: bool,
    /// Gas.
    pub gas_used: u64,
    /// Wei per gas that was paid.
    pub gas_price: u128,
    /// EIP-2718 type.
    pub kind: u8,
    /// In order of emission.
    pub logs: Vec<Log>,
    /// Returned data of a revert; empty if it succeeded or halted.
    pub revert: Bytes,
    /// The machine's word for a halt.
    pub halt: Option<String>,
}

/// Changes of state by one block, in order of their keys, so that the digest is determined.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Accounts touched, by address.
    pub accounts: Vec<(Address, AccountRecord)>,
    /// Slots changed, by address and slot.
    pub slots: Vec<(Address, U256, U256)>,
    /// New code, by hash.
    pub codes: Vec<(B256, Bytes)>,
}

/// The embedded chain's database.
pub struct Store {
    db: DB,
}

fn failed(error: rocksdb::Error) -> MainChainError {
    MainChainError::Store { reason: error.into_string() }
}

fn corrupt(what: &str) -> MainChainError {
    MainChainError::Store { reason: format!("{what} on disk cannot be read") }
}

fn key(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![prefix];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn number_of(value: &[u8]) -> Result<u64, MainChainError> {
    Ok(u64::from_be_bytes(value.try_into().map_err(|_| corrupt("a number"))?))
}

impl AccountRecord {
    const BYTES: usize = 72;

    fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.balance.to_be_bytes::<32>());
        bytes[32..40].copy_from_slice(&self.nonce.to_be_bytes());
        bytes[40..].copy_from_slice(self.code_hash.as_slice());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, MainChainError> {
        if bytes.len() != Self::BYTES {
            return Err(corrupt("an account"));
        }
        Ok(Self {
            balance: U256::from_be_slice(&bytes[..32]),
            nonce: number_of(&bytes[32..40])?,
            code_hash: B256::from_slice(&bytes[40..]),
        })
    }
}

impl Changes {
    /// A digest of all changes; stands where Ethereum has the state root.
    pub fn digest(&self) -> B256 {
        let mut bytes = Vec::new();
        for (address, account) in &self.accounts {
            bytes.extend_from_slice(address.as_slice());
            bytes.extend_from_slice(&account.encode());
        }
        for (address, slot, value) in &self.slots {
            bytes.extend_from_slice(address.as_slice());
            bytes.extend_from_slice(&slot.to_be_bytes::<32>());
            bytes.extend_from_slice(&value.to_be_bytes::<32>());
        }
        keccak256(bytes)
    }
}

impl Store {
    /// Opens or creates the database in this directory.
    pub fn open(path: &Path) -> Result<Self, MainChainError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_max_open_files(64);
        options.set_keep_log_file_num(2);
        Ok(Self { db: DB::open(&options, path).map_err(failed)? })
    }

    /// Writes a block with everything that belongs to it: one batch, synced.
    pub fn append(
        &self,
        block: &BlockRecord,
        transaction: Option<(&[u8], &ReceiptRecord)>,
        changes: &Changes,
    ) -> Result<(), MainChainError> {
        let number = block.header.number.to_be_bytes();
        let mut batch = WriteBatch::default();
        batch.put(key(b'b', &[&number]), json(block)?);
        batch.put(key(b'B', &[block.hash.as_slice()]), number);
        if let Some((raw, receipt)) = transaction {
            batch.put(key(b't', &[receipt.transaction.as_slice()]), number);
            batch.put(key(b'x', &[&number]), raw);
            batch.put(key(b'r', &[&number]), json(receipt)?);
        }
        for (address, account) in &changes.accounts {
            batch.put(key(b'a', &[address.as_slice(), &number]), account.encode());
        }
        for (address, slot, value) in &changes.slots {
            let slot = slot.to_be_bytes::<32>();
            batch.put(key(b's', &[address.as_slice(), &slot, &number]), value.to_be_bytes::<32>());
        }
        for (hash, code) in &changes.codes {
            batch.put(key(b'c', &[hash.as_slice()]), code);
        }
        batch.put(b"h", number);
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        self.db.write_opt(batch, &synced).map_err(failed)
    }

    /// Number of the newest block; `None` before genesis.
    pub fn head(&self) -> Result<Option<u64>, MainChainError> {
        self.number(b"h".to_vec())
    }

    /// Seconds by which the clock was moved forward.
    pub fn clock_offset(&self) -> Result<u64, MainChainError> {
        Ok(self.number(b"o".to_vec())?.unwrap_or(0))
    }

    /// Remembers the moved clock.
    pub fn set_clock_offset(&self, seconds: u64) -> Result<(), MainChainError> {
        self.db.put(b"o", seconds.to_be_bytes()).map_err(failed)
    }

    /// A block by number.
    pub fn block(&self, number: u64) -> Result<Option<BlockRecord>, MainChainError> {
        self.json(key(b'b', &[&number.to_be_bytes()]), "a block")
    }

    /// Number of the block with this hash.
    pub fn block_number(&self, hash: B256) -> Result<Option<u64>, MainChainError> {
        self.number(key(b'B', &[hash.as_slice()]))
    }

    /// Number of the block that holds the transaction.
    pub fn block_of_transaction(&self, hash: B256) -> Result<Option<u64>, MainChainError> {
        self.number(key(b't', &[hash.as_slice()]))
    }

    /// The transaction of a block, as it was sent.
    pub fn transaction(&self, number: u64) -> Result<Option<Vec<u8>>, MainChainError> {
        self.db.get(key(b'x', &[&number.to_be_bytes()])).map_err(failed)
    }

    /// The receipt of a block's transaction.
    pub fn receipt(&self, number: u64) -> Result<Option<ReceiptRecord>, MainChainError> {
        self.json(key(b'r', &[&number.to_be_bytes()]), "a receipt")
    }

    /// An account after block `number`.
    pub fn account(
        &self,
        address: Address,
        number: u64,
    ) -> Result<Option<AccountRecord>, MainChainError> {
        let found = self.version(key(b'a', &[address.as_slice()]), number)?;
        found.map(|bytes| AccountRecord::decode(&bytes)).transpose()
    }

    /// A storage slot after block `number`; zero if never written.
    pub fn slot(&self, address: Address, slot: U256, number: u64) -> Result<U256, MainChainError> {
        let prefix = key(b's', &[address.as_slice(), &slot.to_be_bytes::<32>()]);
        match self.version(prefix, number)? {
            None => Ok(U256::ZERO),
            Some(bytes) if bytes.len() == 32 => Ok(U256::from_be_slice(&bytes)),
            Some(_) => Err(corrupt("a slot")),
        }
    }

    /// Code by its hash.
    pub fn code(&self, hash: B256) -> Result<Option<Bytes>, MainChainError> {
        let found = self.db.get(key(b'c', &[hash.as_slice()])).map_err(failed)?;
        Ok(found.map(Bytes::from))
    }

    /// The newest version, not above `number`, of what `prefix` names.
    fn version(&self, prefix: Vec<u8>, number: u64) -> Result<Option<Vec<u8>>, MainChainError> {
        let wanted = [prefix.as_slice(), &number.to_be_bytes()].concat();
        let mut older = self.db.iterator(IteratorMode::From(&wanted, Direction::Reverse));
        match older.next() {
            None => Ok(None),
            Some(Err(error)) => Err(failed(error)),
            Some(Ok((found, value))) => {
                let same = found.len() == wanted.len() && found.starts_with(&prefix);
                Ok(same.then(|| value.into_vec()))
            }
        }
    }

    fn number(&self, key: Vec<u8>) -> Result<Option<u64>, MainChainError> {
        self.db.get(key).map_err(failed)?.map(|value| number_of(&value)).transpose()
    }

    fn json<T: for<'a> Deserialize<'a>>(
        &self,
        key: Vec<u8>,
        what: &str,
    ) -> Result<Option<T>, MainChainError> {
        let Some(value) = self.db.get(key).map_err(failed)? else {
            return Ok(None);
        };
        serde_json::from_slice(&value).map(Some).map_err(|_| corrupt(what))
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, MainChainError> {
    serde_json::to_vec(value).map_err(|error| MainChainError::Store { reason: error.to_string() })
}
