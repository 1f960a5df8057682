//! Verifying a ceremony from its first byte: the key must be the one that circuit and powers of tau
//! give, with C and H divided by a δ to which every contribution proves that it knew its part.
//!
//! This is all that `snarkjs zkey verify` checks, and what it leaves open: every point is in its group,
//! γ is the generator, δ is neither γ nor −γ, no secret is ±1, and nothing follows a beacon. C and H are
//! compared by a random linear combination with coefficients of 128 bits.

use crate::chain::{Chain, Flaw, contribution_hash, same_ratio};
use crate::initial::InitialError;
use crate::ptau::{Ptau, PtauError};
use crate::zkey::{Beacon, Zkey};
use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use kerros_circuits::groth16::Compiled;
use rand::rngs::OsRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use thiserror::Error;

/// How far a ceremony must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Under way or ended.
    Any,
    /// Fit for use: somebody's secret is in it, and a beacon is its last contribution.
    Final,
}

/// A ceremony that was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// blake2b of the key before all contributions: of circuit and powers of tau.
    pub circuit_hash: [u8; 64],
    /// The contributions in order.
    pub contributions: Vec<Verified>,
}

/// A contribution that was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who says to have made it. Nothing proves a name, anybody who had the file could change it, and it
    /// may hold any character: escape it where it is shown.
    pub name: String,
    /// The beacon that it was made of, if of any.
    pub beacon: Option<Beacon>,
    /// What the contributor should have published.
    pub hash: [u8; 64],
}

