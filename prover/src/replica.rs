//! The prover's own copy of the ledger, rebuilt from sealed batches from batch 1 on.
//!
//! Nothing of a batch is believed: its data is replayed by the transition rules and the
//! commitments are computed again; a batch whose commitments differ is refused and leaves the
//! replica as it was. A few batches can be undone, because a lease of an earlier batch may come
//! back after its first prover died. This module knows no network and no proof.

use ark_bn254::{Fr, G1Affine};
use kerros_protocol::account::{Account, AccountIndex};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::{Commitments, Srs, SrsError};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transition::{ReplayError, replay};
use std::collections::VecDeque;
use thiserror::Error;

/// Batches that can be undone without starting over.
pub const UNDO_BATCHES_MAX: usize = 64;

/// Why a sealed batch does not continue the replica.
#[derive(Debug, Error)]
pub enum ReplicaError {
    /// Another batch is next.
    #[error("batch {have}, replica expects {need}")]
    OutOfOrder {
        /// The batch offered.
        have: u64,
        /// The next batch.
        need: u64,
    },
    /// The ledger's size is not what it should be.
    #[error("batch {number}: ledger of 2^{have}, replica expects 2^{need}")]
    LedgerSize {
        /// The batch.
        number: u64,
        /// k the batch names.
        have: u8,
        /// k of the replica, after growth if the batch grows.
        need: u8,
    },
    /// Commitments that the sealed batch names are not those of the replica's ledger.
    #[error("batch {number}: commitments {when} are not those of the replayed ledger")]
    Commitments {
        /// The batch.
        number: u64,
        /// "before growth", "before the batch" or "after the batch".
        when: &'static str,
    },
    /// The data breaks the transition rules.
    #[error("batch {number}: {source}")]
    Replay {
        /// The batch.
        number: u64,
        /// What is wrong.
        source: ReplayError,
    },
    /// The reference string could not be read, or has no such ledger size.
    #[error(transparent)]
    Srs(#[from] SrsError),
}

struct Undo {
    k: u8,
    commitments: Commitments,
    touched: Vec<(AccountIndex, Account)>,
}

/// The ledger after the batches applied so far.
pub struct Replica {
    srs: Srs,
    lagrange: (u8, Vec<G1Affine>),
    ledger: Ledger,
    commitments: Commitments,
    next: u64,
    undo: VecDeque<Undo>,
}

impl Replica {
    /// The ledger before batch 1; reads the Lagrange points of the genesis size.
    pub fn genesis(srs: Srs) -> Result<Self, ReplicaError> {
        let k = srs.header.k_genesis;
        let lagrange = (k, srs.lagrange(k)?);
        Ok(Self {
            srs,
            lagrange,
            ledger: Ledger::new(k),
            commitments: Commitments::empty(),
            next: 1,
            undo: VecDeque::new(),
        })
    }
    /// The batch that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }
    /// The ledger before batch [`Replica::next`].
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
    /// Commitments of [`Replica::ledger`].
    pub fn commitments(&self) -> &Commitments {
        &self.commitments
    }

    /// Applies the next batch, or refuses it and changes nothing.
    pub fn apply(&mut self, batch: &SealedBatch) -> Result<(), ReplicaError> {
        let number = batch.number;
        if number != self.next {
            return Err(ReplicaError::OutOfOrder { have: number, need: self.next });
        }
        let grows = batch.before_growth.is_some();
        let (have, need) = (batch.k, self.ledger.k() + u8::from(grows));
        if have != need {
            return Err(ReplicaError::LedgerSize { number, have, need });
        }
        let differs = |when| ReplicaError::Commitments { number, when };
        let old = match &batch.before_growth {
            None => self.commitments,
            Some(before) if *before != self.commitments => return Err(differs("before growth")),
            Some(_) => {
                self.load(need)?;
                self.ledger.commit(&self.lagrange.1)
            }
        };
        if batch.old != old {
            return Err(differs("before the batch"));
        }
        self.load(need)?;
        let undo = Undo { k: self.ledger.k(), commitments: self.commitments, touched: Vec::new() };
        if grows {
            self.ledger.grow();
        }
        let touched = match replay(&mut self.ledger, &batch.data) {
            Ok(touched) => touched,
            Err(source) => {
                self.restore(undo);
                return Err(ReplicaError::Replay { number, source });
            }
        };
        let changes: Vec<(usize, [Fr; 3])> = touched
            .iter()
            .map(|(index, before)| {
                let (old, new) = (before.words(), self.ledger.get(*index).words());
                (index.position(), [0, 1, 2].map(|j| new[j] - old[j]))
            })
            .collect();
        let new = old.updated(&self.lagrange.1, &changes);
        let undo = Undo { touched, ..undo };
        if batch.new != new {
            self.restore(undo);
            return Err(differs("after the batch"));
        }
        self.commitments = new;
        self.next += 1;
        self.undo.push_back(undo);
        if self.undo.len() > UNDO_BATCHES_MAX {
            self.undo.pop_front();
        }
        Ok(())
    }

    /// Goes back to the state before batch `number`, if it is at most the next one. Starts over
    /// from the empty ledger if that lies too far back: the caller applies batches from
    /// [`Replica::next`] again in any case.
    pub fn rewind(&mut self, number: u64) -> Result<(), ReplicaError> {
        while self.next > number {
            let Some(undo) = self.undo.pop_back() else {
                *self = Self::genesis(self.srs.clone())?;
                return Ok(());
            };
            self.restore(undo);
            self.next -= 1;
        }
        Ok(())
    }

    fn restore(&mut self, undo: Undo) {
        if undo.k != self.ledger.k() {
            // Accounts never move: the smaller table holds all that existed before growth.
            let mut smaller = Ledger::new(undo.k);
            let before = undo.touched.iter().copied();
            before.for_each(|(index, account)| self.ledger.set(index, account));
            self.ledger.existing().for_each(|(index, account)| smaller.set(index, *account));
            self.ledger = smaller;
        } else {
            undo.touched.iter().for_each(|(index, account)| self.ledger.set(*index, *account));
        }
        self.commitments = undo.commitments;
    }

    fn load(&mut self, k: u8) -> Result<(), ReplicaError> {
        if self.lagrange.0 != k {
            self.lagrange = (k, self.srs.lagrange(k)?);
        }
        Ok(())
    }
}
