//! The Groth16 proof of an assignment, on the kernels.
//!
//! The same proof as arkworks' for the same key and randomness (Groth, EUROCRYPT 2016, with libsnark's
//! reduction to a quadratic arithmetic program): a test compares them bit by bit.

use crate::phases::{Groth16Phases, Watch};
use ark_bn254::{Fr, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInt, PrimeField};
use kerros_circuits::builder::INPUT_COUNT;
use kerros_circuits::matrix::SparseMatrix;
use kerros_circuits::proving_key::ProvingKey;
use kerros_kernels::{Domain, Path, msm_g1, msm_g2};
use kerros_protocol::transcript::Groth16Proof;
use rayon::prelude::*;

/// What the proofs of one circuit share.
pub struct Groth16 {
    /// The code that computes.
    pub path: Path,
    /// The mapped key.
    pub key: ProvingKey,
    /// A, B and C.
    pub matrices: [SparseMatrix; 3],
    domain: Domain,
}

impl Groth16 {
    /// Of a key and its circuit's matrices.
    pub fn new(path: Path, key: ProvingKey, matrices: [SparseMatrix; 3]) -> Self {
        let domain = Domain::new(path, key.domain_size().trailing_zeros());
        let domain = domain.expect("a key's domain is one of the field");
        Self { path, key, matrices, domain }
    }
    /// A proof of a full assignment that the randomness `r` and `s`, if it is uniform and secret, makes
    /// zero-knowledge. That the assignment satisfies the constraints is not checked here: the caller
    /// verifies the proof.
    pub fn prove(&self, assignment: &[Fr], [r, s]: [Fr; 2]) -> (Groth16Proof, Groth16Phases) {
        let (path, key) = (self.path, &self.key);
        assert_eq!(assignment.len(), key.variables(), "an assignment of this circuit");
        let (h, fft) = Watch::of(|| integers(&self.quotient(assignment)));
        let watch = Watch::start();
        let assignment = integers(assignment);
        let wires = &assignment[INPUT_COUNT..];
        let (a, msm_a) = Watch::of(|| msm_g1(path, key.a(), &assignment));
        let (b_g1, msm_b_g1) = Watch::of(|| msm_g1(path, key.b_g1(), &assignment));
        let (b_g2, msm_b_g2) = Watch::of(|| msm_g2(path, key.b_g2(), &assignment));
        let (l, msm_l) = Watch::of(|| msm_g1(path, key.l(), wires));
        let (h, msm_h) = Watch::of(|| msm_g1(path, key.h(), &h));
        let ([alpha1, beta1, delta1], [beta2, delta2]) = (key.singles_g1(), key.singles_g2());
        let a: G1Projective = a + alpha1 + delta1 * r;
        let b_g1: G1Projective = b_g1 + beta1 + delta1 * s;
        let b_g2 = b_g2 + beta2 + delta2.into_group() * s;
        let c: G1Projective = l + h + a * s + b_g1 * r - delta1 * (r * s);
        let proof = Groth16Proof { a: a.into_affine(), b: b_g2.into_affine(), c: c.into_affine() };
        let each = Some([msm_a, msm_b_g1, msm_b_g2, msm_l, msm_h]);
        (proof, Groth16Phases { fft, msm: watch.spent(), each })
    }
    /// Coefficients of `(A·B − C)/t`.
    fn quotient(&self, assignment: &[Fr]) -> Vec<Fr> {
        let len = self.key.domain_size();
        let [mut a, b, c] = [0, 1, 2].map(|i| self.matrices[i].product(assignment, len));
        // Rows behind the constraints make the inputs' polynomials independent.
        let rows = self.matrices[0].rows();
        a[rows..rows + INPUT_COUNT].copy_from_slice(&assignment[..INPUT_COUNT]);
        self.domain.quotient(a, b, c)
    }
}

/// The integers below r that the elements stand for.
pub(crate) fn integers(elements: &[Fr]) -> Vec<BigInt<4>> {
    elements.par_iter().map(|element| element.into_bigint()).collect()
}
