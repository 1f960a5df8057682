//! A verification key out of snarkjs's `verification_key.json`.
//!
//! Strict: the fields that snarkjs writes and no others, every number in its one decimal form and below the
//! modulus, every point finite, on its curve and in its subgroup.

use ark_bn254::{Bn254, Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ec::pairing::Pairing;
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::SrsHeader;
use kerros_protocol::verification_key::{IC_LEN, VerificationKey};
use serde_json::{Map, Value};
use std::str::FromStr;
use thiserror::Error;

/// Fields of a key; snarkjs also writes the last one, our export does not.
const FIELDS: [&str; 9] = [
    "protocol",
    "curve",
    "nPublic",
    "vk_alpha_1",
    "vk_beta_2",
    "vk_gamma_2",
    "vk_delta_2",
    "IC",
    ALPHA_BETA,
];
const ALPHA_BETA: &str = "vk_alphabeta_12";
/// Digits of the modulus.
const DIGITS_MAX: usize = 77;

/// Why a `verification_key.json` was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonKeyError {
    /// No object.
    #[error("not an object")]
    NoObject,
    /// A field that keys do not have.
    #[error("{0:?} is no field of a key")]
    Unknown(String),
    /// A field that is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field that is there and not of the form or value that it must have.
    #[error("{field}: {what}")]
    Wrong {
        /// Which.
        field: &'static str,
        /// What it should be.
        what: &'static str,
    },
}

/// What such a file tells of a key: its part of Groth16, with `γ = 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groth16Key {
    /// `[α]_1`.
    pub alpha1: G1Affine,
    /// `[β]_2`.
    pub beta2: G2Affine,
    /// `[δ]_2`, not `[γ]_2`.
    pub delta2: G2Affine,
    /// One for the constant and one a public input.
    pub ic: [G1Affine; IC_LEN],
}

impl Groth16Key {
    /// Reads the file's content.
    pub fn read(value: &Value) -> Result<Self, JsonKeyError> {
        let object = value.as_object().ok_or(JsonKeyError::NoObject)?;
        if let Some(unknown) = object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(JsonKeyError::Unknown(unknown.clone()));
        }
        for (name, expected, what) in [
            ("protocol", Value::from("groth16"), "not groth16"),
            ("curve", Value::from("bn128"), "not bn128"),
            ("nPublic", Value::from(IC_LEN - 1), "not the number of public inputs"),
        ] {
            if *field(object, name)? != expected {
                return Err(JsonKeyError::Wrong { field: name, what });
            }
        }
        let g1_at = |name| g1(name, field(object, name)?);
        let g2_at = |name| g2(name, field(object, name)?);
        let (alpha1, beta2) = (g1_at("vk_alpha_1")?, g2_at("vk_beta_2")?);
        let (gamma2, delta2) = (g2_at("vk_gamma_2")?, g2_at("vk_delta_2")?);
        if gamma2 != G2Affine::generator() {
            return Err(JsonKeyError::Wrong { field: "vk_gamma_2", what: "not the generator" });
        }
        if delta2 == gamma2 {
            return Err(JsonKeyError::Wrong { field: "vk_delta_2", what: "delta is gamma" });
        }
        let points = list::<IC_LEN>("IC", field(object, "IC")?)?;
        let mut ic = [G1Affine::identity(); IC_LEN];
        for (point, value) in ic.iter_mut().zip(points) {
            *point = g1("IC", value)?;
        }
        if let Some(value) = object.get(ALPHA_BETA) {
            check_product(value, &alpha1, &beta2)?;
        }
        Ok(Self { alpha1, beta2, delta2, ic })
    }

    /// The key of a shape over a reference string. Nothing here tells who made it: it is one of
    /// development.
    pub fn with(self, shape: Shape, srs: &SrsHeader) -> VerificationKey {
        let Self { alpha1, beta2, delta2, ic } = self;
        let (k_genesis, tau_powers) = (srs.k_genesis, srs.tau_powers.clone());
        VerificationKey {
            development: true,
            shape,
            alpha1,
            beta2,
            delta2,
            ic,
            k_genesis,
            tau_powers,
        }
    }
}

fn field<'a>(
    object: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a Value, JsonKeyError> {
    object.get(name).ok_or(JsonKeyError::Missing(name))
}

fn list<'a, const N: usize>(
    field: &'static str,
    value: &'a Value,
) -> Result<&'a [Value; N], JsonKeyError> {
    let wrong = JsonKeyError::Wrong { field, what: "not a list of its length" };
    value.as_array().and_then(|values| values.as_slice().try_into().ok()).ok_or(wrong)
}

fn number(field: &'static str, value: &Value) -> Result<Fq, JsonKeyError> {
    let wrong = JsonKeyError::Wrong { field, what: "not a decimal string below the modulus" };
    let text = value.as_str().filter(|text| text.len() <= DIGITS_MAX).ok_or(wrong.clone())?;
    // What is not in its one form, or not below the modulus, is not written back as it was.
    Fq::from_str(text).ok().filter(|number| super::decimal(*number) == text).ok_or(wrong)
}

fn quadratic(field: &'static str, value: &Value) -> Result<Fq2, JsonKeyError> {
    let [c0, c1] = list::<2>(field, value)?;
    Ok(Fq2::new(number(field, c0)?, number(field, c1)?))
}

fn g1(field: &'static str, value: &Value) -> Result<G1Affine, JsonKeyError> {
    let [x, y, z] = list::<3>(field, value)?;
    let point = G1Affine::new_unchecked(number(field, x)?, number(field, y)?);
    // The curve's order is prime: on the curve is in the group.
    if number(field, z)? == Fq::from(1u64) && point.is_on_curve() {
        Ok(point)
    } else {
        Err(JsonKeyError::Wrong { field, what: "not a finite point of the curve" })
    }
}

fn g2(field: &'static str, value: &Value) -> Result<G2Affine, JsonKeyError> {
    let [x, y, z] = list::<3>(field, value)?;
    let point = G2Affine::new_unchecked(quadratic(field, x)?, quadratic(field, y)?);
    let finite = quadratic(field, z)? == Fq2::from(1u64);
    if finite && point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve() {
        Ok(point)
    } else {
        Err(JsonKeyError::Wrong { field, what: "not a finite point of the group" })
    }
}

/// `e(α, β)` as a tower of lists.
fn check_product(value: &Value, alpha1: &G1Affine, beta2: &G2Affine) -> Result<(), JsonKeyError> {
    let product = Bn254::pairing(alpha1, beta2).0;
    let halves = list::<2>(ALPHA_BETA, value)?;
    for (half, expected) in halves.iter().zip([product.c0, product.c1]) {
        let parts = list::<3>(ALPHA_BETA, half)?;
        for (part, expected) in parts.iter().zip([expected.c0, expected.c1, expected.c2]) {
            if quadratic(ALPHA_BETA, part)? != expected {
                return Err(JsonKeyError::Wrong {
                    field: ALPHA_BETA,
                    what: "not the pairing of alpha and beta",
                });
            }
        }
    }
    Ok(())
}
