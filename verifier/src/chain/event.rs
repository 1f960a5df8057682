//! The contract's events: raw as a node gives them, and decoded. Pure; strict: an event is read only if
//! it is exactly what the contract's compiler would have written.

use crate::audit::QueueEntry;
use crate::contract::{Kerros, KerrosEvents};
use alloy::primitives::{B256, Bytes, IntoLogData, U256};
use alloy::sol_types::SolEventInterface;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::commitment::Root;
use kerros_protocol::encoding::DecodeError;
use std::fmt;
use thiserror::Error;

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Block.
    pub block: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Number of the log in its block.
    pub index: u64,
    /// Transaction.
    pub transaction: B256,
}

impl Place {
    /// Places in this order are in the chain's order.
    pub fn order(&self) -> (u64, u64) {
        (self.block, self.index)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of block {}", self.index, self.block)
    }
}

/// A log of the contract, undecoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it stands.
    pub place: Place,
    /// Signature and indexed fields.
    pub topics: Vec<B256>,
    /// The other fields.
    pub data: Bytes,
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventError {
    /// Not an event of this contract, or not in its encoding.
    #[error("log {place} is none of the contract's events")]
    Unknown {
        /// Where.
        place: Place,
    },
    /// Not what the contract would have written: bits outside of a field's type.
    #[error("log {place}, {event}: word {word} of its {part} is no value of its type")]
    NotCanonical {
        /// Where.
        place: Place,
        /// Name.
        event: &'static str,
        /// "topics" or "data".
        part: &'static str,
        /// Number of the word.
        word: usize,
    },
    /// A field that the contract would have refused.
    #[error("log {place}, {event}: {source}")]
    Field {
        /// Where.
        place: Place,
        /// Name.
        event: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
}

/// An entry that came into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its number.
    pub entry: u64,
    /// Depositor or requester: whom a refund goes to.
    pub sender: Address,
    /// What batches must serve.
    pub content: QueueEntry,
    /// Paid for it, in wei.
    pub fee: U256,
    /// Unix seconds after which anybody may freeze over it.
    pub deadline: u64,
}

/// What the contract says about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostedEvent {
    /// Number of the batch.
    pub number: u64,
    /// Root after it.
    pub new_root: Root,
    /// First queue entry served.
    pub first: u64,
    /// First queue entry not served.
    pub end: u64,
    /// Exponent of the ledger's size after it.
    pub k: u8,
    /// Credited with fees.
    pub beneficiary: Address,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A token became usable.
    AssetRegistered {
        /// Id.
        asset: u16,
        /// Token.
        token: Address,
        /// A unit is 10^this base units.
        unit_exponent: u8,
    },
    /// The queue became longer.
    Queued(Queued),
    /// A batch.
    Posted(PostedEvent),
    /// The latch was set.
    Frozen {
        /// Overdue entry.
        entry: u64,
        /// Its deadline.
        deadline: u64,
    },
    /// An account left by an opening.
    Escaped {
        /// Account.
        index: AccountIndex,
        /// Its asset.
        asset: u16,
        /// Its owner.
        owner: Address,
        /// Units.
        amount: u64,
    },
    /// A waiting entry was given back.
    Refunded {
        /// Entry.
        entry: u64,
        /// Depositor or requester.
        sender: Address,
        /// Asset; 0 for a forced exit.
        asset: u16,
        /// Units; 0 for a forced exit.
        amount: u64,
    },
    /// More may be claimed.
    Withdrawable {
        /// Asset.
        asset: u16,
        /// By whom.
        account: Address,
        /// Units on top.
        amount: u64,
    },
    /// It was claimed.
    Claimed {
        /// Asset.
        asset: u16,
        /// By whom.
        account: Address,
        /// Units.
        amount: U256,
    },
    /// Ether that an account may claim, or claimed: fees, not layer 2's money.
    Ether {
        /// Whose.
        account: Address,
        /// Wei.
        amount: U256,
        /// Credited, otherwise claimed.
        credited: bool,
    },
}

