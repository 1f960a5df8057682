//! Why reading the main chain failed.

use super::event::EventError;
use super::node::NodeError;
use alloy::primitives::{Address, B256};
use thiserror::Error;

/// Why the chain could not be read, as opposed to what is wrong with what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// A node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// No node was named.
    #[error("no node is named")]
    NoNode,
    /// Two nodes contradict each other.
    #[error("{first} and {second} differ in {what}: {ours} and {theirs}")]
    Differ {
        /// One node.
        first: String,
        /// The other.
        second: String,
        /// What they were asked for.
        what: String,
        /// The first's answer.
        ours: String,
        /// The second's answer.
        theirs: String,
    },
    /// The chain is shorter than the confirmations asked for.
    #[error("the chain has {have} blocks, fewer than {confirmations} confirmations")]
    TooShort {
        /// Number of the newest block.
        have: u64,
        /// Depth asked for.
        confirmations: u64,
    },
    /// The head that everything was read at is no longer on the chain.
    #[error("reorganised, run again: block {number} was {was}, now it is {now}")]
    Reorganised {
        /// Block.
        number: u64,
        /// Its hash when reading began.
        was: B256,
        /// Its hash now.
        now: String,
    },
    /// Something that must be there is not.
    #[error("{node} does not know {what}")]
    Missing {
        /// The node.
        node: String,
        /// What it was asked for.
        what: String,
    },
    /// An answer that contradicts the question or itself.
    #[error("{node}: {what}")]
    Nonsense {
        /// The node.
        node: String,
        /// What is wrong.
        what: String,
    },
    /// No contract there.
    #[error("there is no contract at {address} at block {block}")]
    NoContract {
        /// Address.
        address: Address,
        /// Head.
        block: u64,
    },
    /// A contract of another kind.
    #[error("{address} does not answer {getter} as Kerros does")]
    NotKerros {
        /// Address.
        address: Address,
        /// What was asked.
        getter: &'static str,
    },
    /// An event that cannot be read.
    #[error(transparent)]
    Event(#[from] EventError),
}
