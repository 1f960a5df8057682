//! What the node answers, if it does.

use super::{CHAIN_ID, SimulatedChain};
use crate::main_chain::{
    Answer, At, BlockHead, Call, Fees, LogEntry, LogQuery, MainChain, MainChainError,
    PublishedTransaction, Receipt,
};
use alloy::primitives::{Address, B256, Bytes, U256};
use rand::Rng;

impl MainChain for SimulatedChain {
    fn chain_id(&self) -> Answer<'_, u64> {
        self.answer(|_| Ok(CHAIN_ID))
    }
    fn head(&self) -> Answer<'_, BlockHead> {
        self.answer(|inner| {
            // A node that lags, now and then.
            let lag = if inner.dice.gen_range(0..200) < inner.trouble { 2 } else { 0 };
            let place = (inner.blocks.len() - 1).saturating_sub(inner.dice.gen_range(0..=lag));
            Ok(inner.blocks[place].head)
        })
    }
    fn block(&self, number: u64) -> Answer<'_, Option<BlockHead>> {
        self.answer(move |inner| {
            let block = usize::try_from(number).ok().and_then(|n| inner.blocks.get(n));
            Ok(block.map(|block| block.head))
        })
    }
    fn balance(&self, _: Address, _: At) -> Answer<'_, U256> {
        self.answer(|_| Ok(U256::MAX))
    }
    fn code(&self, _: Address, at: At) -> Answer<'_, Bytes> {
        self.answer(move |inner| inner.at(at).map(|_| Bytes::from_static(&[1])))
    }
    fn nonce(&self, _: Address) -> Answer<'_, u64> {
        self.answer(|inner| {
            let mined = inner.tip().state.nonce;
            Ok((mined..).find(|nonce| !inner.mempool.contains_key(nonce)).unwrap_or(mined))
        })
    }
    fn nonce_at(&self, _: Address, at: At) -> Answer<'_, u64> {
        self.answer(move |inner| inner.at(at).map(|state| state.nonce))
    }
    fn fees(&self) -> Answer<'_, Fees> {
        self.answer(|inner| {
            Ok(Fees { max_fee_per_gas: inner.fee_min, max_priority_fee_per_gas: 1 })
        })
    }
    fn call(&self, call: Call, at: At) -> Answer<'_, Bytes> {
        self.answer(move |inner| Ok(inner.call(&call.input, at)?.into()))
    }
    fn estimate_gas(&self, call: Call, at: At) -> Answer<'_, u64> {
        self.answer(move |inner| {
            let mut state = inner.at(at)?.clone();
            if call.input.is_empty() {
                return Ok(21_000);
            }
            let done = inner.post(&mut state, &call.input);
            done.map(|_| 500_000).map_err(|_| MainChainError::reverted(Bytes::new()))
        })
    }
    fn send_raw(&self, transaction: Bytes) -> Answer<'_, B256> {
        self.answer(move |inner| inner.offer(transaction))
    }
    fn receipt(&self, transaction: B256) -> Answer<'_, Option<Receipt>> {
        self.answer(move |inner| Ok(inner.receipt(transaction)))
    }
    fn logs(&self, query: LogQuery) -> Answer<'_, Vec<LogEntry>> {
        self.answer(move |inner| {
            let blocks = inner.blocks.iter();
            let wanted = blocks.filter(|b| (query.from..=query.to).contains(&b.head.number));
            let logs = wanted.flat_map(|block| {
                let posts = block.receipts.iter().flat_map(|receipt| &receipt.logs);
                block.announced.iter().chain(posts)
            });
            Ok(logs.filter(|log| query.topic0.contains(&log.topics[0])).cloned().collect())
        })
    }
    fn transaction(&self, hash: B256) -> Answer<'_, Option<PublishedTransaction>> {
        self.answer(move |inner| {
            let mined = inner.receipt(hash);
            let waits = inner.mempool.values().any(|waiting| *waiting == hash);
            let known = inner.sent.get(&hash).filter(|_| waits || mined.is_some());
            Ok(known.map(|sent| PublishedTransaction {
                hash,
                from: Address::ZERO,
                to: None,
                nonce: sent.nonce,
                value: U256::ZERO,
                input: Bytes::new(),
                block: mined.map(|receipt| receipt.block),
            }))
        })
    }
}
