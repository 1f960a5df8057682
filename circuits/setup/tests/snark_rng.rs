//! Kerros draws what ffjavascript draws: vectors of ffjavascript itself, which
//! `tests/interop/ceremony-vectors.mjs` prints.

use ark_bn254::G2Affine;
use ark_ff::{BigInt, Fp};
use kerros_protocol::encoding::{g1_to_be, g2_to_be};
use kerros_setup::snark_rng::{SnarkRng, hash_to_g2};
use serde_json::Value;

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("hex")).expect("hex")
}

fn seed<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("as long as it should be")
}

/// Little-endian Montgomery limbs, as snarkjs holds them.
fn montgomery(values: &[BigInt<4>]) -> Vec<u8> {
    values.iter().flat_map(|v| v.0.iter().flat_map(|limb| limb.to_le_bytes())).collect()
}

fn lem_g2(point: &G2Affine) -> Vec<u8> {
    montgomery(&[point.x.c0, point.x.c1, point.y.c0, point.y.c1].map(|Fp(limbs, _)| limbs))
}

fn assert_drawn(mut rng: SnarkRng, vector: &Value) {
    assert_eq!(montgomery(&[rng.fr().0]), bytes(&vector["scalar"]), "{vector}");
    let (g1, g2) = (rng.g1(), rng.g2());
    assert_eq!(montgomery(&[g1.x.0, g1.y.0]), bytes(&vector["g1"]), "{vector}");
    assert_eq!(g1_to_be(&g1).to_vec(), bytes(&vector["g1Uncompressed"]), "{vector}");
    assert_eq!(lem_g2(&g2), bytes(&vector["g2"]), "{vector}");
    assert_eq!(g2_to_be(&g2).to_vec(), bytes(&vector["g2Uncompressed"]), "{vector}");
    assert_eq!(vector["afterwards"], rng.word());
    assert!(g1.is_on_curve() && g2.is_on_curve());
    assert!(g2.is_in_correct_subgroup_assuming_on_curve());
}

#[test]
fn draws_what_ffjavascript_draws() {
    let vectors: Value =
        serde_json::from_str(include_str!("vectors/snark_rng.json")).expect("JSON");
    let list = |name: &str| vectors[name].as_array().expect("a list").clone();
    assert_eq!(["seeds", "hashes", "beacons"].map(|name| list(name).len()), [12, 12, 4]);
    for vector in list("seeds") {
        assert_drawn(SnarkRng::from_seed(&seed(&vector["seed"])), &vector);
    }
    for vector in list("hashes") {
        let point = hash_to_g2(&seed(&vector["digest"]));
        assert_eq!(lem_g2(&point), bytes(&vector["g2"]), "{vector}");
    }
    for vector in list("beacons") {
        let exponent = vector["exponent"].as_u64().expect("a number") as u8;
        assert_drawn(SnarkRng::from_beacon(&bytes(&vector["hash"]), exponent), &vector);
    }
}
