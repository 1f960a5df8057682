//! The embedded chain behind the trait that everybody uses. Execution and synced writes take
//! milliseconds and would hold up a runtime's thread: they run on the blocking pool.

use super::super::{
    Answer, At, BlockHead, Call, Fees, LogEntry, LogQuery, MainChain, MainChainError,
    PublishedTransaction, Receipt,
};
use super::execution::BASE_FEE;
use super::{BlockRecord, Chain, Clock, Genesis, entries};
use alloy::consensus::Transaction;
use alloy::primitives::{Address, B256, Bytes, U256};
use std::path::Path;
use std::sync::Arc;

/// Wei per gas offered above the base fee.
pub(in crate::main_chain) const PRIORITY_FEE: u64 = 1_000_000_000;

/// The embedded chain as a [`MainChain`]. Clones share it.
#[derive(Clone)]
pub struct Embedded {
    chain: Arc<Chain>,
}

impl Embedded {
    /// Opens or begins the chain in this directory.
    pub fn open(path: &Path, genesis: &Genesis, clock: Clock) -> Result<Self, MainChainError> {
        Ok(Self { chain: Arc::new(Chain::open(path, genesis, clock)?) })
    }

    /// The chain itself.
    #[must_use]
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    fn run<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Chain) -> Result<T, MainChainError> + Send + 'static,
    ) -> Answer<'_, T> {
        let chain = Arc::clone(&self.chain);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || question(&chain))
                .await
                .map_err(|error| MainChainError::Unreachable { reason: error.to_string() })?
        })
    }
}

impl From<&BlockRecord> for BlockHead {
    fn from(block: &BlockRecord) -> Self {
        Self {
            number: block.header.number,
            hash: block.hash,
            parent: block.header.parent_hash,
            timestamp: block.header.timestamp,
            base_fee: block.header.base_fee_per_gas.unwrap_or_default(),
        }
    }
}

impl MainChain for Embedded {
    fn chain_id(&self) -> Answer<'_, u64> {
        let id = self.chain.chain_id();
        Box::pin(async move { Ok(id) })
    }

    fn head(&self) -> Answer<'_, BlockHead> {
        self.run(|chain| {
            let number = chain.head();
            let block = chain.block(number)?.ok_or(MainChainError::NoBlock { number })?;
            Ok(BlockHead::from(&block))
        })
    }

    fn block(&self, number: u64) -> Answer<'_, Option<BlockHead>> {
        self.run(move |chain| Ok(chain.block(number)?.as_ref().map(BlockHead::from)))
    }

    fn balance(&self, account: Address, at: At) -> Answer<'_, U256> {
        self.run(move |chain| chain.balance(account, at))
    }

    fn code(&self, account: Address, at: At) -> Answer<'_, Bytes> {
        self.run(move |chain| chain.code(account, at))
    }

    fn nonce(&self, account: Address) -> Answer<'_, u64> {
        self.run(move |chain| chain.nonce(account, At::Latest))
    }

    fn nonce_at(&self, account: Address, at: At) -> Answer<'_, u64> {
        self.run(move |chain| chain.nonce(account, at))
    }

    fn fees(&self) -> Answer<'_, Fees> {
        let fees = Fees {
            max_fee_per_gas: u128::from(2 * BASE_FEE + PRIORITY_FEE),
            max_priority_fee_per_gas: u128::from(PRIORITY_FEE),
        };
        Box::pin(async move { Ok(fees) })
    }

    fn call(&self, call: Call, at: At) -> Answer<'_, Bytes> {
        self.run(move |chain| chain.call(&call, at))
    }

    fn estimate_gas(&self, call: Call, at: At) -> Answer<'_, u64> {
        self.run(move |chain| chain.estimate_gas(&call, at))
    }

    fn send_raw(&self, transaction: Bytes) -> Answer<'_, B256> {
        self.run(move |chain| chain.send(&transaction))
    }

    fn receipt(&self, transaction: B256) -> Answer<'_, Option<Receipt>> {
        self.run(move |chain| {
            let Some(number) = chain.block_of(transaction)? else {
                return Ok(None);
            };
            let (Some(block), Some(receipt)) = (chain.block(number)?, chain.receipt_in(number)?)
            else {
                return Err(MainChainError::NoBlock { number });
            };
            Ok(Some(Receipt {
                transaction,
                block: number,
                block_hash: block.hash,
                succeeded: receipt.succeeded,
                gas_used: receipt.gas_used,
                gas_price: receipt.gas_price,
                contract: receipt.contract,
                logs: entries(&block, &receipt),
                revert: (!receipt.succeeded).then_some(receipt.revert),
            }))
        })
    }

    fn logs(&self, query: LogQuery) -> Answer<'_, Vec<LogEntry>> {
        self.run(move |chain| {
            chain.logs(query.from, query.to, |log| {
                let topic = log.topics.first();
                log.address == query.address
                    && (query.topic0.is_empty()
                        || topic.is_some_and(|topic| query.topic0.contains(topic)))
            })
        })
    }

    fn transaction(&self, hash: B256) -> Answer<'_, Option<PublishedTransaction>> {
        self.run(move |chain| {
            let Some(number) = chain.block_of(hash)? else {
                return Ok(None);
            };
            Ok(chain.transaction_in(number)?.map(|transaction| {
                let inner = transaction.inner();
                PublishedTransaction {
                    hash,
                    from: transaction.signer(),
                    to: inner.to(),
                    nonce: inner.nonce(),
                    value: inner.value(),
                    input: inner.input().clone(),
                    block: Some(number),
                }
            }))
        })
    }
}
