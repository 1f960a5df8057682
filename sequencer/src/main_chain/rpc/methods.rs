//! The JSON-RPC methods: arguments in, the chain's answer out. Arguments are checked here; the
//! chain trusts nothing anyway. No I/O of its own.

use super::RpcOptions;
use super::forms::{self, quantity};
use crate::main_chain::embedded::{BASE_FEE, BLOCK_GAS_MAX, BlockRecord, Chain, PRIORITY_FEE};
use crate::main_chain::{At, Call, LogEntry, MainChainError};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::rpc::types::{FeeHistory, Filter, FilterBlockOption, TransactionRequest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Blocks of one fee history.
const FEE_HISTORY_MAX: u64 = 1024;
/// Percentiles of one fee history.
const PERCENTILES_MAX: usize = 100;
/// Blocks of one search for logs.
const LOG_BLOCKS_MAX: u64 = 1_000_000;

/// An error answer.
#[derive(Debug)]
pub struct Failure {
    /// JSON-RPC code, or Ethereum's.
    pub code: i64,
    /// For people.
    pub message: String,
    /// Returned data of a revert.
    pub data: Option<Value>,
}

impl Failure {
    fn new(code: i64, message: String) -> Self {
        Self { code, message, data: None }
    }

    pub fn parse(reason: &str) -> Self {
        Self::new(-32700, format!("not JSON: {reason}"))
    }

    pub fn invalid_request(reason: &str) -> Self {
        Self::new(-32600, format!("invalid request: {reason}"))
    }

    pub fn internal(reason: &str) -> Self {
        Self::new(-32603, reason.to_owned())
    }

    fn invalid_params(reason: String) -> Self {
        Self::new(-32602, reason)
    }
}

impl From<MainChainError> for Failure {
    fn from(error: MainChainError) -> Self {
        let text = error.to_string();
        match error {
            MainChainError::Reverted { reason, data } => Self {
                code: 3,
                message: format!("execution reverted: {reason}"),
                data: Some(json!(Bytes::from(data))),
            },
            MainChainError::Refused(refusal) => Self::new(-32000, refusal.to_string()),
            MainChainError::Halted { reason } => Self::new(-32000, reason),
            MainChainError::NoBlock { number } => {
                Self::new(-32001, format!("unknown block {number}"))
            }
            MainChainError::BlockGone { hash } => {
                Self::new(-32001, format!("unknown block {hash}"))
            }
            MainChainError::TooManyLogs { .. } => Self::new(-32005, text),
            _ => Self::internal(&text),
        }
    }
}

/// Answers one request.
pub fn dispatch(
    chain: &Chain,
    options: RpcOptions,
    method: &str,
    params: &Value,
) -> Result<Value, Failure> {
    let arguments = Arguments::new(params)?;
    match method {
        "eth_chainId" => Ok(quantity(chain.chain_id())),
        "net_version" => Ok(json!(chain.chain_id().to_string())),
        "net_listening" => Ok(json!(true)),
        "web3_clientVersion" => Ok(json!(concat!("kerros-embedded/", env!("CARGO_PKG_VERSION")))),
        "eth_syncing" => Ok(json!(false)),
        "eth_accounts" => Ok(json!([])),
        "eth_blockNumber" => Ok(quantity(chain.head())),
        "eth_getBlockByNumber" => {
            let tag: BlockNumberOrTag = arguments.get(0, "block")?;
            let found = chain.block(number(chain, tag))?;
            block(chain, found, arguments.optional(1, "full")?)
        }
        "eth_getBlockByHash" => {
            let found = chain.block_by_hash(arguments.get(0, "hash")?)?;
            block(chain, found, arguments.optional(1, "full")?)
        }
        "eth_getBalance" => {
            let account = arguments.get(0, "address")?;
            Ok(json!(chain.balance(account, arguments.at(1)?)?))
        }
        "eth_getCode" => {
            let account = arguments.get(0, "address")?;
            Ok(json!(chain.code(account, arguments.at(1)?)?))
        }
        "eth_getStorageAt" => {
            let (account, slot): (Address, U256) =
                (arguments.get(0, "address")?, arguments.get(1, "slot")?);
            Ok(json!(B256::from(chain.slot(account, slot, arguments.at(2)?)?)))
        }
        "eth_getTransactionCount" => {
            let account = arguments.get(0, "address")?;
            Ok(quantity(chain.nonce(account, arguments.at(1)?)?))
        }
        "eth_call" => {
            arguments.at_most(2)?;
            let call = call(arguments.get(0, "transaction")?);
            Ok(json!(chain.call(&call, arguments.at(1)?)?))
        }
        "eth_estimateGas" => {
            let call = call(arguments.get(0, "transaction")?);
            Ok(quantity(chain.estimate_gas(&call, arguments.at(1)?)?))
        }
        "eth_gasPrice" => Ok(quantity(BASE_FEE + PRIORITY_FEE)),
        "eth_maxPriorityFeePerGas" => Ok(quantity(PRIORITY_FEE)),
        "eth_feeHistory" => fee_history(chain, &arguments),
        "eth_sendRawTransaction" => {
            let raw: Bytes = arguments.get(0, "transaction")?;
            Ok(json!(chain.send(&raw)?))
        }
        "eth_getTransactionReceipt" => {
            let Some(found) = block_of(chain, arguments.get(0, "hash")?)? else {
                return Ok(Value::Null);
            };
            let receipt = chain.receipt_in(found.header.number)?;
            Ok(receipt.map_or(Value::Null, |receipt| forms::receipt(&found, &receipt)))
        }
        "eth_getTransactionByHash" => {
            let Some(found) = block_of(chain, arguments.get(0, "hash")?)? else {
                return Ok(Value::Null);
            };
            let inner = chain.transaction_in(found.header.number)?;
            Ok(inner.map_or(Value::Null, |inner| forms::transaction(&found, inner)))
        }
        "eth_getLogs" => logs(chain, &arguments.get(0, "filter")?),
        "evm_increaseTime" if options.test_hooks => {
            let seconds: U256 = arguments.get(0, "seconds")?;
            let seconds = u64::try_from(seconds)
                .map_err(|_| Failure::invalid_params("seconds exceed 64 bits".to_owned()))?;
            Ok(quantity(chain.advance_time(seconds)?))
        }
        "evm_mine" if options.test_hooks => {
            chain.mine()?;
            Ok(json!("0x0"))
        }
        _ => Err(Failure::new(-32601, format!("no method {method}"))),
    }
}

/// Positional arguments.
struct Arguments<'a>(&'a [Value]);

