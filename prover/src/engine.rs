//! What the worker needs from the mathematics: a proof of one batch. The service around it (leases,
//! replica, network) is the same for every implementation, tests bring their own.

use crate::keys::ProverKeys;
use crate::prove::{Proved, prove_batch};
use ark_bn254::Fr;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::BatchProof;
use kerros_protocol::verification_key::VerificationKey;
use std::time::Duration;
use thiserror::Error;

/// Makes proofs. Called on a thread of its own, one batch at a time.
pub trait Engine: Send + Sync + 'static {
    /// The key that its proofs verify under.
    fn verification_key(&self) -> &VerificationKey;
    /// Proves a batch; `before` is the ledger before it (not yet grown if the batch grows).
    fn prove(
        &self,
        before: &Ledger,
        batch: &SealedBatch,
        domain: Fr,
    ) -> Result<Output, EngineError>;
}

/// A proof, not checked yet, and what it took.
#[derive(Debug, Clone)]
pub struct Output {
    /// The proof.
    pub proof: BatchProof,
    /// Wall time of each phase, in order; names are stable snake_case.
    pub phases: Vec<(String, Duration)>,
    /// R1CS constraints of the circuit.
    pub constraints: u64,
}

/// The batch could not be proved; says why for logs and the lease's release.
#[derive(Debug, Clone, Error)]
#[error("proving failed: {reason}")]
pub struct EngineError {
    /// The implementation's own words.
    pub reason: String,
}

impl Engine for ProverKeys {
    fn verification_key(&self) -> &VerificationKey {
        &self.verification
    }
    fn prove(
        &self,
        before: &Ledger,
        batch: &SealedBatch,
        domain: Fr,
    ) -> Result<Output, EngineError> {
        let proved = prove_batch(self, before, batch, domain, &mut rand::rngs::OsRng);
        let failed = |error: crate::prove::ProveError| EngineError { reason: error.to_string() };
        let Proved { proof, phases, constraints, .. } = proved.map_err(failed)?;
        let phases = phases.named().map(|(name, spent)| (name.to_owned(), spent.wall)).to_vec();
        let constraints = u64::try_from(constraints).unwrap_or(u64::MAX);
        Ok(Output { proof, phases, constraints })
    }
}
