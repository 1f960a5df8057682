//! A main chain inside this process: the same bytecode on the same rules, blocks and state on disk,
//! no network and no peers. Every accepted transaction is mined at once in a block of its own; a
//! block is one synced write, so that a restart resumes at the same head. There are no
//! reorganisations and no waiting transactions.
//!
//! [`Chain`] is the chain itself, synchronous; [`Embedded`] offers it as a [`MainChain`](super::MainChain).

mod execution;
mod genesis;
mod offer;
mod store;
mod trace;

pub(super) use execution::{BASE_FEE, BLOCK_GAS_MAX, TRANSACTION_GAS_MAX};
pub use genesis::{DEVELOPMENT_CHAIN_ID, Genesis, development_wallet};
pub use offer::Embedded;
pub(super) use offer::PRIORITY_FEE;
pub use store::{BlockRecord, ReceiptRecord};
pub use trace::{Operation, Step, Trace};

use super::{At, Call, LogEntry, MainChainError, Refusal};
use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Header, Transaction, TxEnvelope, Typed2718};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::{Address, B256, Bytes, U256, keccak256, logs_bloom};
use revm::context::result::ExecutionResult;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use store::{Changes, Store};

/// Tells the Unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Logs returned at once.
const LOGS_MAX: usize = 20_000;
/// Gas estimates are at most this fraction (one in so many) above the least that works.
const ESTIMATE_TOLERANCE_DIVISOR: u64 = 64;
/// Gas that a call with value hands to its recipient beside what the caller gives.
const CALL_STIPEND: u64 = 2_300;

/// The embedded chain.
pub struct Chain {
    store: Store,
    clock: Clock,
    chain_id: u64,
    /// Number of the newest block that is on disk.
    head: AtomicU64,
    /// Held while a block is made.
    mining: Mutex<()>,
}

impl Chain {
    /// Opens the chain in this directory, or begins one. Refuses a directory whose chain began
    /// otherwise.
    pub fn open(path: &Path, genesis: &Genesis, clock: Clock) -> Result<Self, MainChainError> {
        let store = Store::open(path)?;
        let (first, changes) = genesis.block();
        let head = match store.head()? {
            Some(head) => head,
            None => {
                store.append(&first, None, &changes)?;
                0
            }
        };
        let found = store.block(0)?.map(|block| block.hash).unwrap_or_default();
        if found != first.hash {
            return Err(MainChainError::GenesisMismatch {
                found: found.to_string(),
                expected: first.hash.to_string(),
            });
        }
        let chain = Self {
            store,
            clock,
            chain_id: genesis.chain_id,
            head: AtomicU64::new(head),
            mining: Mutex::new(()),
        };
        chain.existing(head)?;
        Ok(chain)
    }

    /// EIP-155 chain id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Number of the newest block.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// A block by number.
    pub fn block(&self, number: u64) -> Result<Option<BlockRecord>, MainChainError> {
        self.store.block(number)
    }

    /// A block by hash.
    pub fn block_by_hash(&self, hash: B256) -> Result<Option<BlockRecord>, MainChainError> {
        self.store.block_number(hash)?.map_or(Ok(None), |number| self.store.block(number))
    }

    /// Takes a signed transaction and mines it. A transaction that reverts is mined too.
    pub fn send(&self, raw: &[u8]) -> Result<B256, MainChainError> {
        let transaction = decode(raw)?;
        let _mining = self.lock();
        let hash = *transaction.inner().tx_hash();
        if self.store.block_of_transaction(hash)?.is_some() {
            return Err(Refusal::AlreadyKnown.into());
        }
        let parent = self.existing(self.head())?;
        let number = parent.header.number + 1;
        let timestamp = self.next_timestamp(&parent)?;
        let (result, changes) =
            execution::transact(&self.store, self.chain_id, number, timestamp, &transaction)?;
        let receipt = receipt(&transaction, result);
        self.seal(&parent, timestamp, Some((&transaction, &receipt)), &changes)?;
        Ok(hash)
    }

    /// Makes an empty block, so that time passes.
    pub fn mine(&self) -> Result<(), MainChainError> {
        let _mining = self.lock();
        let parent = self.existing(self.head())?;
        let timestamp = self.next_timestamp(&parent)?;
        self.seal(&parent, timestamp, None, &Changes::default())
    }

    /// Moves the clock of the blocks to come forward; survives a restart. For tests.
    /// Returns by how much it was moved in all.
    pub fn advance_time(&self, seconds: u64) -> Result<u64, MainChainError> {
        let _mining = self.lock();
        let offset = self.store.clock_offset()?.saturating_add(seconds);
        self.store.set_clock_offset(offset)?;
        Ok(offset)
    }

