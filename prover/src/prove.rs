//! One batch, proved: witness, h, β, Q, z, the Groth16 proof and W.

use crate::basis::{Basis, Kernels};
use crate::groth16::Groth16;
use crate::keys::ProverKeys;
use crate::openings::{Claims, opening, quotient};
use crate::phases::{Groth16Phases, Phases, Watch};
use ark_bn254::Fr;
use ark_ff::UniformRand;
use kerros_circuits::batch::synthesize;
use kerros_circuits::builder::Builder;
use kerros_circuits::witness::{Executed, WitnessError, execute};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::commitment::SrsError;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{self, BatchProof, Groth16Proof, statement};
use rand::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::Zeroize;

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
    /// arkworks, where it is compared with, refused the assignment.
    #[error("groth16: {0}")]
    Groth16(#[from] ark_relations::gr1cs::SynthesisError),
    /// The sealed commitments are not those of the state after the batch.
    #[error("the batch's new commitments are not those of its records")]
    Commitments,
}

/// A proof and what it cost.
pub struct Proved {
    /// For the sequencer and the main chain.
    pub proof: BatchProof,
    /// Times by phase.
    pub phases: Phases,
    /// Constraints of the circuit.
    pub constraints: usize,
    /// State after the batch.
    pub after: Ledger,
    /// The assignment that was proved.
    pub assignment: Vec<Fr>,
}

/// What a proof is computed with.
pub trait Backend {
    /// For the openings, at the ledger size of the batch.
    fn basis(&self) -> &dyn Basis;
    /// The proof of an assignment with this randomness.
    fn groth16(
        &self,
        assignment: &[Fr],
        randomness: [Fr; 2],
    ) -> Result<(Groth16Proof, Groth16Phases), ProveError>;
}

/// The kernels.
struct Ours<'a> {
    groth16: &'a Groth16,
    basis: &'a Kernels,
}

impl Backend for Ours<'_> {
    fn basis(&self) -> &dyn Basis {
        self.basis
    }
    fn groth16(
        &self,
        assignment: &[Fr],
        randomness: [Fr; 2],
    ) -> Result<(Groth16Proof, Groth16Phases), ProveError> {
        Ok(self.groth16.prove(assignment, randomness))
    }
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
    let points = keys.points(batch.k)?;
    let backend = Ours { groth16: &keys.groth16, basis: &points.kernels };
    prove_with(&backend, keys, before, batch, domain, rng)
}

/// The same with another backend.
pub fn prove_with(
    backend: &dyn Backend,
    keys: &ProverKeys,
    before: &Ledger,
    batch: &SealedBatch,
    domain: Fr,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Proved, ProveError> {
    let mut phases = Phases::default();
    let watch = Watch::start();
    let mut before = before.clone();
    if batch.before_growth.is_some() {
        before.grow();
    }
    if batch.k != before.k() {
        return Err(ProveError::LedgerSize { batch: batch.k, state: before.k() });
    }
    let points = keys.points(batch.k)?;
    let executed = execute(&keys.verification.shape, &before, batch, domain)?;
    let Executed { witness, after, touched } = executed;
    let changes: Vec<(usize, [Fr; 3])> = touched
        .iter()
        .map(|(index, account)| {
            let (old, new) = (account.words(), after.get(*index).words());
            (index.position(), std::array::from_fn(|j| new[j] - old[j]))
        })
        .collect();
    if batch.old.updated(&points.lagrange, &changes) != batch.new {
        return Err(ProveError::Commitments);
    }

    let statement = statement(&keys.verification, domain, batch);
    let mut builder = Builder::witness_only();
    let mut drawn = None;
    let shape = &keys.verification.shape;
    let outputs = synthesize(&mut builder, shape, &witness, |h| {
        let beta = statement.beta(&h);
        let (q, spent) = Watch::of(|| quotient(&before, &touched, beta, backend.basis()));
        phases.kzg_quotient = spent;
        let z = transcript::z(&beta, &q.commitment);
        drawn = Some((q, beta, z));
        Ok::<_, ProveError>((beta, z))
    })?;
    let (q, beta, z) = drawn.expect("synthesis asks for the challenges once");
    let gamma = transcript::gamma(&z);
    phases.witness = watch.spent().without(phases.kzg_quotient);

    let assignment = builder.into_assignment();
    let mut randomness = [Fr::rand(rng), Fr::rand(rng)];
    let proved = backend.groth16(&assignment, randomness);
    randomness.zeroize();
    let (groth16, spent) = proved?;
    phases.groth16 = spent;

    let claims = Claims { a: outputs.a, delta: outputs.delta, z_s: outputs.z_s };
    let at = (beta, z, gamma);
    let (w, spent) = Watch::of(|| opening(&q, &after, &touched, at, &claims, backend.basis()));
    phases.kzg_opening = spent;
    let proof = BatchProof {
        h: outputs.h,
        a: outputs.a,
        delta: outputs.delta,
        z_s: outputs.z_s,
        q: q.commitment,
        w,
        groth16,
    };
    Ok(Proved { proof, phases, constraints: keys.constraints(), after, assignment })
}
