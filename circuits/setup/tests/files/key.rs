//! Keys of phase 2.

use crate::scene::{Scene, circuit, ptau};
use crate::snarkjs::{snarkjs, text, verify};
use ark_bn254::{Bn254, Fr, G1Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{FftField, Field};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use kerros_setup::error::FormatError;
use kerros_setup::initial::InitialError;
use kerros_setup::zkey::Zkey;
use std::fs;

fn written(key: &Zkey) -> Vec<u8> {
    let mut out = Vec::new();
    key.write(&mut out).expect("a vector takes everything");
    out
}

#[test]
fn the_key_before_contributions_is_that_of_snarkjs_byte_by_byte() {
    let Some(scene) = Scene::get() else { return };
    let circuit = circuit(3);
    let phase1 = ptau(scene.phase1());
    let key = Zkey::initial(&circuit.constraints, circuit.variables, &phase1, &|_| ());
    assert!(written(&key.expect("large enough")) == scene.bytes("initial.zkey"));
}

#[test]
fn snarkjs_verifies_a_key_against_the_circuit_that_kerros_writes() {
    let Some(scene) = Scene::get() else { return };
    let (r1cs, ended) = (scene.path("circuit.r1cs"), scene.path("ended.zkey"));
    assert!(verify(&r1cs, &scene.ptau, &ended).is_some());
    let other = scene.path("other.r1cs");
    let circuit = circuit(4);
    kerros_setup::r1cs::save(&other, &circuit.constraints, circuit.variables).expect("written");
    assert!(verify(&other, &scene.ptau, &ended).is_none());
}

#[test]
fn keys_of_snarkjs_are_written_as_they_were_read() {
    let Some(scene) = Scene::get() else { return };
    for (name, steps) in [("initial.zkey", 0), ("contributed.zkey", 1), ("ended.zkey", 2)] {
        let key = scene.key(name);
        assert_eq!(key.contributions.len(), steps);
        let saved = scene.path("saved.zkey");
        key.save(&saved).expect("written");
        assert!(fs::read(saved).expect("written") == scene.bytes(name), "{name}");
    }
    let ended = scene.key("ended.zkey");
    assert_eq!(ended.contributions[0].name, "somebody");
    let beacon = ended.contributions[1].beacon.as_ref().expect("a beacon");
    assert_eq!((beacon.iterations_exponent, beacon.value.len()), (10, 4));
}

#[test]
fn no_byte_of_a_key_is_without_meaning() {
    let Some(scene) = Scene::get() else { return };
    let bytes = scene.bytes("ended.zkey");
    let key = scene.key("ended.zkey");
    let mut refused = 0;
    for place in (0..bytes.len()).step_by(23) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        match Zkey::decode(&flipped) {
            Err(_) => refused += 1,
            Ok(other) => assert!(other != key && written(&other) == flipped, "byte {place}"),
        }
    }
    // Nearly everything is points.
    assert!(refused > bytes.len() / 23 / 2, "{refused}");
    for end in (0..bytes.len()).step_by(97) {
        assert!(Zkey::decode(&bytes[..end]).is_err(), "{end} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Zkey::decode(&longer), Err(FormatError::Trailing { extra: 1 }));
}

#[test]
fn lengths_and_kinds_from_outside_are_not_believed() {
    let Some(scene) = Scene::get() else { return };
    let bytes = scene.bytes("initial.zkey");
    let changed = |place: usize, with: &[u8]| {
        let mut changed = bytes.clone();
        changed[place..place + with.len()].copy_from_slice(with);
        Zkey::decode(&changed).expect_err("refused")
    };
    assert_eq!(changed(0, b"ptau"), FormatError::Magic { expected: "zkey" });
    assert_eq!(changed(4, &[2]), FormatError::Version { kind: "zkey", found: 2 });
    assert!(matches!(changed(8, &[0xff; 4]), FormatError::Truncated { .. }));
    assert_eq!(changed(8, &[9]), FormatError::Trailing { extra: 12 + 68 });
    assert_eq!(changed(12, &[11]), FormatError::Unknown { section: 11 });
    assert_eq!(changed(12, &[2]), FormatError::Twice { section: 2 });
    assert!(matches!(changed(16, &[0xff; 8]), FormatError::Truncated { .. }));
    // PLONK; then the header of Groth16: its fields, then variables, public inputs and domain.
    assert_eq!(changed(24, &[2]), FormatError::Foreign { what: "proof system" });
    let header = 28 + 12;
    assert_eq!(changed(header, &[48]), FormatError::Foreign { what: "base field" });
    assert_eq!(changed(header + 4, &[0]), FormatError::Foreign { what: "base field" });
    assert_eq!(changed(header + 40, &[0]), FormatError::Foreign { what: "scalar field" });
    let sizes = header + 72;
    assert!(matches!(changed(sizes, &[0xff; 4]), FormatError::Length { .. }));
    assert!(matches!(changed(sizes, &[0; 4]), FormatError::Range { .. }));
    assert!(matches!(changed(sizes + 4, &[0xff; 4]), FormatError::Range { .. }));
    assert!(matches!(changed(sizes + 8, &[0xff; 4]), FormatError::Range { .. }));
    assert_eq!(changed(sizes + 8, &[3]), FormatError::Foreign { what: "domain" });
    // Then coefficients: their number, and the first one's matrix, row and variable.
    let coefficients = header + 660 + 12;
    assert!(matches!(changed(coefficients, &[0xff; 4]), FormatError::Length { section: 4, .. }));
    for place in [4, 8, 12] {
        let refused = changed(coefficients + place, &[0xff; 4]);
        assert!(matches!(refused, FormatError::Range { .. }), "{refused}");
    }
    let refused = changed(coefficients + 16, &[0xff; 32]);
    assert_eq!(refused, FormatError::Coefficient { index: 0 });
}

#[test]
fn a_phase_1_of_the_domains_own_size_is_too_small() {
    let Some(scene) = Scene::get() else { return };
    // 64 rows of the domain of 2^6.
    let circuit = circuit(3);
    let repeated: Vec<_> = circuit.constraints.iter().cycle().take(54).cloned().collect();
    let phase1 = ptau(scene.phase1());
    let refused = Zkey::initial(&repeated, circuit.variables, &phase1, &|_| ());
    assert_eq!(refused, Err(InitialError::TooSmall { need: 7, have: 6 }));
}

/// snarkjs compares H with phase 1 by n − 1 coefficients and a last one of 0, so that it does not see what is added
/// to H along one direction. Who makes the first key, δ still 1, can plant any point there that all later steps
/// divide by their δ: `[IC_k/δ]_1`, with which proofs for other public inputs are forged. A complete
/// comparison with the first key sees it.
#[test]
fn what_is_planted_in_h_is_seen_here_though_not_by_snarkjs() {
    let Some(scene) = Scene::get() else { return };
    let initial = scene.key("initial.zkey");
    let mut planted = initial.clone();
    let root = Fr::get_root_of_unity(planted.domain_size() as u64).expect("a power of two");
    let mut weight = Fr::ONE;
    for point in &mut planted.h {
        *point = (*point + planted.ic[1] * weight).into_affine();
        weight *= root;
    }
    let (start, end) = (scene.path("planted.zkey"), scene.path("planted-1.zkey"));
    planted.save(&start).expect("written");
    snarkjs(&["zkey", "contribute", text(&start), text(&end), "--name=one", "-e=some text"]);
    let seen = verify(&scene.path("circuit.r1cs"), &scene.ptau, &end);
    assert!(seen.is_some(), "snarkjs sees it now: say so in the documents");
    let ended = Zkey::open(&end).expect("a key");
    let divided = |key: &Zkey| {
        (0..initial.h.len()).all(|j| {
            Bn254::pairing(key.h[j], key.delta2) == Bn254::pairing(initial.h[j], initial.delta2)
        })
    };
    assert!(!divided(&ended));
    assert!(divided(&scene.key("contributed.zkey")));
    // δ times what anybody can take out of the key, less what belongs there, is n times the planted point.
    let taken = |key: &Zkey| {
        let domain = Radix2EvaluationDomain::<Fr>::new(key.domain_size()).expect("a power of two");
        let lines: Vec<G1Projective> = key.h.iter().map(|point| point.into_group()).collect();
        domain.fft(&lines)[key.domain_size() - 1]
    };
    let n = Fr::from(initial.domain_size() as u64);
    let expected = taken(&initial) + initial.ic[1] * n;
    assert_eq!(
        Bn254::pairing(taken(&ended), ended.delta2),
        Bn254::pairing(expected, initial.delta2)
    );
}
