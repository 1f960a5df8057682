//! Questions to one or more nodes, all about one fixed head; answers of several nodes must be equal.

use super::event::{LogEntry, Place};
use super::failure::ChainError;
use super::node::{Node, NodeError};
use alloy::consensus::Transaction as _;
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, TxKind, U64, keccak256};
use alloy::rpc::types::{Block, Log, Transaction};
use alloy::sol_types::SolCall;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// No chain has so many blocks; so numbers of blocks can be added to.
const BLOCK_NUMBER_MAX: u64 = 1 << 48;
/// Blocks of the first question for logs.
const LOG_BLOCKS_FIRST: u64 = 2_000;
/// Blocks of one question for logs, at most.
const LOG_BLOCKS_MAX: u64 = 500_000;
/// Times that one block's logs are asked for although they are refused: behind an address may be a node that
/// does not have the block yet.
const LOG_TRIES_MAX: u32 = 5;
/// Pause before the next one.
const LOG_PAUSE: Duration = Duration::from_millis(500);
/// Logs of an answer below which the next question may name twice the blocks.
const LOGS_FEW: usize = 1_000;
/// Characters of an answer that are quoted when two differ.
const QUOTED_MAX: usize = 160;

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
}

/// The transaction of a post or of the deployment, taken from its signed envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostTransaction {
    /// The hash it was asked for by.
    pub named: B256,
    /// keccak of the signed envelope: differs from `named` if the node's bytes are not the chain's.
    pub computed: B256,
    /// Recovered from the signature; none if there is no such signer.
    pub sender: Option<Address>,
    /// The signer's count of transactions before it.
    pub nonce: u64,
    /// Contract called; none for a creation.
    pub to: Option<Address>,
    /// Calldata.
    pub input: Bytes,
}

impl PostTransaction {
    /// Whether these are the bytes that were signed and that the chain has.
    pub fn is_genuine(&self) -> bool {
        self.computed == self.named
    }
    /// Takes the envelope apart; with it the block's hash and number that the node adds.
    pub(super) fn read(named: B256, found: Transaction) -> (Self, Option<B256>, Option<u64>) {
        let (block_hash, block) = (found.block_hash, found.block_number);
        let envelope = found.inner.into_inner();
        let to = match envelope.kind() {
            TxKind::Call(to) => Some(to),
            TxKind::Create => None,
        };
        let this = Self {
            named,
            computed: keccak256(envelope.encoded_2718()),
            sender: envelope
                .signature()
                .recover_address_from_prehash(&envelope.signature_hash())
                .ok(),
            nonce: envelope.nonce(),
            to,
            input: envelope.input().clone(),
        };
        (this, block_hash, block)
    }
}

/// Main-chain nodes, read at one head.
#[derive(Debug)]
pub struct Reader {
    nodes: Vec<Node>,
    chain_id: u64,
    head: Head,
    /// State is asked for by the head's hash; by its number where a node knows only that.
    by_hash: bool,
    log_blocks: AtomicU64,
}