/// Why a ceremony was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CeremonyError {
    /// The powers of tau are wrong.
    #[error(transparent)]
    Phase1(#[from] PtauError),
    /// The circuit's key cannot be made of these powers of tau.
    #[error(transparent)]
    Initial(#[from] InitialError),
    /// Another circuit or other powers of tau.
    #[error("{what}: not what this circuit and these powers of tau give")]
    Foreign {
        /// What differs first.
        what: &'static str,
    },
    /// A contribution is wrong.
    #[error("contribution {number} {flaw}")]
    Contribution {
        /// From 1, as snarkjs counts.
        number: usize,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The key's δ is not that of its contributions.
    #[error("delta in {group} is not the one that the contributions give")]
    Delta {
        /// "G1" or "G2".
        group: &'static str,
    },
    /// δ is γ or −γ.
    #[error("delta is gamma or its negative: anybody can forge proofs")]
    DeltaIsGamma,
    /// C or H is not divided by δ.
    #[error("{what} is not divided by delta")]
    Undivided {
        /// "C" or "H".
        what: &'static str,
    },
    /// Only a beacon is in it, or nothing.
    #[error("nobody's secret is in it: anybody can forge proofs")]
    NoSecret,
    /// The last contribution is not a beacon.
    #[error("it has not ended with a beacon")]
    NoBeacon,
}

/// Verifies everything: the powers of tau, that `zkey` is the key of this circuit over them, and every
/// contribution to it. Takes about as long as making the key.
pub fn verify(
    circuit: &Compiled,
    phase1: &Ptau,
    zkey: &Zkey,
    stage: Stage,
    progress: &dyn Fn(&str),
) -> Result<Report, CeremonyError> {
    check_stage(zkey, stage)?;
    phase1.verify(&mut OsRng, progress)?;
    let initial = Zkey::initial(&circuit.constraints, circuit.variables, phase1, progress)?;
    verify_from(&initial, zkey, stage, progress)
}

/// Verifies `zkey` against `initial`, which must be [`Zkey::initial`]'s of the circuit and of powers of tau
/// that were verified.
pub fn verify_from(
    initial: &Zkey,
    zkey: &Zkey,
    stage: Stage,
    progress: &dyn Fn(&str),
) -> Result<Report, CeremonyError> {
    if !initial.contributions.is_empty() {
        return Err(CeremonyError::Foreign { what: "initial key" });
    }
    check_stage(zkey, stage)?;
    verify_extension(initial, zkey, progress)?;
    let contributions = &zkey.contributions;
    let contributions = contributions.iter().map(|contribution| Verified {
        name: contribution.name.clone(),
        beacon: contribution.beacon.clone(),
        hash: contribution_hash(contribution),
    });
    Ok(Report { circuit_hash: zkey.circuit_hash, contributions: contributions.collect() })
}

/// Whether the ceremony has come as far as it must: what costs least to see comes first.
fn check_stage(zkey: &Zkey, stage: Stage) -> Result<(), CeremonyError> {
    let contributions = &zkey.contributions;
    if stage == Stage::Any {
        return Ok(());
    }
    if contributions.iter().all(|contribution| contribution.beacon.is_some()) {
        return Err(CeremonyError::NoSecret);
    }
    match contributions.last() {
        Some(last) if last.beacon.is_some() => Ok(()),
        _ => Err(CeremonyError::NoBeacon),
    }
}

/// Verifies that `after` is `before` with more contributions or none: what a contributor checks of the own
/// work, or of the next one's. It proves nothing about `before`.
pub fn verify_extension(
    before: &Zkey,
    after: &Zkey,
    progress: &dyn Fn(&str),
) -> Result<(), CeremonyError> {
    unchanged(before, after)?;
    progress("contributions");
    let mut chain = Chain::new(&before.circuit_hash);
    before.contributions.iter().for_each(|contribution| chain.push(contribution));
    check_delta(before, &chain)?;
    let all = &after.contributions;
    for (index, contribution) in all.iter().enumerate().skip(before.contributions.len()) {
        let refused = |flaw| CeremonyError::Contribution { number: index + 1, flaw };
        if contribution.beacon.is_some() && index + 1 < all.len() {
            return Err(refused(Flaw::BeaconNotLast));
        }
        chain.check(contribution).map_err(refused)?;
        chain.push(contribution);
    }
    check_delta(after, &chain)?;
    // Two points of the same x are each other or their negatives.
    if !all.is_empty() && after.delta2.x == after.gamma2.x {
        return Err(CeremonyError::DeltaIsGamma);
    }
    let lists = [("C", &before.c, &after.c), ("H", &before.h, &after.h)];
    for (what, old, new) in lists {
        progress(what);
        let combined = combine(old, new);
        if !combined.is_none_or(|points| same_ratio(points, (after.delta2, before.delta2))) {
            return Err(CeremonyError::Undivided { what });
        }
    }
    Ok(())
}

/// All that no contribution changes must be equal.
fn unchanged(before: &Zkey, after: &Zkey) -> Result<(), CeremonyError> {
    let same = [
        ("number of public inputs", before.ic.len() == after.ic.len()),
        ("number of variables", before.a.len() == after.a.len()),
        ("domain", before.h.len() == after.h.len()),
        ("alpha in G1", before.alpha1 == after.alpha1),
        ("beta in G1", before.beta1 == after.beta1),
        ("beta in G2", before.beta2 == after.beta2),
        ("gamma in G2", before.gamma2 == after.gamma2 && after.gamma2 == G2Affine::generator()),
        ("circuit hash", before.circuit_hash == after.circuit_hash),
        ("IC", before.ic == after.ic),
        ("coefficients", before.coefficients == after.coefficients),
        ("A", before.a == after.a),
        ("B in G1", before.b1 == after.b1),
        ("B in G2", before.b2 == after.b2),
        ("number of C", before.c.len() == after.c.len()),
        ("first contributions", after.contributions.starts_with(&before.contributions)),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(CeremonyError::Foreign { what }),
        None => Ok(()),
    }
}

fn check_delta(zkey: &Zkey, chain: &Chain) -> Result<(), CeremonyError> {
    if zkey.delta1 != chain.delta() {
        return Err(CeremonyError::Delta { group: "G1" });
    }
    let generators = (G1Affine::generator(), G2Affine::generator());
    if !same_ratio((generators.0, zkey.delta1), (generators.1, zkey.delta2)) {
        return Err(CeremonyError::Delta { group: "G2" });
    }
    Ok(())
}

/// The same random combination of both lists; nothing if all points of both are infinity.
fn combine(old: &[G1Affine], new: &[G1Affine]) -> Option<(G1Affine, G1Affine)> {
    if old.iter().chain(new).all(AffineRepr::is_zero) {
        return None;
    }
    let mut rng = ChaCha20Rng::from_seed(OsRng.r#gen());
    let scalars: Vec<Fr> = old.iter().map(|_| Fr::from(rng.r#gen::<u128>())).collect();
    let sum = |points: &[G1Affine]| G1Projective::msm_unchecked(points, &scalars).into_affine();
    Some((sum(old), sum(new)))
}
