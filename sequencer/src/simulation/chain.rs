//! A main chain that loses transactions, answers late, answers wrong and reorganises; the contract
//! as far as a sequencer can tell the difference: numbers, roots, queue, proofs.
//!
//! The contract keeps its own ledger from the posted data alone.

mod contract;
mod node;

use crate::main_chain::{Answer, At, BlockHead, LogEntry, MainChainError, Receipt, Refusal};
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, Uint, keccak256};
use alloy::sol_types::SolCall;
use ark_bn254::Fr;
use contract::LogPlace;
use kerros_protocol::commitment::Commitments;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::Statement;
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::contract::Kerros;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Blocks on top of a final one; no reorganisation is deeper.
pub const CONFIRMATIONS: u64 = 2;
/// The most a post may offer.
pub const FEE_MAX: u128 = 1_000_000;
pub const CHAIN_ID: u64 = 31_337;
pub const CONTRACT: Address = Address::repeat_byte(0xc0);

/// What a good proof of a statement carries as its h.
pub fn good(statement: &Statement) -> Fr {
    statement.beta(&Fr::from(0u64))
}

/// An entry of the queue.
#[derive(Clone)]
pub struct Entry {
    pub stored: Kerros::queueEntryReturn,
}

#[derive(Clone)]
pub struct ContractState {
    pub number: u64,
    pub head: u64,
    root: B256,
    pub queue: Vec<Entry>,
    pub ledger: Ledger,
    nonce: u64,
}

#[derive(Clone)]
struct Block {
    head: BlockHead,
    state: ContractState,
    receipts: Vec<Receipt>,
    /// Of queue entries; no transaction of ours makes them.
    announced: Vec<LogEntry>,
}

#[derive(Clone)]
struct Sent {
    raw: Bytes,
    nonce: u64,
    fee: u128,
    /// 0 if it posts nothing.
    batch: u64,
}

struct Inner {
    key: VerificationKey,
    domain: Fr,
    blocks: Vec<Block>,
    /// Everything that was ever sent.
    sent: BTreeMap<B256, Sent>,
    /// Of these, what waits, by number.
    mempool: BTreeMap<u64, B256>,
    arrivals: Vec<Entry>,
    /// Sent since somebody asked: batch and hash.
    news: Vec<(u64, B256)>,
    /// Offers below are not mined.
    fee_min: u128,
    /// A stranger's transaction from the poster's account waits with its next number.
    foreign: bool,
    foreign_seen: bool,
    dice: StdRng,
    /// In 100: how often a question fails, is answered late, or loses its answer.
    trouble: u32,
    salt: u64,
    violation: Option<String>,
}

/// The batch that a transaction posts; 0 if none.
fn batch(input: &[u8]) -> u64 {
    Kerros::postCall::abi_decode(input).map_or(0, |call| call.p.batchNumber)
}

/// The node and the chain behind it.
#[derive(Clone)]
pub struct SimulatedChain(Arc<Mutex<Inner>>);

/// Lets others go first once.
struct Once(bool);

