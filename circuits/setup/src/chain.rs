//! The chain of contributions: each proves that it knew its secret, and each builds on all before it.

use crate::snark_rng::{SnarkRng, hash_to_g2};
use crate::zkey::{Beacon, Contribution};
use ark_bn254::{Bn254, Fq12, G1Affine, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::Field;
use blake2::{Blake2b512, Digest};
use kerros_protocol::encoding::{g1_to_be, g2_to_be};
use std::ops::RangeInclusive;
use thiserror::Error;

/// Exponents of a beacon's number of hashes. snarkjs takes none below; the greatest is minutes of work for
/// whoever verifies.
pub const BEACON_EXPONENTS: RangeInclusive<u8> = 10..=32;

/// What is wrong with a contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// Its transcript hash is not that of what came before it.
    #[error("does not follow from the transcript before it")]
    Transcript,
    /// Its points in G1 and in G2 have different secrets.
    #[error("does not prove that its secret was known")]
    Proof,
    /// δ was multiplied by something else.
    #[error("multiplied delta by another secret than the one it proves")]
    Delta,
    /// The secret is 1 or −1.
    #[error("has a secret that everybody knows")]
    Trivial,
    /// A beacon's parameters give another secret.
    #[error("is not what its beacon gives")]
    Beacon,
    /// A beacon's exponent is none of [`BEACON_EXPONENTS`].
    #[error("hashes its beacon 2^{0} times: not from 2^10 to 2^32")]
    Exponent(u8),
    /// Something follows a beacon.
    #[error("is a beacon and not the last")]
    BeaconNotLast,
}

/// A ceremony after some of its contributions.
pub(crate) struct Chain {
    hasher: Blake2b512,
    delta: G1Affine,
}

impl Chain {
    /// Before the first contribution.
    pub(crate) fn new(circuit_hash: &[u8; 64]) -> Self {
        Self { hasher: Blake2b512::new_with_prefix(circuit_hash), delta: G1Affine::generator() }
    }

    /// `[δ]_1`.
    pub(crate) fn delta(&self) -> G1Affine {
        self.delta
    }

    /// The transcript hash of the next contribution, if it has these points.
    pub(crate) fn transcript(&self, g1_s: &G1Affine, g1_sx: &G1Affine) -> [u8; 64] {
        let hasher = self.hasher.clone().chain_update(g1_to_be(g1_s));
        hasher.chain_update(g1_to_be(g1_sx)).finalize().into()
    }

    /// Takes the next contribution as it is.
    pub(crate) fn push(&mut self, contribution: &Contribution) {
        absorb(&mut self.hasher, contribution);
        self.delta = contribution.delta_after;
    }

    /// What is wrong with `contribution` as the next one.
    pub(crate) fn check(&self, contribution: &Contribution) -> Result<(), Flaw> {
        let Contribution { delta_after, g1_s, g1_sx, g2_spx, transcript, .. } = contribution;
        if self.transcript(g1_s, g1_sx) != *transcript {
            return Err(Flaw::Transcript);
        }
        let g2_sp = hash_to_g2(transcript);
        if !same_ratio((*g1_s, *g1_sx), (g2_sp, *g2_spx)) {
            return Err(Flaw::Proof);
        }
        if !same_ratio((self.delta, *delta_after), (g2_sp, *g2_spx)) {
            return Err(Flaw::Delta);
        }
        if g1_s.x == g1_sx.x {
            return Err(Flaw::Trivial);
        }
        match &contribution.beacon {
            Some(beacon) => check_beacon(beacon, g1_s, g1_sx),
            None => Ok(()),
        }
    }
}

fn check_beacon(beacon: &Beacon, g1_s: &G1Affine, g1_sx: &G1Affine) -> Result<(), Flaw> {
    if !BEACON_EXPONENTS.contains(&beacon.iterations_exponent) {
        return Err(Flaw::Exponent(beacon.iterations_exponent));
    }
    let mut rng = SnarkRng::from_beacon(&beacon.value, beacon.iterations_exponent);
    let (secret, point) = (rng.fr(), rng.g1());
    let same = point == *g1_s && (point * secret).into_affine() == *g1_sx;
    if same { Ok(()) } else { Err(Flaw::Beacon) }
}

fn absorb(hasher: &mut Blake2b512, contribution: &Contribution) {
    let Contribution { delta_after, g1_s, g1_sx, g2_spx, transcript, .. } = contribution;
    for point in [delta_after, g1_s, g1_sx] {
        hasher.update(g1_to_be(point));
    }
    hasher.update(g2_to_be(g2_spx));
    hasher.update(transcript);
}

/// What a contributor publishes, so that all can find the contribution in the final key. It says
/// nothing of name and kind: snarkjs hashes the points alone.
pub fn contribution_hash(contribution: &Contribution) -> [u8; 64] {
    let mut hasher = Blake2b512::new();
    absorb(&mut hasher, contribution);
    hasher.finalize().into()
}

/// A hash as snarkjs shows it: four lines of four words.
pub fn format_hash(hash: &[u8; 64]) -> String {
    let line = |bytes: &[u8]| {
        let words: Vec<_> = bytes.chunks_exact(4).map(hex::encode).collect();
        words.join(" ")
    };
    hash.chunks_exact(16).map(line).collect::<Vec<_>>().join("\n")
}

/// Whether `g1.1 = x·g1.0` and `g2.1 = x·g2.0` for one x, and none of the four is infinity.
pub(crate) fn same_ratio(g1: (G1Affine, G1Affine), g2: (G2Affine, G2Affine)) -> bool {
    let infinite = g1.0.is_zero() || g1.1.is_zero() || g2.0.is_zero() || g2.1.is_zero();
    !infinite && Bn254::multi_pairing([g1.0, -g1.1], [g2.1, g2.0]).0 == Fq12::ONE
}