impl<'a> Arguments<'a> {
    fn new(params: &'a Value) -> Result<Self, Failure> {
        match params {
            Value::Null => Ok(Self(&[])),
            Value::Array(values) => Ok(Self(values)),
            _ => Err(Failure::invalid_params("params must be an array".to_owned())),
        }
    }

    fn get<T: DeserializeOwned>(&self, index: usize, name: &str) -> Result<T, Failure> {
        let missing = || Failure::invalid_params(format!("argument {index} ({name}) is missing"));
        self.optional(index, name)?.ok_or_else(missing)
    }

    fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| {
                Failure::invalid_params(format!("argument {index} ({name}): {error}"))
            }),
        }
    }

    fn at_most(&self, count: usize) -> Result<(), Failure> {
        match self.0.iter().skip(count).all(Value::is_null) {
            true => Ok(()),
            false => Err(Failure::invalid_params(format!("at most {count} arguments"))),
        }
    }

    /// The state a question is about: latest if it does not say.
    fn at(&self, index: usize) -> Result<At, Failure> {
        match self.optional::<BlockId>(index, "block")? {
            None => Ok(At::Latest),
            Some(BlockId::Number(BlockNumberOrTag::Number(number))) => Ok(At::Block(number)),
            Some(BlockId::Number(BlockNumberOrTag::Earliest)) => Ok(At::Block(0)),
            Some(BlockId::Number(_)) => Ok(At::Latest),
            Some(BlockId::Hash(hash)) => Ok(At::Hash(hash.block_hash)),
        }
    }
}

