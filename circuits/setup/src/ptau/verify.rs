//! Whether a phase 1 is what it says: powers of one τ, and of them the Lagrange forms.
//!
//! Lists are compared by random linear combinations with coefficients of 128 bits, drawn after the file was
//! fixed: a list that differs anywhere passes with probability 2^-128.

use super::{Ptau, Series};
use crate::error::FormatError;
use crate::point::Point;
use ark_bn254::{Bn254, Fr, G1Affine, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, UniformRand};
use ark_poly::EvaluationDomain;
use kerros_protocol::commitment::evaluation_domain;
use rand::{CryptoRng, RngCore};
use thiserror::Error;

/// Points that are decoded at once.
const CHUNK: u64 = 1 << 20;

/// Why a phase 1 is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PtauError {
    /// The bytes are not those of a phase 1.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A list does not begin with the generator.
    #[error("{series}: the first point is not the generator")]
    NotTheGenerator {
        /// Which list.
        series: &'static str,
    },
    /// A secret that everybody knows.
    #[error("{what} is 1: nobody contributed")]
    Trivial {
        /// "tau", "alpha" or "beta".
        what: &'static str,
    },
    /// τ lies in a domain that keys use.
    #[error("tau is a root of unity of order 2^{order} at most")]
    RootOfUnity {
        /// Exponent of the order.
        order: u8,
    },
    /// A list is not one of powers of τ, times its factor.
    #[error("{series}: a point is not tau times the one before it")]
    NotPowers {
        /// Which list.
        series: &'static str,
    },
    /// β in G2 is not the one in G1.
    #[error("beta in G2 is not beta in G1")]
    BetaDiffers,
    /// A Lagrange form is not that of the powers.
    #[error("{series}: the Lagrange form of size 2^{level} is not that of the powers")]
    NotLagrange {
        /// Which list.
        series: &'static str,
        /// Exponent of the size.
        level: u8,
    },
}

/// `Σ scalars[i]·bases[i]`.
fn sum<P: Point<ScalarField = Fr, Group: VariableBaseMSM<MulBase = P>>>(
    bases: &[P],
    scalars: &[Fr],
) -> P::Group {
    P::Group::msm_unchecked(bases, scalars)
}

fn coefficients(count: u64, rng: &mut (impl RngCore + CryptoRng)) -> Vec<Fr> {
    (0..count).map(|_| Fr::from(u128::rand(rng))).collect()
}

/// `e(a1, b2) = e(b1, a2)`: what leads from a to b is the same in both groups.
fn same_ratio(a1: G1Affine, b1: G1Affine, a2: G2Affine, b2: G2Affine) -> bool {
    Bn254::multi_pairing([a1, -b1], [b2, a2]).0 == <Bn254 as Pairing>::TargetField::ONE
}

impl Ptau {
    /// Checks all that is used of a phase 1. `progress` is told each stage.
    pub fn verify(
        &self,
        rng: &mut (impl RngCore + CryptoRng),
        progress: &dyn Fn(&str),
    ) -> Result<(), PtauError> {
        let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
        for (series, first) in [
            (Series::TauG1, self.single::<G1Affine>(Series::TauG1, 0)? == g1),
            (Series::TauG2, self.single::<G2Affine>(Series::TauG2, 0)? == g2),
        ] {
            if !first {
                return Err(PtauError::NotTheGenerator { series: series.name() });
            }
        }
        let tau1 = self.single::<G1Affine>(Series::TauG1, 1)?;
        let tau2 = self.single::<G2Affine>(Series::TauG2, 1)?;
        let alpha1 = self.single::<G1Affine>(Series::AlphaTau, 0)?;
        let beta1 = self.single::<G1Affine>(Series::BetaTau, 0)?;
        for (what, point) in [("tau", tau1), ("alpha", alpha1), ("beta", beta1)] {
            if point == g1 {
                return Err(PtauError::Trivial { what });
            }
        }
        if !same_ratio(g1, tau1, g2, tau2) {
            return Err(PtauError::NotPowers { series: Series::TauG2.name() });
        }
        if !same_ratio(g1, beta1, g2, self.beta_g2()?) {
            return Err(PtauError::BetaDiffers);
        }
        for order in 0..=self.power {
            if self.single::<G1Affine>(Series::TauG1, 1 << order)? == g1 {
                return Err(PtauError::RootOfUnity { order });
            }
        }
        for series in Series::ALL {
            progress(&format!("powers of {}", series.name()));
            let follows = if series == Series::TauG2 {
                let [head, tail] = self.ends::<G2Affine>(series, rng)?;
                same_ratio(g1, tau1, head, tail)
            } else {
                let [head, tail] = self.ends::<G1Affine>(series, rng)?;
                same_ratio(head, tail, g2, tau2)
            };
            if !follows {
                return Err(PtauError::NotPowers { series: series.name() });
            }
        }
        for series in Series::ALL {
            progress(&format!("Lagrange forms of {}", series.name()));
            for level in 0..=series.top_level(self.power) {
                let same = if series == Series::TauG2 {
                    self.is_lagrange::<G2Affine>(series, level, rng)?
                } else {
                    self.is_lagrange::<G1Affine>(series, level, rng)?
                };
                if !same {
                    return Err(PtauError::NotLagrange { series: series.name(), level });
                }
            }
        }
        Ok(())
    }

    /// `Σ ρ_i·P_i` over all powers but the last, and the same with `P_{i+1}`.
    fn ends<P: Point<ScalarField = Fr, Group: VariableBaseMSM<MulBase = P>>>(
        &self,
        series: Series,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<[P; 2], FormatError> {
        let pairs = series.powers(self.power) - 1;
        let mut sums = [P::Group::ZERO; 2];
        for start in (0..pairs).step_by(CHUNK as usize) {
            let count = CHUNK.min(pairs - start);
            let points = self.powers::<P>(series, start, count + 1)?;
            let scalars = coefficients(count, rng);
            sums[0] += sum(&points[..points.len() - 1], &scalars);
            sums[1] += sum(&points[1..], &scalars);
        }
        Ok(sums.map(|sum| sum.into_affine()))
    }

    /// `Σ ρ_i·τ^i = Σ ρ(ω^j)·L_j(τ)`. In the level above the file's power the last coefficient is 0: there is
    /// no such power.
    fn is_lagrange<P: Point<ScalarField = Fr, Group: VariableBaseMSM<MulBase = P>>>(
        &self,
        series: Series,
        level: u8,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<bool, FormatError> {
        let size = 1u64 << level;
        let known = size.min(series.powers(self.power));
        let mut scalars = coefficients(known, rng);
        let mut by_powers = P::Group::ZERO;
        for start in (0..known).step_by(CHUNK as usize) {
            let points = self.powers::<P>(series, start, CHUNK.min(known - start))?;
            by_powers += sum(&points, &scalars[start as usize..]);
        }
        scalars.resize(size as usize, Fr::ZERO);
        let values = evaluation_domain(level).fft(&scalars);
        Ok(sum(&self.lagrange::<P>(series, level)?, &values) == by_powers)
    }
}