    /// Runs a call on a state, in that state's own block.
    pub fn call(&self, call: &Call, at: At) -> Result<Bytes, MainChainError> {
        let block = self.existing(self.number(at)?)?;
        let number = block.header.number;
        let gas = call.gas.unwrap_or(BLOCK_GAS_MAX).min(BLOCK_GAS_MAX);
        let place = (number, block.header.timestamp);
        let result = execution::simulate(&self.store, self.chain_id, number, place, call, gas)?;
        execution::output(result)
    }

    /// A gas limit that suffices if the call were the transaction of the block after that one.
    pub fn estimate_gas(&self, call: &Call, at: At) -> Result<u64, MainChainError> {
        let parent = self.existing(self.number(at)?)?;
        let place = (parent.header.number + 1, self.next_timestamp(&parent)?);
        let run = |gas: u64| {
            let state = parent.header.number;
            execution::simulate(&self.store, self.chain_id, state, place, call, gas)
        };
        let most = call.gas.unwrap_or(TRANSACTION_GAS_MAX).min(TRANSACTION_GAS_MAX);
        let result = run(most)?;
        let spent = result.gas().total_gas_spent().max(result.tx_gas_used());
        execution::output(result)?;
        // Calls inside keep a 64th back, so that more than was spent may be needed.
        let enough = |gas: u64| matches!(run(gas), Ok(result) if result.is_success());
        for guess in [spent, spent + spent / 63 + CALL_STIPEND] {
            if guess < most && enough(guess) {
                return Ok(guess);
            }
        }
        let (mut fails, mut works) = (spent, most);
        while works - fails > works / ESTIMATE_TOLERANCE_DIVISOR {
            let middle = fails + (works - fails) / 2;
            if enough(middle) {
                works = middle;
            } else {
                fails = middle;
            }
        }
        Ok(works)
    }

    /// Wei of an account.
    pub fn balance(&self, account: Address, at: At) -> Result<U256, MainChainError> {
        let found = self.store.account(account, self.number(at)?)?;
        Ok(found.map_or(U256::ZERO, |account| account.balance))
    }

    /// Number of an account's next transaction.
    pub fn nonce(&self, account: Address, at: At) -> Result<u64, MainChainError> {
        Ok(self.store.account(account, self.number(at)?)?.map_or(0, |account| account.nonce))
    }

    /// Code of an account.
    pub fn code(&self, account: Address, at: At) -> Result<Bytes, MainChainError> {
        match self.store.account(account, self.number(at)?)? {
            Some(found) => Ok(self.store.code(found.code_hash)?.unwrap_or_default()),
            None => Ok(Bytes::new()),
        }
    }

    /// A slot of a contract's storage.
    pub fn slot(&self, account: Address, slot: U256, at: At) -> Result<U256, MainChainError> {
        self.store.slot(account, slot, self.number(at)?)
    }

    /// The transaction of a block.
    pub fn transaction_in(
        &self,
        block: u64,
    ) -> Result<Option<Recovered<TxEnvelope>>, MainChainError> {
        self.store.transaction(block)?.map(|raw| decode(&raw)).transpose()
    }

    /// Runs a block's transaction again, on the state it met, and tells what it spent its gas on.
    /// `None` if the chain does not know it.
    pub fn trace(&self, transaction: B256) -> Result<Option<Trace>, MainChainError> {
        let Some(number) = self.block_of(transaction)? else {
            return Ok(None);
        };
        let timestamp = self.existing(number)?.header.timestamp;
        let found = self.transaction_in(number)?;
        let run = |found| execution::trace(&self.store, self.chain_id, number, timestamp, &found);
        found.map(run).transpose()
    }

    /// Number of the block that holds a transaction.
    pub fn block_of(&self, transaction: B256) -> Result<Option<u64>, MainChainError> {
        self.store.block_of_transaction(transaction)
    }

    /// The receipt of a block's transaction.
    pub fn receipt_in(&self, block: u64) -> Result<Option<ReceiptRecord>, MainChainError> {
        self.store.receipt(block)
    }

    /// Logs of the blocks `from..=to` that are wanted, blocks above the head ignored.
    pub fn logs(
        &self,
        from: u64,
        to: u64,
        wanted: impl Fn(&LogEntry) -> bool,
    ) -> Result<Vec<LogEntry>, MainChainError> {
        let mut found = Vec::new();
        for number in from..=to.min(self.head()) {
            let Some(receipt) = self.store.receipt(number)? else {
                continue;
            };
            if receipt.logs.is_empty() {
                continue;
            }
            let block = self.existing(number)?;
            found.extend(entries(&block, &receipt).into_iter().filter(&wanted));
            if found.len() > LOGS_MAX {
                return Err(MainChainError::TooManyLogs { limit: LOGS_MAX });
            }
        }
        Ok(found)
    }

