//! From a closed batch to the sealed one: commitments, bytes, record; and the head of the next.
//!
//! Pure but for reading the reference string when the ledger grows.

use crate::execution::{Closing, Execution};
use crate::journal::{BatchRecord, Head};
use crate::verification::BatchVerifier;
use ark_bn254::G1Affine;
use kerros_protocol::account::Address;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::{Commitments, Srs, SrsError};
use kerros_protocol::proto::BatchState;
use kerros_verifier::VerifyError;
use thiserror::Error;

/// Why a ledger could not grow.
#[derive(Debug, Error)]
pub enum GrowthError {
    /// The reference string has no such size or cannot be read.
    #[error("growth: {0}")]
    Srs(#[from] SrsError),
    /// Our own commitments do not pass the contract's check: a bug or a broken reference string.
    #[error("growth: {0}")]
    Check(#[from] VerifyError),
}

/// Makes the sealed batch and its record.
pub fn seal(
    closing: &Closing,
    lagrange: &[G1Affine],
    beneficiary: Address,
    now: u64,
) -> (SealedBatch, BatchRecord) {
    let head = &closing.head;
    let new = head.commitments.updated(lagrange, &closing.changes);
    let sealed = SealedBatch {
        number: head.number,
        k: head.k,
        before_growth: head.before_growth,
        old: head.commitments,
        new,
        first: head.first,
        end: closing.end,
        beneficiary,
        data: closing.data.clone(),
        transfers: closing.transfers.clone(),
        exits: closing.exits.clone(),
    };
    assert_eq!(sealed.first + sealed.data.queue_entries(), sealed.end, "entries are consecutive");
    let mut record = BatchRecord {
        number: head.number,
        counts: closing.data.counts().map(|n| u32::try_from(n).unwrap_or(u32::MAX)).to_vec(),
        k: head.k.into(),
        grows: head.before_growth.is_some(),
        old_root: sealed.old.root(head.k).0.to_vec(),
        new_root: sealed.new.root(head.k).0.to_vec(),
        first: sealed.first,
        end: sealed.end,
        opened_ms: head.opened_ms,
        sealed_ms: now,
        data_len: sealed.data.encode().len() as u64,
        ..BatchRecord::default()
    };
    record.set_state(BatchState::Sealed);
    (sealed, record)
}

/// A ledger twice as large.
pub struct Grown {
    /// `[L_i(τ)]_1` of the new size.
    pub lagrange: Vec<G1Affine>,
    /// Commitments in the new size.
    pub commitments: Commitments,
}

/// Commits to the same accounts in a ledger of `2^(k+1)` and checks it as the contract will.
pub fn grow(
    execution: &Execution,
    before: &Commitments,
    srs: &Srs,
    verifier: &dyn BatchVerifier,
) -> Result<Grown, GrowthError> {
    let k = execution.ledger().k();
    let lagrange = srs.lagrange(k + 1)?;
    let commitments = execution.ledger().commit(&lagrange);
    verifier.growth(before, &commitments, k)?;
    Ok(Grown { lagrange, commitments })
}

/// Where the next batch starts.
pub fn next_head(
    number: u64,
    k: u8,
    commitments: Commitments,
    grown: Option<&Grown>,
    first: u64,
    now: u64,
) -> Head {
    let (k, before_growth, commitments) = match grown {
        None => (k, None, commitments),
        Some(grown) => (k + 1, Some(commitments), grown.commitments),
    };
    Head { number, k, commitments, before_growth, first, opened_ms: now, grow_next: false }
}