impl Future for Once {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, false) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl SimulatedChain {
    pub fn new(key: VerificationKey, domain: Fr, dice: StdRng) -> Self {
        let k = key.k_genesis;
        let state = ContractState {
            number: 0,
            head: 0,
            root: Commitments::empty().root(k).0.into(),
            queue: Vec::new(),
            ledger: Ledger::new(k),
            nonce: 0,
        };
        let head = BlockHead {
            number: 0,
            hash: B256::repeat_byte(1),
            parent: B256::ZERO,
            timestamp: 0,
            base_fee: 1,
        };
        let blocks = vec![Block { head, state, receipts: Vec::new(), announced: Vec::new() }];
        Self(Arc::new(Mutex::new(Inner {
            key,
            domain,
            blocks,
            sent: BTreeMap::new(),
            mempool: BTreeMap::new(),
            arrivals: Vec::new(),
            news: Vec::new(),
            fee_min: 8,
            foreign: false,
            foreign_seen: false,
            dice,
            trouble: 0,
            salt: 0,
            violation: None,
        })))
    }
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// How often, in 100, something goes wrong with a question.
    pub fn set_trouble(&self, trouble: u32) {
        self.lock().trouble = trouble;
    }
    /// The contract after the newest block.
    pub fn state(&self) -> ContractState {
        self.lock().tip().state.clone()
    }
    /// The last batch in a block that no reorganisation reaches.
    pub fn settled(&self) -> u64 {
        let inner = self.lock();
        let deep = inner.tip().head.number.saturating_sub(CONFIRMATIONS);
        inner.blocks[usize::try_from(deep).expect("small")].state.number
    }
    /// What the chain saw that must never happen.
    pub fn violation(&self) -> Option<String> {
        self.lock().violation.take()
    }
    /// What was sent since the last question.
    pub fn news(&self) -> Vec<(u64, B256)> {
        std::mem::take(&mut self.lock().news)
    }
    /// From now on less is not mined.
    pub fn set_fee_min(&self, fee: u128) {
        self.lock().fee_min = fee;
    }
    /// A transaction from the poster's account that it knows nothing of takes its next number, unless a
    /// post waits behind that: nobody could keep it from reverting.
    pub fn intrude(&self) {
        let mut inner = self.lock();
        let next = inner.tip().state.nonce;
        inner.foreign = inner.mempool.keys().all(|nonce| *nonce <= next);
    }
    /// An entry for the next block.
    pub fn enqueue(&self, stored: Kerros::queueEntryReturn) {
        self.lock().arrivals.push(Entry { stored });
    }
    /// Mines a block of what waits, or of nothing if `empty`.
    pub fn mine(&self, empty: bool) {
        self.lock().mine(empty);
    }
    /// The node forgets transactions that wait.
    pub fn forget(&self) {
        self.lock().mempool.clear();
    }
    /// Replaces the last blocks, at most [`CONFIRMATIONS`], by one more empty ones; posts in them wait
    /// again, or are lost.
    pub fn reorganise(&self, depth: u64, lose: bool) {
        self.lock().reorganise(depth, lose);
    }
    fn answer<'a, T: Send + 'a>(
        &self,
        ask: impl FnOnce(&mut Inner) -> Result<T, MainChainError> + Send + 'a,
    ) -> Answer<'a, T> {
        let this = self.clone();
        Box::pin(async move {
            let (before, after, unasked, lost) = {
                let mut inner = this.lock();
                let trouble = inner.trouble;
                let mut hit = |parts: u32| inner.dice.gen_range(0..100 * parts) < trouble;
                (hit(1), hit(1), hit(8), hit(8))
            };
            let late = || MainChainError::Unreachable { reason: "time-out".to_owned() };
            Once(before).await;
            if unasked {
                return Err(late());
            }
            let answer = ask(&mut this.lock());
            Once(after).await;
            if lost { Err(late()) } else { answer }
        })
    }
}

