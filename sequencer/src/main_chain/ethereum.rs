//! A real node over HTTP JSON-RPC (alloy). Every operation is one question to the node and its
//! answer; nothing is cached and nothing is tried twice, because only the caller knows whether a
//! second try is wise (`MainChainError::is_transient`). Texts of refusals differ between nodes: they
//! are read here and nowhere else.

use super::{
    Answer, At, BlockHead, Call, Fees, LogEntry, LogQuery, MainChain, MainChainError,
    PublishedTransaction, Receipt, Refusal,
};
use alloy::consensus::Transaction as _;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::TransactionResponse;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{
    Block, Filter, Log, TransactionInput, TransactionReceipt, TransactionRequest,
};
use alloy::transports::http::{Http, reqwest};
use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use kerros_verifier::chain::without_url;
use std::time::Duration;

/// Time for one question and its answer.
const REQUEST_SECONDS_MAX: u64 = 30;
/// Time for a connection to come about.
const CONNECT_SECONDS_MAX: u64 = 5;

/// A node. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Ethereum {
    provider: RootProvider,
}

/// A node's URL without what may be a key: where it leads.
#[must_use]
pub fn without_path(url: &str) -> String {
    let url = url.parse::<reqwest::Url>();
    url.map_or_else(|_| "?".to_owned(), |url| format!("{}/…", url.origin().ascii_serialization()))
}

impl Ethereum {
    /// Speaks to the node at this URL. Does not connect yet.
    pub fn connect(url: &str) -> Result<Self, MainChainError> {
        // A second installation is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let nonsense = |reason: String| MainChainError::Nonsense { reason };
        // URLs of nodes carry keys: no message quotes one.
        let url: reqwest::Url =
            url.parse().map_err(|error| nonsense(format!("the node's URL: {error}")))?;
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .build()
            .map_err(|error| nonsense(format!("HTTP client: {error}")))?;
        let client = RpcClient::new(Http::with_client(client, url), false);
        Ok(Self { provider: RootProvider::new(client) })
    }

    /// Runs a failed transaction again on its block's parent: nodes keep no returned data.
    async fn replay(&self, receipt: &TransactionReceipt) -> Option<Bytes> {
        let parent = receipt.block_number?.checked_sub(1)?;
        let found =
            self.provider.get_transaction_by_hash(receipt.transaction_hash).await.ok()??;
        let call = Call {
            from: Some(found.from()),
            to: found.to(),
            value: found.value(),
            input: found.input().clone(),
            gas: Some(found.gas_limit()),
        };
        match self.call(call, At::Block(parent)).await {
            Err(MainChainError::Reverted { data, .. }) => Some(data.into()),
            _ => None,
        }
    }
}

fn block_id(at: At) -> BlockId {
    match at {
        At::Latest => BlockId::latest(),
        At::Block(number) => BlockId::number(number),
        At::Hash(hash) => BlockId::hash_canonical(hash),
    }
}

fn request(call: Call) -> TransactionRequest {
    TransactionRequest {
        from: call.from,
        to: Some(call.to.map_or(TxKind::Create, TxKind::Call)),
        value: Some(call.value),
        input: TransactionInput::new(call.input),
        gas: call.gas,
        ..TransactionRequest::default()
    }
}

fn head(block: Block) -> BlockHead {
    BlockHead {
        number: block.header.number,
        hash: block.header.hash,
        parent: block.header.parent_hash,
        timestamp: block.header.timestamp,
        base_fee: block.header.base_fee_per_gas.unwrap_or_default(),
    }
}

fn entry(log: Log) -> Result<LogEntry, MainChainError> {
    let unplaced = || MainChainError::Nonsense { reason: "a log without its place".to_owned() };
    Ok(LogEntry {
        address: log.address(),
        topics: log.topics().to_vec(),
        block: log.block_number.ok_or_else(unplaced)?,
        block_hash: log.block_hash.ok_or_else(unplaced)?,
        transaction: log.transaction_hash.ok_or_else(unplaced)?,
        index: log.log_index.ok_or_else(unplaced)?,
        data: log.inner.data.data,
    })
}