/// Nothing is pending and nothing is ever undone: all tags but `earliest` mean the head.
fn number(chain: &Chain, tag: BlockNumberOrTag) -> u64 {
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        _ => chain.head(),
    }
}

fn block(chain: &Chain, found: Option<BlockRecord>, full: Option<bool>) -> Result<Value, Failure> {
    let Some(found) = found else {
        return Ok(Value::Null);
    };
    let content = match full {
        Some(true) => chain.transaction_in(found.header.number)?,
        _ => None,
    };
    Ok(forms::block(&found, content))
}

fn block_of(chain: &Chain, transaction: B256) -> Result<Option<BlockRecord>, Failure> {
    match chain.block_of(transaction)? {
        Some(number) => Ok(chain.block(number)?),
        None => Ok(None),
    }
}

/// Fees and numbers of the request do not matter to a call.
fn call(request: TransactionRequest) -> Call {
    Call {
        from: request.from,
        to: request.to.and_then(|to| match to {
            TxKind::Call(address) => Some(address),
            TxKind::Create => None,
        }),
        value: request.value.unwrap_or_default(),
        gas: request.gas.map(|gas| gas.min(BLOCK_GAS_MAX)),
        input: request.input.into_input().unwrap_or_default(),
    }
}

fn fee_history(chain: &Chain, arguments: &Arguments<'_>) -> Result<Value, Failure> {
    let wanted: U256 = arguments.get(0, "count")?;
    let newest = number(chain, arguments.get(1, "newest block")?);
    if newest > chain.head() {
        return Err(MainChainError::NoBlock { number: newest }.into());
    }
    let percentiles: Option<Vec<f64>> = arguments.optional(2, "percentiles")?;
    let percentiles = percentiles.unwrap_or_default();
    if percentiles.len() > PERCENTILES_MAX {
        return Err(Failure::invalid_params(format!("at most {PERCENTILES_MAX} percentiles")));
    }
    let count = u64::try_from(wanted).unwrap_or(u64::MAX).min(FEE_HISTORY_MAX).min(newest + 1);
    let oldest = newest + 1 - count;
    let mut history = FeeHistory {
        oldest_block: oldest,
        base_fee_per_gas: vec![u128::from(BASE_FEE)],
        ..FeeHistory::default()
    };
    let mut rewards = Vec::new();
    for number in oldest..=newest {
        let used = chain.block(number)?.map_or(0, |block| block.header.gas_used);
        history.base_fee_per_gas.push(u128::from(BASE_FEE));
        history.gas_used_ratio.push(used as f64 / BLOCK_GAS_MAX as f64);
        rewards.push(vec![u128::from(PRIORITY_FEE); percentiles.len()]);
    }
    if !percentiles.is_empty() {
        history.reward = Some(rewards);
    }
    Ok(json!(history))
}

fn logs(chain: &Chain, filter: &Filter) -> Result<Value, Failure> {
    let (from, to) = match filter.block_option {
        FilterBlockOption::Range { from_block, to_block } => (
            number(chain, from_block.unwrap_or(BlockNumberOrTag::Latest)),
            number(chain, to_block.unwrap_or(BlockNumberOrTag::Latest)),
        ),
        FilterBlockOption::AtBlockHash(hash) => match chain.block_by_hash(hash)? {
            Some(found) => (found.header.number, found.header.number),
            None => return Err(Failure::new(-32001, format!("unknown block {hash}"))),
        },
    };
    if to.min(chain.head()).saturating_sub(from) > LOG_BLOCKS_MAX {
        return Err(Failure::new(-32005, format!("more than {LOG_BLOCKS_MAX} blocks")));
    }
    let found = chain.logs(from, to, |log: &LogEntry| {
        let topics = filter.topics.iter().enumerate().all(|(place, wanted)| {
            wanted.is_empty() || log.topics.get(place).is_some_and(|topic| wanted.matches(topic))
        });
        filter.address.matches(&log.address) && topics
    })?;
    Ok(Value::Array(found.iter().map(forms::log).collect()))
}
