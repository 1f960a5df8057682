//! `verification_key.json`: what is exported is read back, and nothing else is.

use ark_bn254::{G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::UniformRand;
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::SrsHeader;
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::snarkjs::{Groth16Key, JsonKeyError, verification_key};
use serde_json::{Value, json};

const FIELDS: [&str; 8] =
    ["protocol", "curve", "nPublic", "vk_alpha_1", "vk_beta_2", "vk_gamma_2", "vk_delta_2", "IC"];

fn key() -> VerificationKey {
    let rng = &mut rand::rngs::OsRng;
    let ic = std::array::from_fn(|_| G1Affine::rand(rng));
    let srs = SrsHeader {
        development: true,
        k_genesis: 4,
        k_max: 4,
        tau_powers: (0..5).map(|_| G2Affine::rand(rng)).collect(),
    };
    let part = Groth16Key {
        alpha1: G1Affine::rand(rng),
        beta2: G2Affine::rand(rng),
        delta2: G2Affine::rand(rng),
        ic,
    };
    part.with(Shape::new([1, 1, 1, 1, 1]).expect("a shape"), &srs)
}

/// A point of G2 as it is exported.
fn g2(point: &G2Affine) -> Value {
    verification_key(&VerificationKey { delta2: *point, ..key() })["vk_delta_2"].clone()
}

fn changed(change: impl FnOnce(&mut Value)) -> JsonKeyError {
    let mut value = verification_key(&key());
    change(&mut value);
    Groth16Key::read(&value).expect_err("refused")
}

#[test]
fn an_exported_key_is_read_back() {
    let key = key();
    let read = Groth16Key::read(&verification_key(&key)).expect("exported");
    assert_eq!(read.alpha1, key.alpha1);
    assert_eq!((read.beta2, read.delta2, read.ic), (key.beta2, key.delta2, key.ic));
}

#[test]
fn fields_are_those_of_snarkjs() {
    assert_eq!(changed(|value| *value = json!([])), JsonKeyError::NoObject);
    for name in FIELDS {
        let missing = changed(|value| {
            value.as_object_mut().expect("an object").remove(name);
        });
        assert_eq!(missing, JsonKeyError::Missing(name));
        let wrong = changed(|value| value[name] = json!(null));
        assert!(matches!(wrong, JsonKeyError::Wrong { field, .. } if field == name));
    }
    let unknown = changed(|value| value["vk_alpha_2"] = json!("1"));
    assert_eq!(unknown, JsonKeyError::Unknown("vk_alpha_2".to_owned()));
    for (name, other) in [
        ("protocol", json!("plonk")),
        ("curve", json!("bls12381")),
        ("nPublic", json!(8)),
        ("nPublic", json!("9")),
        ("IC", json!([])),
        ("vk_alphabeta_12", json!([])),
    ] {
        let wrong = changed(|value| value[name] = other);
        assert!(matches!(wrong, JsonKeyError::Wrong { field, .. } if field == name));
    }
}

#[test]
fn numbers_have_one_form() {
    let modulus = "21888242871839275222246405745257275088696311157297823662689037894645226208583";
    let mut forms: Vec<Value> =
        ["", "+1", "-1", "01", "0x1", "1 ", "1.0", modulus].map(Value::from).into();
    forms.extend([json!(1), json!(null), json!("9".repeat(1 << 16))]);
    for form in forms {
        let wrong = changed(|value| value["vk_alpha_1"][0] = form.clone());
        let what = "not a decimal string below the modulus";
        assert_eq!(wrong, JsonKeyError::Wrong { field: "vk_alpha_1", what }, "{form}");
    }
}

#[test]
fn points_are_finite_and_of_their_group() {
    let what = "not a finite point of the curve";
    let wrong = changed(|value| value["IC"][9][1] = json!("1"));
    assert_eq!(wrong, JsonKeyError::Wrong { field: "IC", what });
    let wrong = changed(|value| value["vk_alpha_1"] = json!(["0", "1", "0"]));
    assert_eq!(wrong, JsonKeyError::Wrong { field: "vk_alpha_1", what });
    let wrong = changed(|value| value["vk_alpha_1"][2] = json!("2"));
    assert_eq!(wrong, JsonKeyError::Wrong { field: "vk_alpha_1", what });
    let what = "not a finite point of the group";
    let wrong = changed(|value| value["vk_beta_2"][0][0] = json!("1"));
    assert_eq!(wrong, JsonKeyError::Wrong { field: "vk_beta_2", what });
    // On the curve, outside the subgroup.
    let outside = (1u64..)
        .filter_map(|x| G2Affine::get_point_from_x_unchecked(x.into(), false))
        .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .expect("most are");
    let wrong = changed(|value| value["vk_delta_2"] = g2(&outside));
    assert_eq!(wrong, JsonKeyError::Wrong { field: "vk_delta_2", what });
    let other = (G2Affine::generator() + G2Affine::generator()).into_affine();
    let wrong = changed(|value| value["vk_gamma_2"] = g2(&other));
    assert_eq!(wrong, JsonKeyError::Wrong { field: "vk_gamma_2", what: "not the generator" });
    let one = g2(&G2Affine::generator());
    let wrong = changed(|value| value["vk_delta_2"] = one);
    assert_eq!(wrong, JsonKeyError::Wrong { field: "vk_delta_2", what: "delta is gamma" });
}
