//! Arithmetic on the domain of a ledger, and commitments to values on it.

use crate::groth16::integers;
use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;
use kerros_kernels::{Domain, Path, PreparedG1, batch_inverse, msm_g1};

/// What the openings compute with. Values are in the order of the powers of ω; the coset is the domain
/// times the field's generator.
pub trait Basis {
    /// Values on the domain of a polynomial given by at most n coefficients.
    fn fft(&self, values: &mut Vec<Fr>);
    /// Coefficients of a polynomial given by its values on the domain.
    fn ifft(&self, values: &mut Vec<Fr>);
    /// Values on the coset of a polynomial given by at most n coefficients.
    fn coset_fft(&self, values: &mut Vec<Fr>);
    /// Coefficients of a polynomial given by its values on the coset.
    fn coset_ifft(&self, values: &mut Vec<Fr>);
    /// The inverse of every value but 0.
    fn invert(&self, values: &mut [Fr]);
    /// `[F(τ)]_1` of the polynomial with these values, by account index.
    fn commit(&self, values: &[Fr]) -> G1Affine;
}

/// On the kernels.
pub struct Kernels {
    path: Path,
    domain: Domain,
    lagrange: Vec<PreparedG1>,
}

impl Kernels {
    /// For a ledger of `2^k`, with `[L_i(τ)]_1` by index.
    pub fn new(path: Path, k: u8, lagrange: &[G1Affine]) -> Self {
        let lagrange = lagrange.iter().map(|point| PreparedG1::from(*point)).collect();
        let domain =
            Domain::new(path, u32::from(k)).expect("a ledger's domain is one of the field");
        Self { path, domain, lagrange }
    }
}

impl Basis for Kernels {
    fn fft(&self, values: &mut Vec<Fr>) {
        self.domain.fft(values);
    }
    fn ifft(&self, values: &mut Vec<Fr>) {
        self.domain.ifft(values);
    }
    fn coset_fft(&self, values: &mut Vec<Fr>) {
        self.domain.coset_fft(values);
    }
    fn coset_ifft(&self, values: &mut Vec<Fr>) {
        self.domain.coset_ifft(values);
    }
    fn invert(&self, values: &mut [Fr]) {
        batch_inverse(self.path, values);
    }
    fn commit(&self, values: &[Fr]) -> G1Affine {
        msm_g1(self.path, &self.lagrange, &integers(values)).into_affine()
    }
}
