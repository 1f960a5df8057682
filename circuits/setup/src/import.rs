//! From a finished ceremony to the three files that Kerros runs on.
//!
//! Both phases have one τ, which also serves the commitment. The same ceremony gives the same bytes.

use crate::error::FormatError;
use crate::initial::coefficients;
use crate::ptau::{Ptau, Series};
use crate::zkey::Zkey;
use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, FftField, Field};
use ark_groth16::{ProvingKey, VerifyingKey};
use ark_poly::EvaluationDomain;
use kerros_circuits::groth16::Compiled;
use kerros_circuits::setup::{
    SetupError, SetupFiles, check_ledger_sizes, write_keys, write_reference_string,
};
use kerros_protocol::commitment::{SrsHeader, evaluation_domain};
use kerros_protocol::verification_key::VerificationKey;
use rayon::prelude::*;
use std::fs;
use std::io;
use std::path::Path;
use thiserror::Error;

/// Why a ceremony was not imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// Phase 1's bytes are wrong.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The files could not be written, or ledgers of these sizes do not serve the circuit.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The key is not one of this circuit.
    #[error("the key is of another circuit: {what} differs")]
    OtherCircuit {
        /// What differs.
        what: &'static str,
    },
    /// The key is not of this phase 1.
    #[error("the key is of another phase 1: {what} differs")]
    OtherPhase1 {
        /// What differs.
        what: &'static str,
    },
    /// γ is not 1, δ is γ or not the same in both groups.
    #[error("{what}")]
    Unsound {
        /// What is wrong.
        what: &'static str,
    },
    /// Phase 1 has too few powers for the ledger.
    #[error("a ledger of 2^{k_max} needs powers of tau up to 2^{need}, the file has 2^{have}")]
    TooSmall {
        /// Exponent of the greatest ledger.
        k_max: u8,
        /// Least power.
        need: u8,
        /// Power of the file.
        have: u8,
    },
}

/// What is imported.
pub struct Ceremony<'a> {
    /// The circuit.
    pub circuit: &'a Compiled,
    /// Phase 1.
    pub phase1: &'a Ptau,
    /// The key after the last step of phase 2.
    pub key: &'a Zkey,
    /// Whether all of this was verified: phase 1 by [`Ptau::verify`], the key against it and the circuit by the
    /// ceremony's verification.
    pub verified: bool,
}

