//! A phase 1 whose secrets are known, made in seconds where snarkjs takes minutes.

use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::scalar_mul::{BatchMulPreprocessing, ScalarMul};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{BigInteger, PrimeField};
use ark_poly::EvaluationDomain;
use kerros_protocol::commitment::evaluation_domain;
use kerros_setup::binfile::{put_head, put_section};
use kerros_setup::point::{self, Point};

fn powers(tau: Fr, count: usize) -> Vec<Fr> {
    std::iter::successors(Some(Fr::from(1u64)), |last| Some(*last * tau)).take(count).collect()
}

/// Lagrange forms of all levels up to `top`, one after the other.
fn lagrange(tau: Fr, top: u8) -> Vec<Fr> {
    let level = |level| evaluation_domain(level).evaluate_all_lagrange_coefficients(tau);
    (0..=top).flat_map(level).collect()
}

fn put<G: CurveGroup<Affine: Point> + ScalarMul<MulBase = G::Affine>>(
    out: &mut Vec<u8>,
    section: u32,
    table: &BatchMulPreprocessing<G>,
    scalars: &[G::ScalarField],
) {
    let points = table.batch_mul(scalars);
    put_section(out, section, (points.len() * <G::Affine as Point>::LEN) as u64).expect("memory");
    points.iter().for_each(|point| point::put(out, point).expect("memory"));
}

/// The bytes of a `.ptau`, prepared for phase 2.
pub fn phase1(power: u8, [tau, alpha, beta]: [Fr; 3]) -> Vec<u8> {
    let g1 = BatchMulPreprocessing::new(G1Projective::generator(), 8 << power);
    let g2 = BatchMulPreprocessing::new(G2Projective::generator(), 4 << power);
    let times = |factor: Fr, scalars: &[Fr]| -> Vec<Fr> {
        scalars.iter().map(|scalar| *scalar * factor).collect()
    };
    let mut out = Vec::new();
    put_head(&mut out, "ptau", 11).expect("memory");
    put_section(&mut out, 1, 44).expect("memory");
    out.extend_from_slice(&32u32.to_le_bytes());
    out.extend_from_slice(&ark_bn254::Fq::MODULUS.to_bytes_le());
    out.extend_from_slice(&[power, 0, 0, 0, power, 0, 0, 0]);
    let low = powers(tau, 1 << power);
    put::<G1Projective>(&mut out, 2, &g1, &powers(tau, (2 << power) - 1));
    put::<G2Projective>(&mut out, 3, &g2, &low);
    put::<G1Projective>(&mut out, 4, &g1, &times(alpha, &low));
    put::<G1Projective>(&mut out, 5, &g1, &times(beta, &low));
    put::<G2Projective>(&mut out, 6, &g2, &[beta]);
    put_section(&mut out, 7, 4).expect("memory");
    out.extend_from_slice(&0u32.to_le_bytes());
    let forms = lagrange(tau, power);
    put::<G1Projective>(&mut out, 12, &g1, &lagrange(tau, power + 1));
    put::<G2Projective>(&mut out, 13, &g2, &forms);
    put::<G1Projective>(&mut out, 14, &g1, &times(alpha, &forms));
    put::<G1Projective>(&mut out, 15, &g1, &times(beta, &forms));
    out
}