fn entries(logs: Vec<Log>) -> Result<Vec<LogEntry>, MainChainError> {
    logs.into_iter().filter(|log| !log.removed).map(entry).collect()
}

/// An error of the node about a call, on the state `at`.
fn failed(at: Option<At>) -> impl Fn(TransportError) -> MainChainError {
    move |error| match error {
        RpcError::ErrorResp(payload) => {
            answered(payload.code, &payload.message, payload.as_revert_data(), at)
        }
        RpcError::DeserError { err, .. } => MainChainError::Nonsense { reason: err.to_string() },
        // Not the body: some gateways repeat the path there, and with it the node's key.
        RpcError::Transport(
            TransportErrorKind::HttpError(error)
            | TransportErrorKind::HttpErrorWithRetryAfter { error, .. },
        ) => MainChainError::Unreachable { reason: format!("HTTP status {}", error.status) },
        RpcError::Transport(TransportErrorKind::Custom(error)) => {
            MainChainError::Unreachable { reason: without_url(error) }
        }
        other => MainChainError::Unreachable { reason: other.to_string() },
    }
}

fn answered(code: i64, message: &str, revert: Option<Bytes>, at: Option<At>) -> MainChainError {
    let text = message.to_lowercase();
    if let Some(data) = revert {
        return MainChainError::reverted(data);
    }
    if code == 3 || text.contains("revert") {
        return MainChainError::reverted(Bytes::new());
    }
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    let unknown = ["unknown block", "header not found", "out of range", "outofrange"];
    match at {
        Some(At::Block(number)) if says(&unknown) => return MainChainError::NoBlock { number },
        Some(At::Hash(hash))
            if says(&unknown) || says(&["not found", "notfound", "not currently canonical"]) =>
        {
            return MainChainError::BlockGone { hash };
        }
        _ => {}
    }
    MainChainError::Answered { code, message: message.to_owned() }
}