impl Ceremony<'_> {
    /// Whether production must refuse the files: not verified, nobody contributed, or no beacon at the end.
    pub fn is_development(&self) -> bool {
        let steps = &self.key.contributions;
        let somebody = steps.iter().any(|step| step.beacon.is_none());
        let beacon_last = steps.last().is_some_and(|step| step.beacon.is_some());
        !(self.verified && somebody && beacon_last)
    }

    /// The key is of this circuit and this phase 1, as far as can be told without making it again.
    fn check(&self) -> Result<(), ImportError> {
        let Self { circuit, phase1, key, .. } = self;
        let sizes = [
            ("the number of public inputs", key.ic.len(), kerros_circuits::builder::INPUT_COUNT),
            ("the number of variables", key.variables(), circuit.variables),
            ("the domain", key.domain_size(), circuit.domain_size()),
        ];
        if let Some((what, ..)) = sizes.iter().find(|(_, have, need)| have != need) {
            return Err(ImportError::OtherCircuit { what });
        }
        if key.coefficients != coefficients(&circuit.constraints) {
            return Err(ImportError::OtherCircuit { what: "a coefficient" });
        }
        for (what, same) in [
            ("alpha", key.alpha1 == phase1.single::<G1Affine>(Series::AlphaTau, 0)?),
            ("beta in G1", key.beta1 == phase1.single::<G1Affine>(Series::BetaTau, 0)?),
            ("beta in G2", key.beta2 == phase1.beta_g2()?),
        ] {
            if !same {
                return Err(ImportError::OtherPhase1 { what });
            }
        }
        let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
        for (what, wrong) in [
            ("gamma is not 1", key.gamma2 != g2),
            ("delta is gamma: nobody contributed", key.delta2 == g2),
            ("delta is minus gamma", key.delta2 == -g2),
            (
                "delta is not the same in both groups",
                Bn254::pairing(key.delta1, g2) != Bn254::pairing(g1, key.delta2),
            ),
        ] {
            if wrong {
                return Err(ImportError::Unsound { what });
            }
        }
        Ok(())
    }

    /// Writes `srs.bin`, `verification.key` and `proving.key` into `dir`, for ledgers of `2^k_genesis` to
    /// `2^k_max` accounts. `progress` is told each stage.
    pub fn import(
        &self,
        dir: &Path,
        k_genesis: u8,
        k_max: u8,
        progress: &dyn Fn(&str),
    ) -> Result<SetupFiles, ImportError> {
        check_ledger_sizes(&self.circuit.shape, k_genesis, k_max)?;
        let have = self.phase1.power();
        if k_max >= have {
            return Err(ImportError::TooSmall { k_max, need: k_max + 1, have });
        }
        self.check()?;
        fs::create_dir_all(dir)
            .map_err(|source| SetupError::Io { path: dir.to_owned(), source })?;
        let files = SetupFiles::in_dir(dir);
        progress("reference string");
        let tau_powers = (0..=k_max)
            .map(|k| self.phase1.single::<G2Affine>(Series::TauG2, 1 << k))
            .collect::<Result<Vec<_>, _>>()?;
        let development = self.is_development();
        let header = SrsHeader { development, k_genesis, k_max, tau_powers };
        write_reference_string(&files.srs, &header, |k| {
            self.phase1.lagrange(Series::TauG1, k).map_err(io::Error::other)
        })?;
        let key = self.verification_key(header)?;
        progress("proving key");
        let proving = self.proving_key(&key);
        progress("writing keys");
        write_keys(&files, &proving, self.circuit, &key)?;
        Ok(files)
    }

    fn verification_key(&self, header: SrsHeader) -> Result<VerificationKey, ImportError> {
        let ic = self.key.ic.as_slice().try_into();
        let SrsHeader { development, k_genesis, tau_powers, .. } = header;
        Ok(VerificationKey {
            development,
            shape: self.circuit.shape,
            alpha1: self.key.alpha1,
            beta2: self.key.beta2,
            delta2: self.key.delta2,
            ic: ic
                .map_err(|_| ImportError::OtherCircuit { what: "the number of public inputs" })?,
            k_genesis,
            tau_powers,
        })
    }

    fn proving_key(&self, key: &VerificationKey) -> ProvingKey<Bn254> {
        ProvingKey {
            vk: VerifyingKey {
                alpha_g1: key.alpha1,
                beta_g2: key.beta2,
                gamma_g2: key.gamma2(),
                delta_g2: key.delta2,
                gamma_abc_g1: key.ic.to_vec(),
            },
            beta_g1: self.key.beta1,
            delta_g1: self.key.delta1,
            a_query: self.key.a.clone(),
            b_g1_query: self.key.b1.clone(),
            b_g2_query: self.key.b2.clone(),
            h_query: monomial_h(&self.key.h),
            l_query: self.key.c.clone(),
        }
    }
}

/// `[τ^i·t(τ)/δ]_1` for i ≤ n − 2 from `H_j = [L_{2j+1}(τ)/δ]_1`, L the Lagrange polynomials of the domain of 2n.
///
/// `X^i·(X^n − 1)` is 0 at the even powers of ω_{2n} and `−2·ω_{2n}^{i(2j+1)}` at the odd ones, and of a degree below
/// 2n, so it is `−2·ω_{2n}^i·Σ_j ω_n^{ij}·L_{2j+1}`.
fn monomial_h(h: &[G1Affine]) -> Vec<G1Affine> {
    let domain = evaluation_domain(h.len().trailing_zeros() as u8);
    let lines: Vec<G1Projective> = h.iter().map(|point| point.into_group()).collect();
    let mut sums = domain.fft(&lines);
    sums.pop();
    let root = Fr::get_root_of_unity(2 * h.len() as u64).unwrap_or_default();
    sums.par_iter_mut().enumerate().for_each(|(i, sum)| {
        *sum *= -root.pow([i as u64]).double();
    });
    G1Projective::normalize_batch(&sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::PrimeGroup;

    #[test]
    fn h_of_odd_lagrange_points_is_powers_times_the_vanishing_polynomial() {
        let tau = Fr::from(1_234_567_891u64);
        for level in [1u8, 2, 5] {
            let n = 1u64 << level;
            let lagrange = evaluation_domain(level + 1).evaluate_all_lagrange_coefficients(tau);
            let odd: Vec<G1Affine> = lagrange
                .iter()
                .skip(1)
                .step_by(2)
                .map(|value| (G1Projective::generator() * value).into_affine())
                .collect();
            let vanishing = tau.pow([n]) - Fr::ONE;
            let expected: Vec<G1Affine> = (0..n - 1)
                .map(|i| (G1Projective::generator() * (tau.pow([i]) * vanishing)).into_affine())
                .collect();
            assert_eq!(monomial_h(&odd), expected);
        }
    }
}
