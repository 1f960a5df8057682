//! Many signatures at once, with the answer that [`verify`] gives for each.
//!
//! One random combination of all equations, `Σ z_i(S_i·B8 − R8_i − h_i·8A_i) = 0` with 128-bit
//! z_i, is one sum of multiples instead of one double multiple per signature. A wrong equation
//! survives with probability 2^-128 if its error lies in the subgroup of order ℓ, for which every
//! R8_i is first shown to be there: a part of order 2 would survive half of all coefficients, and
//! the circuit clears no cofactor. A right equation has R8 in the subgroup anyway. If the
//! combination fails, halves are tried with fresh coefficients, down to single checks.

use super::sum::{Prepared, Term, Terms, is_neutral};
use super::{
    BASE8, PublicKey, Signature, SignatureError, challenge, equation_holds, reduced, verify,
};
use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger256, PrimeField};
use rand::{CryptoRng, RngCore};
use std::collections::HashMap;

/// Bits of a random coefficient.
const COEFFICIENT_BITS: usize = 128;
/// Bits of `8k`, k < ℓ < 2^251.
const KEY_SCALAR_BITS: usize = 254;
/// Up to so many claims are checked one by one: a combination costs more.
const SINGLY_MAX: usize = 2;
/// Up to so many claims of a failed combination are checked one by one, which bounds what a chunk
/// of nothing but bad signatures costs.
const REFUSED_SINGLY_MAX: usize = 8;

/// "`key` signed `message`".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The signer's key.
    pub key: PublicKey,
    /// The signed field element.
    pub message: Fr,
    /// The signature over it.
    pub signature: Signature,
}

/// A claim whose S is reduced, whose key has no low order and whose R8 is in the subgroup.
struct Candidate<'a> {
    index: usize,
    claim: &'a Claim,
    s: Scalar,
    /// The challenge, reduced mod ℓ.
    h: Scalar,
    r8: Prepared,
    /// Number of the key among the different keys of the batch.
    key: usize,
}

/// For each claim what [`verify`] answers; a wrong `Ok` has probability 2^-128 per
/// combination over `rng`'s coefficients, a wrong error cannot occur.
pub fn verify_all(
    claims: &[Claim],
    rng: &mut (impl RngCore + CryptoRng),
) -> Vec<Result<(), SignatureError>> {
    if claims.len() <= SINGLY_MAX {
        let single = |claim: &Claim| verify(&claim.key, claim.message, &claim.signature);
        return claims.iter().map(single).collect();
    }
    let mut keys = Keys::default();
    let mut answers = Vec::with_capacity(claims.len());
    let mut candidates = Vec::with_capacity(claims.len());
    for (index, claim) in claims.iter().enumerate() {
        let checked = check_alone(claim);
        answers.push(checked.map(|_| ()));
        if let Ok(s) = checked {
            let h = reduced(challenge(&claim.signature.r8, &claim.key.0, claim.message));
            let (r8, key) = (claim.signature.r8.into(), keys.number(&claim.key));
            candidates.push(Candidate { index, claim, s, h, r8, key });
        }
    }
    settle(&candidates, &keys.prepared, &mut answers, false, rng);
    answers
}

/// What concerns one claim alone, in [`verify`]'s order; the claim's S.
fn check_alone(claim: &Claim) -> Result<Scalar, SignatureError> {
    let s = Scalar::from_bigint(claim.signature.s).ok_or(SignatureError::ScalarNotReduced)?;
    if claim.key.0.has_low_order() {
        return Err(SignatureError::LowOrderKey);
    }
    // S·B8 and 8A are in the subgroup: the equation cannot hold for an R8 outside it.
    if !claim.signature.r8.is_in_subgroup() {
        return Err(SignatureError::Equation);
    }
    Ok(s)
}

/// The different keys of a batch.
#[derive(Default)]
struct Keys {
    numbers: HashMap<PublicKey, usize>,
    prepared: Vec<Prepared>,
}

impl Keys {
    fn number(&mut self, key: &PublicKey) -> usize {
        *self.numbers.entry(*key).or_insert_with(|| {
            self.prepared.push(key.0.into());
            self.prepared.len() - 1
        })
    }
}

/// Finds the claims whose equation fails. `refused` says that the combination is known to fail.
fn settle(
    candidates: &[Candidate<'_>],
    keys: &[Prepared],
    answers: &mut [Result<(), SignatureError>],
    refused: bool,
    rng: &mut (impl RngCore + CryptoRng),
) -> bool {
    if candidates.len() <= SINGLY_MAX {
        return check_singly(candidates, answers);
    }
    if !refused && combination_holds(candidates, keys, rng) {
        return true;
    }
    if candidates.len() <= REFUSED_SINGLY_MAX {
        return check_singly(candidates, answers);
    }
    let (left, right) = candidates.split_at(candidates.len() / 2);
    let left_holds = settle(left, keys, answers, false, rng);
    // The whole fails: if the left half holds, the right one does not.
    settle(right, keys, answers, left_holds, rng);
    false
}

fn check_singly(candidates: &[Candidate<'_>], answers: &mut [Result<(), SignatureError>]) -> bool {
    let mut all = true;
    for Candidate { index, claim, s, h, .. } in candidates {
        if !equation_holds(&claim.key, &claim.signature, *s, *h) {
            answers[*index] = Err(SignatureError::Equation);
            all = false;
        }
    }
    all
}

/// `−(Σ z_i·S_i)·B8 + Σ z_i·R8_i + Σ 8(Σ z_i·h_i)·A = 0`, the last over different keys.
fn combination_holds(
    candidates: &[Candidate<'_>],
    keys: &[Prepared],
    rng: &mut (impl RngCore + CryptoRng),
) -> bool {
    let mut base = Scalar::ZERO;
    let mut key_scalars = vec![Scalar::ZERO; keys.len()];
    let mut commitments = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let limbs = [rng.next_u64(), rng.next_u64(), 0, 0];
        let coefficient = BigInteger256::new(limbs);
        let z = Scalar::from_bigint(coefficient).expect("128 bits are below ℓ");
        base -= z * candidate.s;
        key_scalars[candidate.key] += z * candidate.h;
        commitments.push(Term { point: candidate.r8, scalar: coefficient });
    }
    let mut keyed = vec![Term { point: BASE8.into(), scalar: base.into_bigint() }];
    for (point, scalar) in keys.iter().zip(key_scalars) {
        if scalar != Scalar::ZERO {
            // An integer, not reduced: A may lie outside the subgroup, 8A does not.
            keyed.push(Term { point: *point, scalar: scalar.into_bigint() << 3 });
        }
    }
    is_neutral(&[
        Terms { bits: KEY_SCALAR_BITS, terms: keyed },
        Terms { bits: COEFFICIENT_BITS, terms: commitments },
    ])
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod adversarial;
