//! The main chain's check in Rust, from the same bytes (SPEC.md section 5).
//!
//! One product of five pairings: Groth16 and KZG share `[1]_2` because every key has `γ2 = [1]_2`,
//! and ρ, drawn after both proofs, keeps the two equations apart.

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, One};
use kerros_protocol::batch::{BatchData, BatchDataError, evaluate};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::encoding::keccak256;
use kerros_protocol::transcript::{self, BatchProof, Challenges, Statement, public_inputs};
use kerros_protocol::verification_key::VerificationKey;
use thiserror::Error;

/// Why a batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The data does not fit the key's shape.
    #[error("batch data: {0}")]
    Data(#[from] BatchDataError),
    /// The statement names other data.
    #[error("the statement's data hash is not that of the data")]
    DataHash,
    /// The statement is about another key.
    #[error("the statement's key hash is not that of the key")]
    KeyHash,
    /// The statement's queue range is not what the data consumes.
    #[error("queue entries {first} to {end}, but the data consumes {consumed}")]
    QueueRange {
        /// First entry consumed.
        first: u64,
        /// First entry not consumed.
        end: u64,
        /// Deposits and forced exits in the data.
        consumed: u64,
    },
    /// The ledger is smaller than at genesis or larger than the key allows.
    #[error("ledger of 2^{k}, the key covers 2^{from} to 2^{to}")]
    LedgerSize {
        /// Exponent claimed.
        k: u8,
        /// Least.
        from: u8,
        /// Greatest.
        to: u8,
    },
    /// The pairing product is not one: Groth16 proof or KZG opening is wrong.
    #[error("the pairing check fails: proof or opening is wrong")]
    Pairing,
    /// The commitments after growth are not those of the grown ledger.
    #[error("growth: the commitments are not those of the doubled ledger")]
    Growth,
}

/// Checks one batch. `statement` must be made from the verifier's own knowledge of the chain.
pub fn verify_batch(
    key: &VerificationKey,
    statement: &Statement,
    data: &BatchData,
    proof: &BatchProof,
) -> Result<(), VerifyError> {
    data.check_capacity(&key.shape)?;
    if statement.data_hash != keccak256(&[&data.encode()]) {
        return Err(VerifyError::DataHash);
    }
    if statement.vk_hash != key.hash() {
        return Err(VerifyError::KeyHash);
    }
    let (first, end, consumed) = (statement.first, statement.end, data.queue_entries());
    if first.checked_add(consumed) != Some(end) {
        return Err(VerifyError::QueueRange { first, end, consumed });
    }
    let (k, from, to) = (statement.k, key.k_genesis, key.k_max());
    if !(from..=to).contains(&k) {
        return Err(VerifyError::LedgerSize { k, from, to });
    }
    let challenges = Challenges::draw(statement, &proof.h, &proof.q);
    let y = evaluate(&data.elements(&key.shape), challenges.z);
    pairing_check(key, statement, &challenges, y, proof)
}

/// I, the combination of IC with the public inputs, and `E + z·W`.
fn points(
    key: &VerificationKey,
    statement: &Statement,
    challenges: &Challenges,
    y: Fr,
    proof: &BatchProof,
) -> (G1Projective, G1Projective) {
    let Challenges { beta, z, gamma } = *challenges;
    let inputs = public_inputs(statement, challenges, y, proof);
    let mut scalars = vec![Fr::ONE];
    scalars.extend(inputs);
    let inputs_point = G1Projective::msm_unchecked(&key.ic, &scalars);

    // E + z·W as one multi-scalar multiplication.
    let n = statement.ledger_size();
    let c = (z.pow([1u64 << statement.k]) - Fr::ONE) * n.inverse().expect("n is a power of two");
    let mut bases = Vec::with_capacity(9);
    let mut weights = Vec::with_capacity(9);
    let mut beta_power = Fr::one();
    for (old, new) in statement.old.0.iter().zip(&statement.new.0) {
        bases.extend([*old, *new]);
        weights.extend([beta_power * (Fr::ONE - gamma), beta_power * gamma]);
        beta_power *= beta;
    }
    bases.extend([proof.q, G1Affine::generator(), proof.w]);
    weights.extend([-proof.z_s, -c * (proof.a + gamma * proof.delta), z]);
    (inputs_point, G1Projective::msm_unchecked(&bases, &weights))
}

/// The pairing product for given challenges and data evaluation.
pub fn pairing_check(
    key: &VerificationKey,
    statement: &Statement,
    challenges: &Challenges,
    y: Fr,
    proof: &BatchProof,
) -> Result<(), VerifyError> {
    let (inputs_point, opening) = points(key, statement, challenges, y, proof);
    let rho = proof.rho(&challenges.z);
    let minus_rho_w = -(proof.w * rho);
    let g1 = [
        proof.groth16.a,
        -key.alpha1,
        (opening * rho - inputs_point).into_affine(),
        -proof.groth16.c,
        minus_rho_w.into_affine(),
    ];
    let g2 = [proof.groth16.b, key.beta2, G2Affine::generator(), key.delta2, key.tau2()];
    match Bn254::multi_pairing(g1, g2).0.is_one() {
        true => Ok(()),
        false => Err(VerifyError::Pairing),
    }
}

/// Which of the two equations hold, each for itself: Groth16, opening. Only to tell why their product fails.
pub fn equations_that_hold(
    key: &VerificationKey,
    statement: &Statement,
    challenges: &Challenges,
    y: Fr,
    proof: &BatchProof,
) -> (bool, bool) {
    let (inputs_point, opening) = points(key, statement, challenges, y, proof);
    let groth16 = Bn254::multi_pairing(
        [proof.groth16.a, -key.alpha1, (-inputs_point).into_affine(), -proof.groth16.c],
        [proof.groth16.b, key.beta2, G2Affine::generator(), key.delta2],
    );
    let kzg = Bn254::multi_pairing(
        [opening.into_affine(), -proof.w],
        [G2Affine::generator(), key.tau2()],
    );
    (groth16.0.is_one(), kzg.0.is_one())
}

/// Checks that `after` commits to the same accounts in a ledger of twice the size:
/// `e(2·C'_j − C_j, [1]_2) = e(C_j, [τ^n]_2)`, batched over j (SPEC.md section 3).
pub fn verify_growth(
    key: &VerificationKey,
    before: &Commitments,
    after: &Commitments,
    k_before: u8,
) -> Result<(), VerifyError> {
    let (from, to) = (key.k_genesis, key.k_max());
    if !(from..to).contains(&k_before) {
        return Err(VerifyError::LedgerSize { k: k_before, from, to });
    }
    let scalar = transcript::growth_scalar(before, after, k_before);
    let (mut left, mut right) = (G1Projective::ZERO, G1Projective::ZERO);
    let mut weight = Fr::ONE;
    for (old, new) in before.0.iter().zip(&after.0) {
        left += (new.into_group().double() - old) * weight;
        right += *old * weight;
        weight *= scalar;
    }
    let g1 = [left.into_affine(), (-right).into_affine()];
    let tau_n = key.tau_powers[usize::from(k_before)];
    match Bn254::multi_pairing(g1, [G2Affine::generator(), tau_n]).0.is_one() {
        true => Ok(()),
        false => Err(VerifyError::Growth),
    }
}