    fn existing(&self, number: u64) -> Result<BlockRecord, MainChainError> {
        self.store.block(number)?.ok_or(MainChainError::NoBlock { number })
    }

    fn number(&self, at: At) -> Result<u64, MainChainError> {
        let head = self.head();
        match at {
            At::Latest => Ok(head),
            At::Block(number) if number <= head => Ok(number),
            At::Block(number) => Err(MainChainError::NoBlock { number }),
            At::Hash(hash) => {
                self.store.block_number(hash)?.ok_or(MainChainError::BlockGone { hash })
            }
        }
    }

    fn next_timestamp(&self, parent: &BlockRecord) -> Result<u64, MainChainError> {
        let now = (self.clock)().saturating_add(self.store.clock_offset()?);
        Ok(now.max(parent.header.timestamp + 1))
    }

    fn seal(
        &self,
        parent: &BlockRecord,
        timestamp: u64,
        content: Option<(&Recovered<TxEnvelope>, &ReceiptRecord)>,
        changes: &Changes,
    ) -> Result<(), MainChainError> {
        let number = parent.header.number + 1;
        let mut header = Header {
            parent_hash: parent.hash,
            state_root: changes.digest(),
            number,
            gas_limit: BLOCK_GAS_MAX,
            timestamp,
            base_fee_per_gas: Some(BASE_FEE),
            ..Header::default()
        };
        let raw = content.map(|(transaction, _)| transaction.inner().encoded_2718());
        if let Some((_, receipt)) = content {
            header.transactions_root = receipt.transaction;
            header.receipts_root =
                keccak256(serde_json::to_vec(receipt).expect("a receipt has only string keys"));
            header.logs_bloom = logs_bloom(&receipt.logs);
            header.gas_used = receipt.gas_used;
        }
        let hash = header.hash_slow();
        let transaction = content.map(|(_, receipt)| receipt.transaction);
        let block = BlockRecord { header, hash, transaction };
        let content = raw.as_deref().zip(content.map(|(_, receipt)| receipt));
        self.store.append(&block, content, changes)?;
        self.head.store(number, Ordering::Release);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // A panic while mining wrote nothing, or a whole block.
        self.mining.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A receipt's logs with their places.
#[must_use]
pub fn entries(block: &BlockRecord, receipt: &ReceiptRecord) -> Vec<LogEntry> {
    (0u64..)
        .zip(&receipt.logs)
        .map(|(index, log)| LogEntry {
            address: log.address,
            topics: log.topics().to_vec(),
            data: log.data.data.clone(),
            block: block.header.number,
            block_hash: block.hash,
            transaction: receipt.transaction,
            index,
        })
        .collect()
}

fn decode(raw: &[u8]) -> Result<Recovered<TxEnvelope>, MainChainError> {
    let malformed = |detail: String| Refusal::Malformed { detail };
    let envelope =
        TxEnvelope::decode_2718_exact(raw).map_err(|error| malformed(error.to_string()))?;
    // A signature has two forms; only the one with the lower s is valid (EIP-2).
    if envelope.signature().normalize_s().is_some() {
        return Err(malformed("s of the signature is too high".to_owned()).into());
    }
    let signer = envelope
        .signature()
        .recover_address_from_prehash(&envelope.signature_hash())
        .map_err(|error| malformed(error.to_string()))?;
    Ok(Recovered::new_unchecked(envelope, signer))
}

fn receipt(transaction: &Recovered<TxEnvelope>, result: ExecutionResult) -> ReceiptRecord {
    let inner = transaction.inner();
    let mut record = ReceiptRecord {
        transaction: *inner.tx_hash(),
        from: transaction.signer(),
        to: inner.to(),
        contract: result.created_address(),
        succeeded: result.is_success(),
        gas_used: result.tx_gas_used(),
        gas_price: inner.effective_gas_price(Some(BASE_FEE)),
        kind: inner.ty(),
        logs: Vec::new(),
        revert: Bytes::new(),
        halt: None,
    };
    match result {
        ExecutionResult::Success { logs, .. } => record.logs = logs,
        ExecutionResult::Revert { output, .. } => record.revert = output,
        ExecutionResult::Halt { reason, .. } => record.halt = Some(reason.to_string()),
    }
    record
}
