//! The transaction that created a contract: init code and arguments, signed. The contract's address
//! follows from the signer and its nonce, so that only who deployed it could make another one; that this
//! one is in the chain is the nodes' word.

use super::failure::ChainError;
use super::reader::{PostTransaction, Reader};
use alloy::primitives::{Address, B256, U64};
use alloy::rpc::types::Transaction;
use serde_json::{Value, json};

/// Where the transaction is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedBy {
    /// In this block.
    Block(u64),
    /// By its hash: for nodes without state so old that the block can be found.
    Transaction(B256),
}

impl Reader {
    /// The transaction that created `contract`; none if it is not where it is looked for, or if it was
    /// another contract that created this one.
    pub async fn creation(
        &self,
        contract: Address,
        by: CreatedBy,
    ) -> Result<Option<PostTransaction>, ChainError> {
        // Read one by one: a block may hold transactions of kinds that are unknown here.
        let candidates: Vec<Vec<Value>> = match by {
            CreatedBy::Block(number) => {
                let params = json!([U64::from(number), true]);
                let blocks = self.each::<Value>("eth_getBlockByNumber", params).await?;
                let listed = |mut block: Value| match block.get_mut("transactions").map(Value::take)
                {
                    Some(Value::Array(listed)) => listed,
                    _ => Vec::new(),
                };
                blocks.into_iter().map(listed).collect()
            }
            CreatedBy::Transaction(hash) => {
                let found = self.each::<Value>("eth_getTransactionByHash", json!([hash])).await?;
                found.into_iter().map(|found| vec![found]).collect()
            }
        };
        let chosen = candidates.into_iter().map(|listed| among(listed, contract, by));
        self.equal(&format!("the creation of {contract}"), chosen.collect())
    }
}

/// The transaction among these that created the contract.
pub(super) fn among(
    listed: Vec<Value>,
    contract: Address,
    by: CreatedBy,
) -> Option<PostTransaction> {
    let creates = |it: &Value| it["to"].is_null() && it["blockHash"].is_string();
    listed.into_iter().filter(creates).find_map(|it| {
        let named = serde_json::from_value(it["hash"].clone()).ok()?;
        let read: Transaction = serde_json::from_value(it).ok()?;
        let (found, ..) = PostTransaction::read(named, read);
        let created = found.sender?.create(found.nonce);
        let asked = by == CreatedBy::Transaction(named) || matches!(by, CreatedBy::Block(_));
        (asked && created == contract && found.is_genuine()).then_some(found)
    })
}
