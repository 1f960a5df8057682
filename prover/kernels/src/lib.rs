//! Multi-scalar multiplication in BN254's G1 and G2, and FFTs over its scalar field: most of the cost
//! of a proof.
//!
//! One Pippenger (`pippenger`) runs on one of two kernels, each for either group: vectors on a
//! processor with AVX-512 IFMA (`addition` on `quadratic` on `field`), words elsewhere
//! (`portable` on `words`). FFTs run on vectors (`passes` on `butterflies` on `field`) or are
//! arkworks'. All give the same points and elements as arkworks. Nothing here runs in constant time.

#[cfg(target_arch = "x86_64")]
mod addition;
mod blocks;
#[cfg(target_arch = "x86_64")]
mod butterflies;
mod digits;
mod domain;
#[cfg(target_arch = "x86_64")]
mod eights;
mod elementwise;
#[cfg(target_arch = "x86_64")]
mod field;
mod halving;
mod kernel;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod modulus;
#[cfg(target_arch = "x86_64")]
mod passes;
mod pippenger;
mod point;
mod portable;
#[cfg(target_arch = "x86_64")]
mod quadratic;
mod words;

pub use domain::Domain;
pub use elementwise::{batch_inverse, multiply};
pub use point::{PreparedG1, PreparedG2};

use ark_bn254::{G1Projective, G2Projective};
use ark_ff::BigInt;
use std::fmt;
use std::str::FromStr;

/// The code that computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Plain words.
    Portable,
    /// Eight lanes of AVX-512 IFMA.
    Ifma,
}

impl Path {
    /// The fastest that this processor can take.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if lanes::Lanes::detect().is_some() {
            return Self::Ifma;
        }
        Self::Portable
    }

    /// All that this processor can take.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Portable, Self::Ifma]
            .into_iter()
            .filter(|path| *path == Self::Portable || *path == Self::detect())
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

/// A path's name that is none.
#[derive(Debug, thiserror::Error)]
#[error("no path has the name {name:?}: there are portable and ifma")]
pub struct UnknownPath {
    /// As it was given.
    pub name: String,
}

impl FromStr for Path {
    type Err = UnknownPath;

    fn from_str(name: &str) -> Result<Self, UnknownPath> {
        [Self::Portable, Self::Ifma]
            .into_iter()
            .find(|path| path.to_string() == name)
            .ok_or_else(|| UnknownPath { name: name.to_owned() })
    }
}

/// `Σ scalars[i] · bases[i]`, over the shorter of both. Scalars must be below the group's order.
/// A path that the processor cannot take is replaced by the portable one.
pub fn msm_g1(path: Path, bases: &[PreparedG1], scalars: &[BigInt<4>]) -> G1Projective {
    #[cfg(target_arch = "x86_64")]
    if path == Path::Ifma
        && let Some(lanes) = lanes::Lanes::detect()
    {
        return pippenger::msm(lanes, bases, scalars);
    }
    pippenger::msm(portable::Portable, bases, scalars)
}

/// `Σ scalars[i] · bases[i]`, over the shorter of both. Scalars must be below the group's order.
/// A path that the processor cannot take is replaced by the portable one.
pub fn msm_g2(path: Path, bases: &[PreparedG2], scalars: &[BigInt<4>]) -> G2Projective {
    #[cfg(target_arch = "x86_64")]
    if path == Path::Ifma
        && let Some(lanes) = lanes::Lanes::detect()
    {
        return pippenger::msm(lanes, bases, scalars);
    }
    pippenger::msm(portable::Portable, bases, scalars)
}
