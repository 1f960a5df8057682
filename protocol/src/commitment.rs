//! The ledger's commitment: domain points, the structured reference string, and the three KZG
//! commitments with their root (SPEC.md section 3).

mod domain;
mod opening;
mod srs;
mod update;
pub(crate) mod whole;

pub use domain::{bit_reverse, evaluation_domain, point, roots};
pub use opening::{Opening, open};
pub use srs::{Srs, SrsError, SrsHeader, SrsWriter};

use crate::encoding::{DecodeError, Reader, g1_to_be, keccak256};
use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;

/// The three commitments `C_j = [f_j(τ)]_1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitments(pub [G1Affine; 3]);

impl Commitments {
    /// Of the ledger in which no account exists.
    pub const LEN: usize = 3 * 64;

    /// Commitments of the empty ledger: three points at infinity.
    pub fn empty() -> Self {
        Self([G1Affine::identity(); 3])
    }
    /// `C_0.x‖C_0.y‖C_1.x‖C_1.y‖C_2.x‖C_2.y`.
    pub fn to_be(&self) -> [u8; Self::LEN] {
        let mut out = [0u8; Self::LEN];
        for (slot, point) in out.chunks_exact_mut(64).zip(&self.0) {
            slot.copy_from_slice(&g1_to_be(point));
        }
        out
    }
    /// Takes [`Commitments::to_be`], strictly.
    pub fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut next = || reader.take_g1("commitment");
        Ok(Self([next()?, next()?, next()?]))
    }
    /// `keccak(C_0.x‖…‖C_2.y‖uint8(k))`.
    pub fn root(&self, k: u8) -> Root {
        Root(keccak256(&[&self.to_be(), &[k]]))
    }
    /// Adds `Σ_i δ_ij·[L_i(τ)]_1` to each `C_j`; `changes` holds (account position, word deltas).
    pub fn updated(&self, lagrange: &[G1Affine], changes: &[(usize, [Fr; 3])]) -> Self {
        Self([0, 1, 2].map(|j| {
            let deltas = changes.iter().map(|(position, words)| (*position, words[j]));
            (update::sum(lagrange, deltas) + self.0[j]).into_affine()
        }))
    }
}

/// The state root as the main chain stores it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root(pub [u8; 32]);

impl std::fmt::Display for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