fn quoted(answer: &impl Debug) -> String {
    let text = format!("{answer:?}");
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn differ(nodes: &[Node], i: usize, what: &str, a: &impl Debug, b: &impl Debug) -> ChainError {
    ChainError::Differ {
        first: nodes[0].name().to_owned(),
        second: nodes[i].name().to_owned(),
        what: what.to_owned(),
        ours: quoted(a),
        theirs: quoted(b),
    }
}

impl Reader {
    /// Chooses the head: `confirmations` below the newest block that all nodes have.
    pub async fn connect(urls: &[String], confirmations: u64) -> Result<Self, ChainError> {
        let nodes = urls.iter().map(|url| Node::new(url)).collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ChainError::NoNode);
        }
        let nothing = Head { number: 0, hash: B256::ZERO, timestamp: 0 };
        let log_blocks = AtomicU64::new(LOG_BLOCKS_FIRST);
        let mut this = Self { nodes, chain_id: 0, head: nothing, by_hash: true, log_blocks };
        let id: U64 = this.agree("the chain's id", "eth_chainId", json!([])).await?;
        this.chain_id = id.to();
        let newest = this.each::<U64>("eth_blockNumber", json!([])).await?;
        let have = newest.iter().map(|number| number.to::<u64>()).min().unwrap_or_default();
        let short = ChainError::TooShort { have, confirmations };
        let number = have.checked_sub(confirmations).ok_or(short)?;
        if number > BLOCK_NUMBER_MAX {
            return Err(this.nonsense(format!("block {number} as the newest one")));
        }
        this.head = this.block(number).await?;
        // Some nodes do not take EIP-1898.
        let params = json!([Address::ZERO, {"blockHash": this.head.hash}]);
        this.by_hash = match this.each::<Bytes>("eth_getCode", params).await {
            Ok(_) => true,
            Err(ChainError::Node(NodeError::Refused { .. })) => false,
            Err(other) => return Err(other),
        };
        Ok(this)
    }

    /// EIP-155 id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }
    /// The block at which everything is read.
    pub fn head(&self) -> Head {
        self.head
    }
    /// Scheme and host of every node.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name().to_owned()).collect()
    }

    /// The answers of all nodes, asked at the same time.
    pub(super) async fn each<R>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Vec<R>, ChainError>
    where
        R: serde::de::DeserializeOwned + Debug + Send + Sync + Unpin + 'static,
    {
        if let [node] = self.nodes.as_slice() {
            return Ok(vec![node.ask(method, &params).await?]);
        }
        let mut tasks = JoinSet::new();
        for (i, node) in self.nodes.iter().cloned().enumerate() {
            let params = params.clone();
            tasks.spawn(async move { (i, node.ask::<R>(method, &params).await) });
        }
        let mut answers = tasks.join_all().await;
        answers.sort_by_key(|(i, _)| *i);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect::<Result<_, _>>()?)
    }

    /// The answer that all nodes give.
    async fn agree<R>(
        &self,
        what: &str,
        method: &'static str,
        params: Value,
    ) -> Result<R, ChainError>
    where
        R: serde::de::DeserializeOwned + Debug + PartialEq + Send + Sync + Unpin + 'static,
    {
        let answers = self.each::<R>(method, params).await?;
        self.equal(what, answers)
    }

    pub(super) fn equal<R: PartialEq + Debug>(
        &self,
        what: &str,
        answers: Vec<R>,
    ) -> Result<R, ChainError> {
        let mut answers = answers.into_iter();
        let first = answers.next().ok_or(ChainError::NoNode)?;
        for (i, other) in answers.enumerate() {
            if other != first {
                return Err(differ(&self.nodes, i + 1, what, &first, &other));
            }
        }
        Ok(first)
    }

    fn missing(&self, what: String) -> ChainError {
        ChainError::Missing { node: self.nodes[0].name().to_owned(), what }
    }

    fn nonsense(&self, what: String) -> ChainError {
        ChainError::Nonsense { node: self.nodes[0].name().to_owned(), what }
    }

    async fn found(&self, number: u64) -> Result<Option<Head>, ChainError> {
        let params = json!([U64::from(number), false]);
        let blocks = self.each::<Option<Block>>("eth_getBlockByNumber", params).await?;
        let heads = blocks.into_iter().map(|block| {
            block.map(|block| Head {
                number: block.header.number,
                hash: block.header.hash,
                timestamp: block.header.timestamp,
            })
        });
        self.equal(&format!("block {number}"), heads.collect())
    }

    /// A block, not above the head.
    pub async fn block(&self, number: u64) -> Result<Head, ChainError> {
        let found = self.found(number).await?;
        let head = found.ok_or_else(|| self.missing(format!("block {number}")))?;
        match head.number == number {
            true => Ok(head),
            false => Err(self.nonsense(format!("block {} instead of {number}", head.number))),
        }
    }

    /// Requires that the head is still on the chain: after everything has been read.
    pub async fn still_there(&self) -> Result<(), ChainError> {
        let Head { number, hash: was, .. } = self.head;
        let now = self.found(number).await?;
        match now {
            Some(head) if head.hash == was => Ok(()),
            other => {
                let now = other.map_or("none".to_owned(), |head| head.hash.to_string());
                Err(ChainError::Reorganised { number, was, now })
            }
        }
    }

    fn at(&self) -> Value {
        match self.by_hash {
            true => json!({"blockHash": self.head.hash}),
            false => json!(U64::from(self.head.number)),
        }
    }

    /// Code at the head.
    pub async fn code(&self, address: Address) -> Result<Bytes, ChainError> {
        let what = format!("the code at {address}");
        self.agree(&what, "eth_getCode", json!([address, self.at()])).await
    }

    /// Whether there is code at an earlier block; fails where nodes have no state that old.
    pub async fn has_code(&self, address: Address, block: u64) -> Result<bool, ChainError> {
        let what = format!("the code at {address} in block {block}");
        let params = json!([address, U64::from(block)]);
        Ok(!self.agree::<Bytes>(&what, "eth_getCode", params).await?.is_empty())
    }

    /// What a contract's view returns at the head.
    pub async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, ChainError> {
        let input = Bytes::from(call.abi_encode());
        let what = format!("what {to} answers to {}", C::SIGNATURE);
        let params = json!([{"to": to, "input": input}, self.at()]);
        let not_kerros = ChainError::NotKerros { address: to, getter: C::SIGNATURE };
        match self.agree::<Bytes>(&what, "eth_call", params).await {
            Ok(bytes) => C::abi_decode_returns_validate(&bytes).map_err(|_| not_kerros),
            Err(ChainError::Node(NodeError::Refused { code: 3, .. })) => Err(not_kerros),
            Err(other) => Err(other),
        }
    }

    /// Native coins of an address at the head, in wei.
    pub async fn balance(&self, address: Address) -> Result<alloy::primitives::U256, ChainError> {
        let what = format!("the balance of {address}");
        self.agree(&what, "eth_getBalance", json!([address, self.at()])).await
    }

    /// Transactions of an address that some node has and no block: the most that any node knows of.
    pub async fn waiting(&self, address: Address) -> Result<u64, ChainError> {
        let count = "eth_getTransactionCount";
        let included = self.each::<U64>(count, json!([address, "latest"])).await?;
        let all = self.each::<U64>(count, json!([address, "pending"])).await?;
        let waiting = all.iter().zip(included).map(|(all, included)| all.saturating_sub(included));
        Ok(waiting.max().unwrap_or_default().to())
    }

    /// Blocks that the next question for logs should name.
    pub fn log_blocks(&self) -> u64 {
        self.log_blocks.load(Ordering::Relaxed)
    }

    /// All logs of a contract in these blocks, in order.
    pub async fn logs(
        &self,
        address: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<LogEntry>, ChainError> {
        let mut answers = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            answers.push(self.logs_of(node, address, from, to).await?);
        }
        let logs = answers.swap_remove(0);
        for (i, other) in answers.iter().enumerate() {
            let pairs = logs.len().max(other.len());
            let different = (0..pairs).find(|j| logs.get(*j) != other.get(*j));
            if let Some(j) = different {
                let (ours, theirs) = (logs.get(j), other.get(j));
                let place = ours.or(theirs).map(|log| log.place.to_string()).unwrap_or_default();
                let what = format!("log {place}");
                return Err(differ(&self.nodes, i + 1, &what, &ours, &theirs));
            }
        }
        Ok(logs)
    }

    /// Halves what a node finds too much.
    async fn logs_of(
        &self,
        node: &Node,
        address: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<LogEntry>, ChainError> {
        let mut logs: Vec<LogEntry> = Vec::new();
        let (mut next, mut span) = (from, (to - from).saturating_add(1));
        let mut tries = 1;
        while next <= to {
            let last = to.min(next.saturating_add(span - 1));
            let filter = json!([{
                "address": address, "fromBlock": U64::from(next), "toBlock": U64::from(last)
            }]);
            let answer = node.ask::<Vec<Log>>("eth_getLogs", &filter).await;
            let found = match answer {
                Ok(found) => found,
                // Nodes limit blocks, logs, bytes or time, and say so in many ways.
                Err(NodeError::Refused { .. } | NodeError::Unreachable { .. }) if span > 1 => {
                    span = (last - next).div_ceil(2).max(1);
                    self.log_blocks.store(span, Ordering::Relaxed);
                    continue;
                }
                Err(NodeError::Refused { .. }) if tries < LOG_TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(LOG_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            tries = 1;
            if found.len() <= LOGS_FEW && last - next + 1 >= self.log_blocks() {
                let wider = (self.log_blocks() * 2).min(LOG_BLOCKS_MAX);
                self.log_blocks.store(wider, Ordering::Relaxed);
            }
            let start = logs.len();
            for log in found {
                logs.push(entry(node, log, address, next, last)?);
            }
            logs[start..].sort_by_key(|log| log.place.order());
            if let Some(twice) = logs.windows(2).find(|w| w[0].place.order() >= w[1].place.order())
            {
                let what = format!("log {} twice", twice[1].place);
                return Err(ChainError::Nonsense { node: node.name().to_owned(), what });
            }
            next = last + 1;
        }
        Ok(logs)
    }

    /// The transaction that a log names.
    pub async fn transaction(&self, place: &Place) -> Result<PostTransaction, ChainError> {
        let hash = place.transaction;
        let what = format!("transaction {hash}");
        let answers = self
            .each::<Option<Transaction>>("eth_getTransactionByHash", json!([hash]))
            .await?
            .into_iter()
            .map(|found| found.map(|found| PostTransaction::read(hash, found)))
            .collect();
        let found = self.equal(&what, answers)?;
        let (found, block_hash, block) = found.ok_or_else(|| self.missing(what))?;
        if (block_hash, block) != (Some(place.block_hash), Some(place.block)) {
            return Err(self.nonsense(format!(
                "transaction {hash} is in block {block:?} ({block_hash:?}), its log in {place}"
            )));
        }
        Ok(found)
    }

    /// Gas that a transaction used.
    pub async fn gas_used(&self, transaction: B256) -> Result<u64, ChainError> {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Receipt {
            gas_used: U64,
        }
        let what = format!("the receipt of {transaction}");
        let params = json!([transaction]);
        let found: Option<Receipt> = self.agree(&what, "eth_getTransactionReceipt", params).await?;
        Ok(found.ok_or_else(|| self.missing(what))?.gas_used.to())
    }
}

pub(super) fn entry(
    node: &Node,
    log: Log,
    address: Address,
    from: u64,
    to: u64,
) -> Result<LogEntry, ChainError> {
    let nonsense = |what: &str| ChainError::Nonsense {
        node: node.name().to_owned(),
        what: format!("a log {what}, in blocks {from} to {to}"),
    };
    let unplaced = || nonsense("without its place");
    let place = Place {
        block: log.block_number.ok_or_else(unplaced)?,
        block_hash: log.block_hash.ok_or_else(unplaced)?,
        index: log.log_index.ok_or_else(unplaced)?,
        transaction: log.transaction_hash.ok_or_else(unplaced)?,
    };
    if log.address() != address {
        return Err(nonsense("of another contract"));
    }
    if log.removed || !(from..=to).contains(&place.block) {
        return Err(nonsense("of another block"));
    }
    let (topics, data) = log.inner.data.split();
    Ok(LogEntry { place, topics, data })
}
