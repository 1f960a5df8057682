//! A setup whose secrets the tests know, so that they can make proofs that verify without a circuit:
//! the chain, the verifier and everything between them are real.

use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::batch::{SealedBatch, Shape, evaluate};
use kerros_protocol::commitment::{Srs, SrsHeader, SrsWriter, point};
use kerros_protocol::transcript::{BatchProof, Challenges, Groth16Proof, public_inputs, statement};
use kerros_protocol::verification_key::{IC_LEN, VerificationKey};
use std::path::Path;

const TAU: u64 = 0x5eed_0001;
const ALPHA: u64 = 0x5eed_0002;
const BETA: u64 = 0x5eed_0003;
const DELTA: u64 = 0x5eed_0004;
const IC: u64 = 0x5eed_0100;

fn g1(scalar: Fr) -> G1Affine {
    (G1Affine::generator() * scalar).into_affine()
}
fn g2(scalar: Fr) -> G2Affine {
    (G2Affine::generator() * scalar).into_affine()
}

/// The key of the known secrets.
pub fn key(shape: Shape, k_genesis: u8, k_max: u8) -> VerificationKey {
    let tau_powers = (0..=k_max).map(|k| g2(Fr::from(TAU).pow([1u64 << k]))).collect();
    VerificationKey {
        development: true,
        shape,
        alpha1: g1(Fr::from(ALPHA)),
        beta2: g2(Fr::from(BETA)),
        delta2: g2(Fr::from(DELTA)),
        ic: std::array::from_fn::<_, IC_LEN, _>(|i| g1(Fr::from(IC + i as u64))),
        k_genesis,
        tau_powers,
    }
}

/// The reference string of the known secret, written to `path`.
pub fn srs(key: &VerificationKey, path: &Path) -> Srs {
    let (k_genesis, k_max) = (key.k_genesis, key.k_max());
    let tau_powers = key.tau_powers.clone();
    let header = SrsHeader { development: true, k_genesis, k_max, tau_powers };
    let file = std::fs::File::create(path).expect("a temporary file");
    let mut writer = SrsWriter::new(file, &header).expect("header");
    let tau = Fr::from(TAU);
    for k in k_genesis..=k_max {
        let n = 1u32 << k;
        let zero = tau.pow([u64::from(n)]) - Fr::ONE;
        let points: Vec<G1Affine> = (0..n)
            .map(|i| {
                let x = point(i);
                let below = Fr::from(n) * (tau - x);
                g1(x * zero * below.inverse().expect("tau is no domain point"))
            })
            .collect();
        writer.lagrange(&points).expect("points");
    }
    writer.finish().sync_all().expect("written");
    Srs::open(path).expect("own file")
}

/// A proof that verifies, made from the secrets.
pub fn prove(key: &VerificationKey, domain: Fr, batch: &SealedBatch) -> BatchProof {
    let statement = statement(key, domain, batch);
    let infinity = G1Affine::identity();
    let mut proof = BatchProof {
        h: Fr::from(7u64),
        a: Fr::from(1u64),
        delta: Fr::from(2u64),
        z_s: Fr::from(3u64),
        q: G1Affine::generator(),
        w: infinity,
        groth16: Groth16Proof { a: infinity, b: g2(Fr::from(11u64)), c: infinity },
    };
    let challenges = Challenges::draw(&statement, &proof.h, &proof.q);
    let Challenges { beta, z, gamma } = challenges;
    // W = E/(tau − z)
    let n = statement.ledger_size();
    let c = (z.pow([1u64 << statement.k]) - Fr::ONE) / n;
    let mut e =
        proof.q * -proof.z_s - G1Affine::generator() * (c * (proof.a + gamma * proof.delta));
    let mut power = Fr::ONE;
    for (old, new) in statement.old.0.iter().zip(&statement.new.0) {
        e += (*old * (Fr::ONE - gamma) + *new * gamma) * power;
        power *= beta;
    }
    let tau = Fr::from(TAU);
    proof.w = (e * (tau - z).inverse().expect("z is random")).into_affine();
    // a·b = alpha·beta + inputs + c·delta
    let y = evaluate(&batch.data.elements(&key.shape), z);
    let inputs = public_inputs(&statement, &challenges, y, &proof);
    let mut sum = Fr::from(IC);
    for (i, input) in inputs.iter().enumerate() {
        sum += Fr::from(IC + 1 + i as u64) * input;
    }
    let (a, b) = (Fr::from(13u64), Fr::from(11u64));
    let c = (a * b - Fr::from(ALPHA) * Fr::from(BETA) - sum) / Fr::from(DELTA);
    assert_ne!(c, Fr::ZERO, "a random sum");
    proof.groth16.a = g1(a);
    proof.groth16.c = g1(c);
    proof
}
