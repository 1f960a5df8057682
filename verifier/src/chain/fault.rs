//! Why a history does not hold, or could not be followed.

use super::event::{EventError, Place};
use super::failure::ChainError;
use crate::audit::PostRejection;
use crate::audit::diagnosis::Diagnosis;
use std::fmt::Display;
use thiserror::Error;

/// Why a history does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayFault {
    /// An event that cannot be read.
    #[error(transparent)]
    Event(#[from] EventError),
    /// An event says something else than what came before it implies.
    #[error("{event} ({place}): {field} is {said}, must be {implied}")]
    Contradiction {
        /// Where.
        place: Place,
        /// Name.
        event: &'static str,
        /// Field of the event.
        field: &'static str,
        /// Its value.
        said: String,
        /// What it must be.
        implied: String,
    },
    /// A post's transaction holds no such call, or not the call of its event.
    #[error("batch {number}: {field}: {why}")]
    Call {
        /// Batch.
        number: u64,
        /// Part of the transaction.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A post that the contract should have refused.
    #[error("batch {number}: {diagnosis} (transaction {}, {bytes})", place.transaction)]
    Post {
        /// Batch.
        number: u64,
        /// Where.
        place: Place,
        /// Which field.
        diagnosis: Diagnosis,
        /// Whether these bytes are what was signed.
        bytes: &'static str,
        /// Why.
        source: Box<PostRejection>,
    },
    /// The contract stands elsewhere than its events lead to.
    #[error("the contract's {field} is {stored}, its history leads to {replayed}")]
    Standing {
        /// Which.
        field: &'static str,
        /// At the head.
        stored: String,
        /// Replayed.
        replayed: String,
    },
    /// A key for another contract.
    #[error("the key's {field} is {key}, the contract's {contract}")]
    OtherKey {
        /// Which.
        field: &'static str,
        /// In the key file.
        key: String,
        /// On the main chain.
        contract: String,
    },
}

/// Why following a history ended early.
#[derive(Debug, Error)]
pub enum ReplayFailure {
    /// It could not be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It does not hold.
    #[error(transparent)]
    Fault(#[from] Box<ReplayFault>),
}

/// Requires that an event's field is what it must be.
pub(super) fn require<T: PartialEq + Display>(
    place: Place,
    event: &'static str,
    field: &'static str,
    said: T,
    implied: T,
) -> Result<(), ReplayFault> {
    if said == implied {
        return Ok(());
    }
    let (said, implied) = (said.to_string(), implied.to_string());
    Err(ReplayFault::Contradiction { place, event, field, said, implied })
}
