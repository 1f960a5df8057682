//! Taking part in a ceremony: δ is multiplied by a secret, C and H are divided by it, and the proof
//! of having known it is appended.
//!
//! The key is sound if one contributor forgot its secret. It is wiped from memory here, but arithmetic
//! leaves traces on the stack and takes time that depends on it: contribute on a machine that nobody
//! else uses, and switch it off afterwards.

use crate::chain::{BEACON_EXPONENTS, Chain, contribution_hash};
use crate::error::FileError;
use crate::snark_rng::{SnarkRng, hash_to_g2};
use crate::zkey::{Beacon, Contribution, Zkey};
use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Field};
use rand::{CryptoRng, RngCore};
use rayon::prelude::*;
use std::path::Path;
use thiserror::Error;
use zeroize::Zeroizing;

/// Points that one task multiplies.
const CHUNK: usize = 1 << 10;
/// What snarkjs keeps of a name, in UTF-16 units.
const NAME_MAX: usize = 64;
/// The longest beacon that the format takes.
const BEACON_MAX: usize = 255;

/// Why a contribution was not made.
#[derive(Debug, Error)]
pub enum ContributeError {
    /// The key could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The name is too long.
    #[error("a name has at most {NAME_MAX} UTF-16 units")]
    Name,
    /// The beacon is empty or too long.
    #[error("a beacon has 1 to {BEACON_MAX} bytes, not {0}")]
    BeaconLength(usize),
    /// The exponent is none of [`BEACON_EXPONENTS`].
    #[error("a beacon is hashed 2^10 to 2^32 times, not 2^{0}")]
    BeaconExponent(u8),
    /// The ceremony has a beacon already.
    #[error("the ceremony has ended: its last contribution is a beacon")]
    Ended,
}

/// Contributes a fresh secret to `key` and writes the result to `to`. `entropy` is mixed into the
/// randomness of `rng`. Returns the hash that the contributor should publish.
///
/// `key` must have been verified ([`crate::verify::verify`]), and not only its file: whatever points stand for
/// C and H are divided by the secret, so whoever chooses them gets \[1/d\], \[α/d\] and the like, takes them
/// out again unseen, and can forge proofs although this secret was forgotten.
pub fn contribute(
    key: Zkey,
    to: &Path,
    name: &str,
    entropy: &[u8],
    rng: &mut (impl RngCore + CryptoRng),
    progress: &dyn Fn(&str),
) -> Result<[u8; 64], ContributeError> {
    advance(key, to, name, None, || SnarkRng::from_entropy(rng, entropy), progress)
}

/// Ends the ceremony of `key` with a public value that nobody could foresee, and writes the result to
/// `to`. Whoever does the same gets the same bytes.
pub fn beacon(
    key: Zkey,
    to: &Path,
    name: &str,
    beacon: &Beacon,
    progress: &dyn Fn(&str),
) -> Result<[u8; 64], ContributeError> {
    let Beacon { iterations_exponent, value } = beacon;
    if value.is_empty() || value.len() > BEACON_MAX {
        return Err(ContributeError::BeaconLength(value.len()));
    }
    if !BEACON_EXPONENTS.contains(iterations_exponent) {
        return Err(ContributeError::BeaconExponent(*iterations_exponent));
    }
    let draw = || {
        progress("hashing the beacon");
        SnarkRng::from_beacon(value, *iterations_exponent)
    };
    advance(key, to, name, Some(beacon), draw, progress)
}

fn advance(
    mut zkey: Zkey,
    to: &Path,
    name: &str,
    beacon: Option<&Beacon>,
    draw: impl FnOnce() -> SnarkRng,
    progress: &dyn Fn(&str),
) -> Result<[u8; 64], ContributeError> {
    if name.encode_utf16().count() > NAME_MAX {
        return Err(ContributeError::Name);
    }
    if zkey.contributions.iter().any(|contribution| contribution.beacon.is_some()) {
        return Err(ContributeError::Ended);
    }
    let mut rng = draw();
    progress("multiplying");
    let contribution = apply(&mut zkey, name, beacon, &mut rng);
    let hash = contribution_hash(&contribution);
    zkey.contributions.push(contribution);
    progress("writing the key");
    zkey.save(to)?;
    Ok(hash)
}

/// Puts a secret that `rng` gives into the key; the contribution is not appended yet.
fn apply(zkey: &mut Zkey, name: &str, beacon: Option<&Beacon>, rng: &mut SnarkRng) -> Contribution {
    let secret = Zeroizing::new(rng.fr());
    let inverse = Zeroizing::new(secret.inverse().unwrap_or(Fr::ZERO));
    assert!(*inverse != Fr::ZERO, "probability 2^-254");
    let mut chain = Chain::new(&zkey.circuit_hash);
    zkey.contributions.iter().for_each(|contribution| chain.push(contribution));
    let g1_s = rng.g1();
    let g1_sx = (g1_s * *secret).into_affine();
    let transcript = chain.transcript(&g1_s, &g1_sx);
    zkey.delta1 = (zkey.delta1 * *secret).into_affine();
    zkey.delta2 = (zkey.delta2 * *secret).into_affine();
    multiply(&mut zkey.c, &inverse);
    multiply(&mut zkey.h, &inverse);
    Contribution {
        delta_after: zkey.delta1,
        g1_s,
        g1_sx,
        g2_spx: (hash_to_g2(&transcript) * *secret).into_affine(),
        transcript,
        name: name.to_owned(),
        beacon: beacon.cloned(),
    }
}

fn multiply(points: &mut [G1Affine], scalar: &Fr) {
    points.par_chunks_mut(CHUNK).for_each(|points| {
        // In projective form arkworks splits the scalar by the endomorphism.
        let products: Vec<_> = points.iter().map(|p| G1Projective::from(*p) * scalar).collect();
        points.copy_from_slice(&G1Projective::normalize_batch(&products));
    });
}