fn address(word: alloy::primitives::Address) -> Address {
    Address(word.into_array())
}

impl Event {
    /// Reads a log.
    pub fn decode(log: &LogEntry) -> Result<Self, EventError> {
        let place = log.place;
        let decoded = KerrosEvents::decode_raw_log(&log.topics, &log.data)
            .map_err(|_| EventError::Unknown { place })?;
        let event = name(&decoded);
        let written = decoded.to_log_data();
        let topic = (0..log.topics.len()).find(|i| written.topics().get(*i) != log.topics.get(*i));
        if let Some(word) = topic {
            return Err(EventError::NotCanonical { place, event, part: "topics", word });
        }
        if written.data != log.data {
            let words = log.data.chunks(32).zip(written.data.chunks(32));
            let word = words.take_while(|(a, b)| a == b).count();
            return Err(EventError::NotCanonical { place, event, part: "data", word });
        }
        Self::take(decoded).map_err(|source| EventError::Field { place, event, source })
    }

    fn take(decoded: KerrosEvents) -> Result<Self, DecodeError> {
        use KerrosEvents as E;
        Ok(match decoded {
            E::AssetRegistered(e) => Self::AssetRegistered {
                asset: e.asset,
                token: address(e.token),
                unit_exponent: e.unitExponent,
            },
            E::DepositQueued(e) => Self::Queued(Queued {
                entry: e.entry,
                sender: address(e.depositor),
                content: QueueEntry::Deposit {
                    amount: e.amount,
                    asset: e.asset,
                    key: AccountKey::from_be(&e.key.to_be_bytes())?,
                    owner: address(e.owner),
                },
                fee: e.fee,
                deadline: e.deadline,
            }),
            E::ForcedExitQueued(e) => Self::Queued(Queued {
                entry: e.entry,
                sender: address(e.requester),
                content: QueueEntry::ForcedExit {
                    index: AccountIndex::new(e.index)?,
                    requester: address(e.requester),
                },
                fee: e.fee,
                deadline: e.deadline,
            }),
            E::BatchPosted(e) => Self::Posted(PostedEvent {
                number: e.number,
                new_root: Root(e.newRoot.0),
                first: e.first,
                end: e.end,
                k: e.k,
                beneficiary: address(e.beneficiary),
            }),
            E::Frozen(Kerros::Frozen { entry, deadline }) => Self::Frozen { entry, deadline },
            E::Escaped(e) => Self::Escaped {
                index: AccountIndex::new(e.index)?,
                asset: e.asset,
                owner: address(e.owner),
                amount: e.amount,
            },
            E::Refunded(e) => Self::Refunded {
                entry: e.entry,
                sender: address(e.depositor),
                asset: e.asset,
                amount: e.amount,
            },
            E::Withdrawable(e) => {
                Self::Withdrawable { asset: e.asset, account: address(e.account), amount: e.amount }
            }
            E::Claimed(e) => {
                Self::Claimed { asset: e.asset, account: address(e.account), amount: e.amount }
            }
            E::EtherCredited(e) => {
                Self::Ether { account: address(e.account), amount: e.amount, credited: true }
            }
            E::EtherClaimed(e) => {
                Self::Ether { account: address(e.account), amount: e.amount, credited: false }
            }
        })
    }
}

fn name(event: &KerrosEvents) -> &'static str {
    use KerrosEvents as E;
    match event {
        E::AssetRegistered(_) => "AssetRegistered",
        E::DepositQueued(_) => "DepositQueued",
        E::ForcedExitQueued(_) => "ForcedExitQueued",
        E::BatchPosted(_) => "BatchPosted",
        E::Frozen(_) => "Frozen",
        E::Escaped(_) => "Escaped",
        E::Refunded(_) => "Refunded",
        E::Withdrawable(_) => "Withdrawable",
        E::Claimed(_) => "Claimed",
        E::EtherCredited(_) => "EtherCredited",
        E::EtherClaimed(_) => "EtherClaimed",
    }
}
