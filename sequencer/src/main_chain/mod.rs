//! The main chain as the rest of Kerros sees it: a head that moves, contract calls, transactions,
//! receipts, logs. One trait, two implementations that run the same bytecode: `Embedded`, a chain
//! inside this process (revm, kept on disk), and `Ethereum`, a node reached over JSON-RPC. `CrossChecked`
//! compares what several of them say. `rpc`
//! serves the embedded chain to everybody else exactly as a node would.
//!
//! Invariant: nothing here knows batches, proofs or the ledger; only `revert` knows the names of
//! the contract's errors. Amounts are wei, times are Unix seconds.

mod cross_checked;
pub mod embedded;
mod entry_fee;
pub mod ethereum;
mod failure;
pub mod rpc;
mod wallet;

#[cfg(test)]
mod tests;

pub use cross_checked::{CrossChecked, Node};
pub use embedded::{Clock, Embedded, Genesis};

pub use entry_fee::entry_fee_offer;
pub use ethereum::{Ethereum, without_path};
pub use failure::{MainChainError, Refusal};
pub use wallet::{SignedTransaction, Wallet, await_receipt, deploy, submit};

use alloy::primitives::{Address, B256, Bytes, U256};
use std::future::Future;
use std::pin::Pin;

/// What every operation of a main chain returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, MainChainError>> + Send + 'a>>;

/// The state a question is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After the newest block.
    Latest,
    /// After the block of this number.
    Block(u64),
    /// After this very block (EIP-1898): two answers about one hash are of one state. Once the chain
    /// does not have the block any more it is [`MainChainError::BlockGone`].
    Hash(B256),
}

/// A block, as far as anybody here needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHead {
    /// Genesis is 0.
    pub number: u64,
    /// Identifies the block and all before it.
    pub hash: B256,
    /// Hash of block `number - 1`; zero for genesis.
    pub parent: B256,
    /// Unix seconds.
    pub timestamp: u64,
    /// Wei per gas.
    pub base_fee: u64,
}

/// A call that changes nothing, or the body of a transaction to estimate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Zero address if absent.
    pub from: Option<Address>,
    /// Absent: creation of a contract.
    pub to: Option<Address>,
    /// Wei.
    pub value: U256,
    /// Selector and arguments.
    pub input: Bytes,
    /// Gas limit; the chain's own if absent.
    pub gas: Option<u64>,
}

/// What a transaction should offer for its gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Wei per gas, base fee included.
    pub max_fee_per_gas: u128,
    /// Wei per gas.
    pub max_priority_fee_per_gas: u128,
}

/// Which logs are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// First block, included.
    pub from: u64,
    /// Last block, included.
    pub to: u64,
    /// The contract that emitted them.
    pub address: Address,
    /// The first topic must be one of these; empty: any.
    pub topic0: Vec<B256>,
}

/// A log with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Emitting contract.
    pub address: Address,
    /// Signature hash and indexed fields.
    pub topics: Vec<B256>,
    /// The other fields, ABI encoded.
    pub data: Bytes,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Hash of the transaction.
    pub transaction: B256,
    /// Place in the block.
    pub index: u64,
}

/// What became of a transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Hash of the transaction.
    pub transaction: B256,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Whether it did anything but pay for gas.
    pub succeeded: bool,
    /// Gas.
    pub gas_used: u64,
    /// Wei per gas that was paid.
    pub gas_price: u128,
    /// The contract it created.
    pub contract: Option<Address>,
    /// In order of emission.
    pub logs: Vec<LogEntry>,
    /// The data a failed transaction returned, if the chain can still tell.
    pub revert: Option<Bytes>,
}

/// A transaction as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTransaction {
    /// Its hash.
    pub hash: B256,
    /// Recovered from the signature.
    pub from: Address,
    /// Absent for the creation of a contract.
    pub to: Option<Address>,
    /// The sender's transaction number.
    pub nonce: u64,
    /// Wei.
    pub value: U256,
    /// Selector and arguments.
    pub input: Bytes,
    /// Its block, if it is in one.
    pub block: Option<u64>,
}

/// A main chain. Every answer is about the chain as the implementation sees it at that moment;
/// blocks may be replaced (compare hashes).
pub trait MainChain: Send + Sync {
    /// EIP-155 chain id.
    fn chain_id(&self) -> Answer<'_, u64>;
    /// The newest block.
    fn head(&self) -> Answer<'_, BlockHead>;
    /// A block by its number; `None` above the head.
    fn block(&self, number: u64) -> Answer<'_, Option<BlockHead>>;
    /// Wei of an account.
    fn balance(&self, account: Address, at: At) -> Answer<'_, U256>;
    /// Code of an account; empty for a wallet.
    fn code(&self, account: Address, at: At) -> Answer<'_, Bytes>;
    /// The number the account's next transaction must carry, waiting ones counted.
    fn nonce(&self, account: Address) -> Answer<'_, u64>;
    /// The number of the account's first transaction that is in no block up to there.
    fn nonce_at(&self, account: Address, at: At) -> Answer<'_, u64>;
    /// Fees that should get a transaction into a block soon.
    fn fees(&self) -> Answer<'_, Fees>;
    /// Runs a call and drops its effects. A revert is [`MainChainError::Reverted`].
    fn call(&self, call: Call, at: At) -> Answer<'_, Bytes>;
    /// A gas limit that suffices for the call as a transaction on that state.
    fn estimate_gas(&self, call: Call, at: At) -> Answer<'_, u64>;
    /// Hands over a signed transaction (EIP-2718 bytes); returns its hash. Sending what is known
    /// already is [`Refusal::AlreadyKnown`].
    fn send_raw(&self, transaction: Bytes) -> Answer<'_, B256>;
    /// `None` while the transaction is in no block.
    fn receipt(&self, transaction: B256) -> Answer<'_, Option<Receipt>>;
    /// Logs of one contract in order.
    fn logs(&self, query: LogQuery) -> Answer<'_, Vec<LogEntry>>;
    /// `None` if the chain does not know the hash.
    fn transaction(&self, hash: B256) -> Answer<'_, Option<PublishedTransaction>>;
}
