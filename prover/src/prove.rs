//! One batch, proved: witness, h, β, Q, z, the Groth16 proof and W.

use crate::keys::ProverKeys;
use crate::openings::{Claims, opening, quotient};
use ark_bn254::Fr;
use kerros_circuits::batch::synthesize;
use kerros_circuits::builder::Builder;
use kerros_circuits::groth16;
use kerros_circuits::witness::{Executed, WitnessError, execute};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::SrsError;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{self, BatchProof, statement};
use rand::{CryptoRng, RngCore};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why a batch could not be proved.
#[derive(Debug, Error)]
pub enum ProveError {
    /// The batch breaks a rule.
    #[error("witness: {0}")]
    Witness(#[from] WitnessError),
    /// The reference string could not be read or is too small.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// The batch runs at another ledger size than the state it follows.
    #[error("the batch runs at 2^{batch}, the state before it at 2^{state}")]
    LedgerSize {
        /// Exponent of the batch.
        batch: u8,
        /// Exponent of the state, after growth if the batch grows it.
        state: u8,
    },
    /// The sealed commitments are not those of the state after the batch.
    #[error("the batch's new commitments are not those of its records")]
    Commitments,
    /// arkworks refused the assignment.
    #[error("groth16: {0}")]
    Groth16(#[from] ark_relations::gr1cs::SynthesisError),
}

/// Wall time of each phase of a proof.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// Running the records and computing all wires.
    pub witness: Duration,
    /// KZG quotient Q.
    pub kzg_quotient: Duration,
    /// Groth16: sparse products and FFTs.
    pub groth16_fft: Duration,
    /// Groth16: multi-scalar multiplications.
    pub groth16_msm: Duration,
    /// KZG opening W.
    pub kzg_opening: Duration,
}

impl Phases {
    /// Sum of all phases.
    pub fn total(&self) -> Duration {
        self.named().iter().map(|(_, time)| *time).sum()
    }
    /// Phases with their names as in logs, metrics and tables.
    pub fn named(&self) -> [(&'static str, Duration); 5] {
        [
            ("witness", self.witness),
            ("kzg_quotient", self.kzg_quotient),
            ("groth16_fft", self.groth16_fft),
            ("groth16_msm", self.groth16_msm),
            ("kzg_opening", self.kzg_opening),
        ]
    }
}

/// A proof and what it cost.
pub struct Proved {
    /// For the sequencer and the main chain.
    pub proof: BatchProof,
    /// Wall time by phase.
    pub phases: Phases,
    /// Constraints of the circuit.
    pub constraints: usize,
    /// State after the batch.
    pub after: Ledger,
}

/// Proves a batch on the state before it (not yet grown, if the batch grows it). The proof is not
/// checked here: callers verify it before they hand it on.
pub fn prove_batch(
    keys: &ProverKeys,
    before: &Ledger,
    batch: &SealedBatch,
    domain: Fr,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Proved, ProveError> {
    let mut phases = Phases::default();
    let start = Instant::now();
    let mut before = before.clone();
    if batch.before_growth.is_some() {
        before.grow();
    }
    if batch.k != before.k() {
        return Err(ProveError::LedgerSize { batch: batch.k, state: before.k() });
    }
    let lagrange = keys.lagrange(batch.k)?;
    let executed = execute(&keys.verification.shape, &before, batch, domain)?;
    let Executed { witness, after, touched } = executed;
    let changes: Vec<(usize, [Fr; 3])> = touched
        .iter()
        .map(|(index, account)| {
            let (old, new) = (account.words(), after.get(*index).words());
            (index.position(), std::array::from_fn(|j| new[j] - old[j]))
        })
        .collect();
    if batch.old.updated(&lagrange, &changes) != batch.new {
        return Err(ProveError::Commitments);
    }

    let statement = statement(&keys.verification, domain, batch);
    let mut builder = Builder::witness_only();
    let mut drawn = None;
    let shape = &keys.verification.shape;
    let outputs = synthesize(&mut builder, shape, &witness, |h| {
        let beta = statement.beta(&h);
        let q_start = Instant::now();
        let q = quotient(&before, &touched, beta, &lagrange);
        phases.kzg_quotient = q_start.elapsed();
        let z = transcript::z(&beta, &q.commitment);
        drawn = Some((q, beta, z));
        Ok::<_, ProveError>((beta, z))
    })?;
    let (q, beta, z) = drawn.expect("synthesis asks for the challenges once");
    let gamma = transcript::gamma(&z);
    phases.witness = start.elapsed().saturating_sub(phases.kzg_quotient);

    let assignment = builder.into_assignment();
    let (proof, timing) = groth16::prove(&keys.proving, &keys.matrices, &assignment, rng)?;
    (phases.groth16_fft, phases.groth16_msm) = (timing.quotient, timing.msm);

    let w_start = Instant::now();
    let claims = Claims { a: outputs.a, delta: outputs.delta, z_s: outputs.z_s };
    let w = opening(&q, &after, &touched, (beta, z, gamma), &claims, &lagrange);
    phases.kzg_opening = w_start.elapsed();
    let proof = BatchProof {
        h: outputs.h,
        a: outputs.a,
        delta: outputs.delta,
        z_s: outputs.z_s,
        q: q.commitment,
        w,
        groth16: proof,
    };
    Ok(Proved { proof, phases, constraints: keys.constraints(), after })
}
