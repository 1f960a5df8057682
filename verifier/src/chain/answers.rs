//! What nodes answer, read as [`super::Reader`] and [`super::Replay`] read it, without a node.

use super::creation::{CreatedBy, among};
use super::deployment::StoredEntry;
use super::event::LogEntry;
use super::failure::ChainError;
use super::node::Node;
use super::reader::{PostTransaction, entry};
use crate::contract::Kerros;
use alloy::primitives::{Address, B256};
use alloy::rpc::types::{Log, Transaction};
use alloy::sol_types::SolCall;
use kerros_protocol::encoding::DecodeError;
use serde_json::Value;

pub use super::calldata::post_call;

/// `eth_getTransactionByHash` of `named`.
pub fn transaction(named: B256, answer: &[u8]) -> serde_json::Result<Option<PostTransaction>> {
    let found: Option<Transaction> = serde_json::from_slice(answer)?;
    Ok(found.map(|found| PostTransaction::read(named, found).0))
}

/// `eth_getLogs` of a contract in these blocks.
pub fn logs(
    node: &Node,
    answer: &[u8],
    address: Address,
    (from, to): (u64, u64),
) -> Option<Result<Vec<LogEntry>, ChainError>> {
    let found: Vec<Log> = serde_json::from_slice(answer).ok()?;
    Some(found.into_iter().map(|log| entry(node, log, address, from, to)).collect())
}

/// The creation of a contract among the transactions of a block.
pub fn creation(contract: Address, answer: &[u8]) -> serde_json::Result<Option<PostTransaction>> {
    let listed: Vec<Value> = serde_json::from_slice(answer)?;
    Ok(among(listed, contract, CreatedBy::Block(0)))
}

/// `eth_call` of the contract's `queueEntry`.
pub fn stored_entry(answer: &[u8]) -> Option<Result<StoredEntry, DecodeError>> {
    Kerros::queueEntryCall::abi_decode_returns_validate(answer).ok().map(StoredEntry::take)
}
