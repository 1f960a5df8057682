//! Exports in snarkjs's JSON, so that another implementation can check our Groth16 proofs, and the import of its
//! keys.
//!
//! Numbers are decimal strings; points are projective with third coordinate 1; coordinates in the
//! quadratic extension are `[c0, c1]` (unlike EIP-197, where c1 comes first).

mod import;

pub use import::{Groth16Key, JsonKeyError};

use ark_bn254::{Fq, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::PrimeField;
use kerros_protocol::transcript::Groth16Proof;
use kerros_protocol::verification_key::VerificationKey;
use serde_json::{Value, json};

fn decimal(value: Fq) -> String {
    value.into_bigint().to_string()
}

fn g1(point: &G1Affine) -> Value {
    match point.xy() {
        Some((x, y)) => json!([decimal(x), decimal(y), "1"]),
        None => json!(["0", "1", "0"]),
    }
}

fn g2(point: &G2Affine) -> Value {
    match point.xy() {
        Some((x, y)) => {
            json!([[decimal(x.c0), decimal(x.c1)], [decimal(y.c0), decimal(y.c1)], ["1", "0"]])
        }
        None => json!([["0", "0"], ["1", "0"], ["0", "0"]]),
    }
}

/// `verification_key.json`.
pub fn verification_key(key: &VerificationKey) -> Value {
    json!({
        "protocol": "groth16",
        "curve": "bn128",
        "nPublic": key.ic.len() - 1,
        "vk_alpha_1": g1(&key.alpha1),
        "vk_beta_2": g2(&key.beta2),
        "vk_gamma_2": g2(&key.gamma2()),
        "vk_delta_2": g2(&key.delta2),
        "IC": key.ic.iter().map(g1).collect::<Vec<_>>(),
    })
}

/// `proof.json`.
pub fn proof(proof: &Groth16Proof) -> Value {
    json!({
        "protocol": "groth16",
        "curve": "bn128",
        "pi_a": g1(&proof.a),
        "pi_b": g2(&proof.b),
        "pi_c": g1(&proof.c),
    })
}

/// `public.json`.
pub fn public_inputs(inputs: &[Fr]) -> Value {
    inputs.iter().map(|value| value.into_bigint().to_string()).collect::<Vec<_>>().into()
}
