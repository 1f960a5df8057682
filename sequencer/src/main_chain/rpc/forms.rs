//! Blocks, transactions, receipts and logs in the form that Ethereum's JSON-RPC gives them.

use crate::main_chain::LogEntry;
use crate::main_chain::embedded::{BlockRecord, ReceiptRecord, entries};
use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::primitives::logs_bloom;
use alloy::rpc::types::{Block, BlockTransactions, Header, Transaction};
use serde_json::{Value, json};

/// A number as JSON-RPC writes it: hexadecimal without leading zeros.
pub fn quantity(value: impl Into<u128>) -> Value {
    Value::String(format!("{:#x}", value.into()))
}

/// A block with its transaction's hash, or with the whole transaction.
pub fn block(block: &BlockRecord, full: Option<Recovered<TxEnvelope>>) -> Value {
    let header = Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: None,
        size: None,
    };
    let transactions = match full {
        Some(found) => BlockTransactions::Full(vec![placed(block, found)]),
        None => BlockTransactions::Hashes(block.transaction.into_iter().collect()),
    };
    json!(Block { header, uncles: Vec::new(), transactions, withdrawals: None })
}

/// A transaction with its place.
pub fn transaction(block: &BlockRecord, found: Recovered<TxEnvelope>) -> Value {
    json!(placed(block, found))
}

fn placed(block: &BlockRecord, found: Recovered<TxEnvelope>) -> Transaction {
    let price = found.inner().effective_gas_price(block.header.base_fee_per_gas);
    Transaction {
        inner: found,
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        transaction_index: Some(0),
        effective_gas_price: Some(price),
        block_timestamp: Some(block.header.timestamp),
    }
}

/// A receipt. `revertReason` holds the returned data of a revert, as some nodes add it.
pub fn receipt(block: &BlockRecord, receipt: &ReceiptRecord) -> Value {
    let logs: Vec<Value> = entries(block, receipt).iter().map(log).collect();
    let mut form = json!({
        "transactionHash": receipt.transaction,
        "transactionIndex": "0x0",
        "blockHash": block.hash,
        "blockNumber": quantity(block.header.number),
        "from": receipt.from,
        "to": receipt.to,
        "contractAddress": receipt.contract,
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "gasUsed": quantity(receipt.gas_used),
        "effectiveGasPrice": quantity(receipt.gas_price),
        "logs": logs,
        "logsBloom": logs_bloom(&receipt.logs),
        "type": quantity(receipt.kind),
        "status": if receipt.succeeded { "0x1" } else { "0x0" },
    });
    if !receipt.succeeded {
        form["revertReason"] = json!(receipt.revert);
    }
    form
}

/// A log with its place.
pub fn log(entry: &LogEntry) -> Value {
    json!({
        "address": entry.address,
        "topics": entry.topics,
        "data": entry.data,
        "blockNumber": quantity(entry.block),
        "blockHash": entry.block_hash,
        "transactionHash": entry.transaction,
        "transactionIndex": "0x0",
        "logIndex": quantity(entry.index),
        "removed": false,
    })
}
