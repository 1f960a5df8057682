//! Multi-scalar multiplication in BN254's G1 and FFTs over its scalar field: most of the cost of a
//! proof.
//!
//! On a processor with AVX-512 IFMA they run on vectors (`pippenger` on `addition` on `field`;
//! `passes` on `butterflies` on `field`); elsewhere arkworks does them. Both give the same points
//! and elements. Nothing here runs in constant time.

#[cfg(target_arch = "x86_64")]
mod addition;
#[cfg(target_arch = "x86_64")]
mod butterflies;
#[cfg(target_arch = "x86_64")]
mod digits;
mod domain;
#[cfg(target_arch = "x86_64")]
mod eights;
mod elementwise;
#[cfg(target_arch = "x86_64")]
mod field;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod modulus;
#[cfg(target_arch = "x86_64")]
mod passes;
#[cfg(target_arch = "x86_64")]
mod pippenger;
#[cfg(target_arch = "x86_64")]
mod point;

pub use domain::Domain;
pub use elementwise::{batch_inverse, multiply};

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::VariableBaseMSM;
use ark_ff::{BigInt, PrimeField};
use rayon::prelude::*;
use std::fmt;

/// The code that computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// arkworks.
    Portable,
    /// Eight lanes of AVX-512 IFMA.
    Ifma,
}

impl Path {
    /// The one that this processor takes.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if lanes::Lanes::detect().is_some() {
            return Self::Ifma;
        }
        Self::Portable
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Ifma => "ifma",
        })
    }
}

/// With fewer points the vectors gain nothing.
#[cfg(target_arch = "x86_64")]
const POINTS_MIN: usize = 512;

/// `Σ scalars[i] · bases[i]`, over the shorter of both.
pub fn msm_g1(path: Path, bases: &[G1Affine], scalars: &[Fr]) -> G1Projective {
    let scalars: Vec<_> = scalars.par_iter().map(|scalar| scalar.into_bigint()).collect();
    msm_g1_bigint(path, bases, &scalars)
}

/// `Σ scalars[i] · bases[i]`, over the shorter of both. Scalars must be below the group's order.
pub fn msm_g1_bigint(path: Path, bases: &[G1Affine], scalars: &[BigInt<4>]) -> G1Projective {
    let len = bases.len().min(scalars.len());
    let (bases, scalars) = (&bases[..len], &scalars[..len]);
    #[cfg(target_arch = "x86_64")]
    if path == Path::Ifma
        && len >= POINTS_MIN
        && let Some(lanes) = lanes::Lanes::detect()
    {
        return bases
            .chunks(pippenger::POINTS_MAX)
            .zip(scalars.chunks(pippenger::POINTS_MAX))
            .map(|(bases, scalars)| pippenger::msm(lanes, bases, scalars))
            .sum();
    }
    G1Projective::msm_bigint(bases, scalars)
}
