//! Ways in which a main chain says no, and which of them may go away by themselves.

use alloy::primitives::{B256, Bytes};
use kerros_verifier::contract::Revert;

/// Why an operation on the main chain failed.
#[derive(Debug, thiserror::Error)]
pub enum MainChainError {
    /// No answer: connection, time-out, overload.
    #[error("main chain not reachable: {reason}")]
    Unreachable {
        /// What the transport said.
        reason: String,
    },
    /// The call ran and reverted.
    #[error("call reverted: {reason}")]
    Reverted {
        /// The returned data, decoded.
        reason: Revert,
        /// The returned data.
        data: Box<[u8]>,
    },
    /// The call ran out of gas or broke a rule of the machine; there is no data.
    #[error("call halted: {reason}")]
    Halted {
        /// The machine's word for it.
        reason: String,
    },
    /// The transaction was not accepted.
    #[error("transaction refused: {0}")]
    Refused(#[from] Refusal),
    /// A question about a block that does not exist (yet, or any more).
    #[error("no block {number}")]
    NoBlock {
        /// The block asked for.
        number: u64,
    },
    /// A question about a block that the chain does not have, or has no more.
    #[error("block {hash} is not in the chain (any more)")]
    BlockGone {
        /// The block asked for.
        hash: B256,
    },
    /// The node is on another chain than at the start.
    #[error("the node is on chain {found}, not on chain {expected}")]
    OtherChain {
        /// At the start.
        expected: u64,
        /// Now.
        found: u64,
    },
    /// The newest block is so old that the node has probably lost its peers.
    #[error("the newest block, {number}, is {age_ms} ms old, more than {limit_ms}")]
    OldHead {
        /// Its number.
        number: u64,
        /// Since its timestamp.
        age_ms: u64,
        /// The limit.
        limit_ms: u64,
    },
    /// The newest block is lower than any reorganisation explains.
    #[error("the newest block is {number}, there was a block {seen} before")]
    LowHead {
        /// Its number.
        number: u64,
        /// The greatest seen.
        seen: u64,
    },
    /// Nodes that should say the same do not.
    #[error("nodes disagree about {method}: {nodes}")]
    Disagreement {
        /// The question.
        method: &'static str,
        /// What which node said, in short; without the path of any URL.
        nodes: String,
    },
    /// More logs than may be returned at once: ask for fewer blocks.
    #[error("more than {limit} logs")]
    TooManyLogs {
        /// The bound.
        limit: usize,
    },
    /// The node answered with an error that has no name here.
    #[error("main chain answered {code}: {message}")]
    Answered {
        /// JSON-RPC code.
        code: i64,
        /// The node's text.
        message: String,
    },
    /// The answer does not have the form it must have.
    #[error("main chain's answer makes no sense: {reason}")]
    Nonsense {
        /// What is wrong with it.
        reason: String,
    },
    /// The embedded chain's disk failed or holds what it should not.
    #[error("embedded chain's store: {reason}")]
    Store {
        /// What happened.
        reason: String,
    },
    /// The directory holds another chain than the one to open.
    #[error("embedded chain on disk is another one (genesis {found}, expected {expected})")]
    GenesisMismatch {
        /// Hash of block 0 on disk.
        found: String,
        /// Hash of block 0 as configured.
        expected: String,
    },
}

/// Why a transaction was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The chain has it already: as good as accepted.
    #[error("already known")]
    AlreadyKnown,
    /// Another transaction of the sender took the number.
    #[error("nonce too low{}", Self::numbers(*.expected, *.got))]
    NonceTooLow {
        /// The sender's next number, if the chain told.
        expected: Option<u64>,
        /// The transaction's number, if the chain told.
        got: Option<u64>,
    },
    /// Earlier numbers are missing. Only the embedded chain, which keeps no waiting transactions.
    #[error("nonce too high{}", Self::numbers(*.expected, *.got))]
    NonceTooHigh {
        /// The sender's next number, if the chain told.
        expected: Option<u64>,
        /// The transaction's number, if the chain told.
        got: Option<u64>,
    },
    /// The sender cannot pay for value and gas.
    #[error("insufficient funds")]
    InsufficientFunds,
    /// The fee offered is below what the chain asks, or below the one it would replace.
    #[error("fee too low: {detail}")]
    FeeTooLow {
        /// The chain's text.
        detail: String,
    },
    /// The gas limit is below what the transaction costs before it runs, or above the bound.
    #[error("gas limit out of range: {detail}")]
    GasLimit {
        /// The chain's text.
        detail: String,
    },
    /// Signed for another chain.
    #[error("wrong chain id")]
    WrongChain,
    /// Not a transaction, or its signature is void.
    #[error("malformed transaction: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// A type of transaction that the chain does not take.
    #[error("transaction type {kind} not supported")]
    UnsupportedType {
        /// EIP-2718 type byte.
        kind: u8,
    },
    /// Another rule of the machine.
    #[error("invalid transaction: {detail}")]
    Invalid {
        /// The machine's text.
        detail: String,
    },
}

impl Refusal {
    fn numbers(expected: Option<u64>, got: Option<u64>) -> String {
        match (expected, got) {
            (Some(expected), Some(got)) => format!(": next nonce {expected}, tx nonce {got}"),
            _ => String::new(),
        }
    }
}

impl MainChainError {
    /// Whether trying the same again later may succeed without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoBlock { .. }
            | Self::BlockGone { .. }
            | Self::OtherChain { .. }
            | Self::OldHead { .. }
            | Self::LowHead { .. }
            | Self::Disagreement { .. } => true,
            // Limits of public nodes and their internal errors.
            Self::Answered { code, .. } => matches!(code, -32005 | -32603 | 429),
            Self::Reverted { .. }
            | Self::Halted { .. }
            | Self::Refused(_)
            | Self::TooManyLogs { .. }
            | Self::Nonsense { .. }
            | Self::Store { .. }
            | Self::GenesisMismatch { .. } => false,
        }
    }

    /// A revert with this data.
    #[must_use]
    pub fn reverted(data: Bytes) -> Self {
        Self::Reverted { reason: Revert::decode(&data), data: data.to_vec().into() }
    }

    /// The contract's own error, if that is why.
    #[must_use]
    pub fn contract_error(&self) -> Option<&kerros_verifier::contract::KerrosErrors> {
        match self {
            Self::Reverted { reason: Revert::Kerros(error), .. } => Some(error),
            _ => None,
        }
    }
}