impl Inner {
    fn tip(&self) -> &Block {
        self.blocks.last().expect("genesis stays")
    }
    fn at(&self, at: At) -> Result<&ContractState, MainChainError> {
        match at {
            At::Latest => Ok(&self.tip().state),
            At::Block(number) => {
                let block = usize::try_from(number).ok().and_then(|n| self.blocks.get(n));
                block.map(|block| &block.state).ok_or(MainChainError::NoBlock { number })
            }
            At::Hash(hash) => {
                let block = self.blocks.iter().rev().find(|block| block.head.hash == hash);
                block.map(|block| &block.state).ok_or(MainChainError::BlockGone { hash })
            }
        }
    }
    fn mine(&mut self, empty: bool) {
        let tip = self.tip().head;
        let mut state = self.tip().state.clone();
        self.salt += 1;
        let number = tip.number + 1;
        let hash = keccak256([tip.hash.as_slice(), &self.salt.to_be_bytes()].concat());
        let (mut receipts, mut announced) = (Vec::new(), Vec::new());
        if !empty {
            let place = LogPlace { block: number, block_hash: hash };
            for mut entry in self.arrivals.drain(..) {
                entry.stored.entry.enqueuedAt = Uint::from(number);
                announced.push(place.announce(state.queue.len() as u64, &entry));
                state.queue.push(entry);
            }
            if std::mem::take(&mut self.foreign) {
                self.foreign_seen = true;
                self.mempool.remove(&state.nonce);
                state.nonce += 1;
            }
            while let Some(waiting) = self.mempool.get(&state.nonce).copied() {
                if self.sent.get(&waiting).is_none_or(|sent| sent.fee < self.fee_min) {
                    break;
                }
                self.mempool.remove(&state.nonce);
                state.nonce += 1;
                receipts.push(self.execute(&mut state, waiting, number, hash));
            }
            self.mempool.retain(|nonce, _| *nonce >= state.nonce);
        }
        let head = BlockHead { number, hash, parent: tip.hash, timestamp: number, base_fee: 1 };
        self.blocks.push(Block { head, state, receipts, announced });
    }
    fn execute(
        &mut self,
        state: &mut ContractState,
        transaction: B256,
        block: u64,
        block_hash: B256,
    ) -> Receipt {
        let sent = self.sent.get(&transaction).expect("it was sent");
        let decoded = TxEnvelope::decode_2718(&mut sent.raw.as_ref()).expect("was accepted");
        let (batch, before) = (sent.batch, state.number);
        let result = match batch {
            0 => Ok(None),
            _ => self.post(state, decoded.input()).map(Some),
        };
        let mut logs = Vec::new();
        if let Ok(Some(event)) = &result {
            logs.push(LogPlace { block, block_hash }.log(event, transaction, 0));
        }
        if let Err(reason) = &result {
            // The sequencer pays for it, and a batch may be lost or doubled. Only a stranger with its
            // key can bring it to send a batch whose predecessor is not there any more.
            if !(self.foreign_seen && batch > before + 1) {
                self.violation.get_or_insert(format!("a post reverted: {reason}"));
            }
        }
        Receipt {
            transaction,
            block,
            block_hash,
            succeeded: result.is_ok(),
            gas_used: 1,
            gas_price: 1,
            contract: None,
            logs,
            revert: result.is_err().then(Bytes::new),
        }
    }
    fn reorganise(&mut self, depth: u64, lose: bool) {
        let depth = depth.min(CONFIRMATIONS).min(self.tip().head.number);
        let keep = self.blocks.len() - usize::try_from(depth).expect("small");
        let gone: Vec<Block> = self.blocks.drain(keep..).collect();
        let before = self.tip().state.queue.len();
        if let Some(last) = gone.last() {
            let mut again = last.state.queue[before..].to_vec();
            again.append(&mut self.arrivals);
            self.arrivals = again;
        }
        self.salt += 1;
        for _ in 0..=depth {
            self.mine(true);
        }
        // Which of them the new chain includes is seen later.
        if lose {
            self.mempool.clear();
            return;
        }
        for receipt in gone.iter().flat_map(|block| &block.receipts) {
            if let Some(sent) = self.sent.get(&receipt.transaction) {
                self.mempool.entry(sent.nonce).or_insert(receipt.transaction);
            }
        }
    }
    fn offer(&mut self, raw: Bytes) -> Result<B256, MainChainError> {
        let decoded = TxEnvelope::decode_2718(&mut raw.as_ref()).expect("the poster's own bytes");
        let (hash, nonce) = (*decoded.tx_hash(), decoded.nonce());
        let next = self.tip().state.nonce;
        if nonce < next {
            let (expected, got) = (Some(next), Some(nonce));
            return Err(Refusal::NonceTooLow { expected, got }.into());
        }
        let (fee, batch) = (decoded.max_fee_per_gas(), batch(decoded.input()));
        let news = !self.sent.contains_key(&hash);
        if news {
            self.watch(nonce, fee, batch);
            self.news.push((batch, hash));
            self.sent.insert(hash, Sent { raw, nonce, fee, batch });
        }
        match self.mempool.get(&nonce) {
            Some(waiting) if *waiting == hash => return Err(Refusal::AlreadyKnown.into()),
            Some(waiting) => {
                let had = self.sent.get(waiting).map_or(0, |sent| sent.fee);
                if fee * 8 < had * 9 {
                    let detail = "replacement transaction underpriced".to_owned();
                    return Err(Refusal::FeeTooLow { detail }.into());
                }
            }
            None => {}
        }
        self.mempool.insert(nonce, hash);
        Ok(hash)
    }
    /// What no node would notice: a batch that gets a second number while the first may still be
    /// used, and a replacement for too little.
    fn watch(&mut self, nonce: u64, fee: u128, batch: u64) {
        let deep = self.tip().head.number.saturating_sub(CONFIRMATIONS);
        let deep = &self.blocks[usize::try_from(deep).expect("small")].state;
        let mut wrong = None;
        for other in self.sent.values().filter(|other| batch > 0 && other.batch == batch) {
            if other.nonce != nonce && (deep.nonce <= other.nonce || deep.number >= batch) {
                let used = other.nonce;
                wrong = Some(format!("batch {batch} has number {nonce}, {used} is not dead"));
            }
            if other.nonce == nonce && fee * 8 < other.fee * 9 {
                let had = other.fee;
                wrong = Some(format!("batch {batch} is bumped from {had} to {fee} wei"));
            }
        }
        if let Some(wrong) = wrong {
            self.violation.get_or_insert(wrong);
        }
    }
    fn receipt(&self, transaction: B256) -> Option<Receipt> {
        let receipts = self.blocks.iter().flat_map(|block| &block.receipts);
        receipts.into_iter().find(|receipt| receipt.transaction == transaction).cloned()
    }
}