/// An error of the node about a transaction handed over.
fn refused(error: TransportError) -> MainChainError {
    let RpcError::ErrorResp(payload) = &error else {
        return failed(None)(error);
    };
    let detail = payload.message.to_string();
    let text = detail.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    let (expected, got) = (number_after(&text, "next nonce "), number_after(&text, "tx nonce "));
    if says(&["already known", "already imported", "known transaction"]) {
        Refusal::AlreadyKnown.into()
    } else if says(&["nonce too low"]) {
        Refusal::NonceTooLow { expected, got }.into()
    } else if says(&["nonce too high"]) {
        Refusal::NonceTooHigh { expected, got }.into()
    } else if says(&["insufficient funds"]) {
        Refusal::InsufficientFunds.into()
    } else if says(&["underpriced", "fee too low", "fee cap", "less than block base fee"]) {
        Refusal::FeeTooLow { detail }.into()
    } else if says(&["intrinsic gas", "gas limit", "exceeds block gas", "gas required exceeds"]) {
        Refusal::GasLimit { detail }.into()
    } else if says(&["chain id", "chainid"]) {
        Refusal::WrongChain.into()
    } else if says(&["rlp", "malformed", "decode", "invalid signature", "invalid sender"]) {
        Refusal::Malformed { detail }.into()
    } else {
        failed(None)(error)
    }
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    let rest = &text[text.find(label)? + label.len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

impl MainChain for Ethereum {
    fn chain_id(&self) -> Answer<'_, u64> {
        Box::pin(async move { self.provider.get_chain_id().await.map_err(failed(None)) })
    }

    fn head(&self) -> Answer<'_, BlockHead> {
        Box::pin(async move {
            let found = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await;
            let missing = || MainChainError::Nonsense { reason: "no latest block".to_owned() };
            found.map_err(failed(None))?.map(head).ok_or_else(missing)
        })
    }

    fn block(&self, number: u64) -> Answer<'_, Option<BlockHead>> {
        Box::pin(async move {
            let found = self.provider.get_block_by_number(number.into()).await;
            let found = found.map_err(failed(None))?.map(head);
            match found {
                Some(other) if other.number != number => Err(MainChainError::Nonsense {
                    reason: format!("block {} where {number} was asked for", other.number),
                }),
                found => Ok(found),
            }
        })
    }

    fn balance(&self, account: Address, at: At) -> Answer<'_, U256> {
        Box::pin(async move {
            let question = self.provider.get_balance(account).block_id(block_id(at));
            question.await.map_err(failed(Some(at)))
        })
    }

    fn code(&self, account: Address, at: At) -> Answer<'_, Bytes> {
        Box::pin(async move {
            let question = self.provider.get_code_at(account).block_id(block_id(at));
            question.await.map_err(failed(Some(at)))
        })
    }

    fn nonce(&self, account: Address) -> Answer<'_, u64> {
        Box::pin(async move {
            self.provider.get_transaction_count(account).pending().await.map_err(failed(None))
        })
    }

    fn nonce_at(&self, account: Address, at: At) -> Answer<'_, u64> {
        Box::pin(async move {
            let question = self.provider.get_transaction_count(account).block_id(block_id(at));
            question.await.map_err(failed(Some(at)))
        })
    }

    fn fees(&self) -> Answer<'_, Fees> {
        Box::pin(async move {
            let estimate = self.provider.estimate_eip1559_fees().await.map_err(failed(None))?;
            Ok(Fees {
                max_fee_per_gas: estimate.max_fee_per_gas,
                max_priority_fee_per_gas: estimate.max_priority_fee_per_gas,
            })
        })
    }

    fn call(&self, call: Call, at: At) -> Answer<'_, Bytes> {
        Box::pin(async move {
            let question = self.provider.call(request(call)).block(block_id(at));
            question.await.map_err(failed(Some(at)))
        })
    }

    fn estimate_gas(&self, call: Call, at: At) -> Answer<'_, u64> {
        Box::pin(async move {
            let question = self.provider.estimate_gas(request(call)).block(block_id(at));
            question.await.map_err(failed(Some(at)))
        })
    }

    fn send_raw(&self, transaction: Bytes) -> Answer<'_, B256> {
        Box::pin(async move {
            let sent = self.provider.send_raw_transaction(&transaction).await;
            sent.map(|pending| *pending.tx_hash()).map_err(refused)
        })
    }

    fn receipt(&self, transaction: B256) -> Answer<'_, Option<Receipt>> {
        Box::pin(async move {
            let found = self.provider.get_transaction_receipt(transaction).await;
            let Some(receipt) = found.map_err(failed(None))? else {
                return Ok(None);
            };
            let (Some(block), Some(block_hash)) = (receipt.block_number, receipt.block_hash) else {
                return Ok(None);
            };
            let succeeded = receipt.status();
            let revert = if succeeded { None } else { self.replay(&receipt).await };
            Ok(Some(Receipt {
                transaction,
                block,
                block_hash,
                succeeded,
                gas_used: receipt.gas_used,
                gas_price: receipt.effective_gas_price,
                contract: receipt.contract_address,
                revert,
                logs: entries(receipt.logs().to_vec())?,
            }))
        })
    }

    fn logs(&self, query: LogQuery) -> Answer<'_, Vec<LogEntry>> {
        Box::pin(async move {
            let mut filter =
                Filter::new().from_block(query.from).to_block(query.to).address(query.address);
            if !query.topic0.is_empty() {
                filter = filter.event_signature(query.topic0);
            }
            entries(self.provider.get_logs(&filter).await.map_err(failed(None))?)
        })
    }

    fn transaction(&self, hash: B256) -> Answer<'_, Option<PublishedTransaction>> {
        Box::pin(async move {
            let found = self.provider.get_transaction_by_hash(hash).await;
            Ok(found.map_err(failed(None))?.map(|found| PublishedTransaction {
                hash,
                from: found.from(),
                to: found.to(),
                nonce: found.nonce(),
                value: found.value(),
                input: found.input().clone(),
                block: found.block_number,
            }))
        })
    }
}
