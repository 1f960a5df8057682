//! Ceremonies of phase 2, held by Kerros and by the real snarkjs in turns, and ceremonies that were
//! tampered with.
//!
//! Needs `npm ci` in `tests/interop` (which `.ci/run` does). Without it these tests say loudly that
//! they did not run, and fail where CI is set.

mod flips;
mod forger;
mod forgeries;
mod scene;
mod snarkjs;

use ark_bn254::G1Affine;
use kerros_circuits::groth16::Compiled;
use kerros_setup::binfile::Bytes;
use kerros_setup::chain::format_hash;
use kerros_setup::contribute::{self, ContributeError};
use kerros_setup::point;
use kerros_setup::ptau::Ptau;
use kerros_setup::verify::{CeremonyError, Stage, verify, verify_extension, verify_from};
use kerros_setup::zkey::{Beacon, Zkey};
use rand::rngs::OsRng;
use rand::{CryptoRng, Error, RngCore};
use scene::{NAMES, Scene, beacon, circuit};
use snarkjs::{powers_of_tau, script, scripts, snarkjs, text};
use std::fs;

fn quiet(_: &str) {}

#[test]
fn the_committed_vectors_are_those_of_this_snarkjs() {
    if scripts().is_some() {
        let committed = include_str!("../vectors/snark_rng.json").trim();
        assert!(script(&["ceremony-vectors.mjs"]) == committed);
    }
}

#[test]
fn a_ceremony_held_by_both_is_verified_by_both() {
    let Some(scene) = Scene::get() else { return };
    for (steps, name) in [(1, "first"), (2, "second"), (3, "ended")] {
        let key = scene.key(name);
        let found = verify_from(&scene.initial, &key, Stage::Any, &quiet).expect("right");
        let names: Vec<_> = found.contributions.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, NAMES[..steps]);
        assert_eq!(hex::encode(found.contributions[0].hash), scene.first_hash);
        let shown = snarkjs::verify(&scene.r1cs, &scene.ptau, &scene.file(&format!("{name}.zkey")));
        let shown = shown.expect("snarkjs accepts");
        for step in &found.contributions {
            assert!(shown.contains(&step.name), "{shown}");
            assert!(format_hash(&step.hash).lines().all(|line| shown.contains(line)), "{shown}");
        }
    }
    let ended = scene.key("ended");
    let found = verify_from(&scene.initial, &ended, Stage::Final, &quiet).expect("ended");
    let beacons: Vec<_> = found.contributions.into_iter().map(|step| step.beacon).collect();
    assert_eq!(beacons, [None, None, Some(beacon())]);
    let [first, second] = ["first", "second"].map(|name| scene.key(name));
    assert_eq!(verify_extension(&first, &second, &quiet), Ok(()));
    assert_eq!(verify_extension(&first, &ended, &quiet), Ok(()));
    let refused = CeremonyError::Foreign { what: "first contributions" };
    assert_eq!(verify_extension(&second, &first, &quiet), Err(refused));
}

#[test]
fn a_ceremony_that_snarkjs_continues_and_ends_is_verified_by_both() {
    let Some(scene) = Scene::get() else { return };
    let [theirs, ended] = ["continued.zkey", "ended-by-snarkjs.zkey"].map(|n| scene.file(n));
    let second = scene.file("second.zkey");
    snarkjs(&["zkey", "contribute", text(&second), text(&theirs), "--name=third", "-e=typed"]);
    let Beacon { iterations_exponent, value } = beacon();
    let (value, exponent) = (hex::encode(value), iterations_exponent.to_string());
    snarkjs(&["zkey", "beacon", text(&theirs), text(&ended), &value, &exponent]);
    assert!(snarkjs::verify(&scene.r1cs, &scene.ptau, &ended).is_some());
    let key = Zkey::open(&ended).expect("a key");
    let found = verify_from(&scene.initial, &key, Stage::Final, &quiet).expect("right");
    let names: Vec<_> = found.contributions.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, [NAMES[0], NAMES[1], "third", ""]);
}

#[test]
fn a_ceremony_is_verified_from_circuit_and_powers_of_tau() {
    let Some(scene) = Scene::get() else { return };
    let phase1 = Ptau::open(&scene.ptau).expect("snarkjs made it");
    let verify = |circuit: &Compiled, phase1: &Ptau, name: &str, stage| {
        verify(circuit, phase1, &scene.key(name), stage, &quiet)
    };
    let right = verify(&circuit(3), &phase1, "ended", Stage::Final).expect("right");
    assert_eq!(right.circuit_hash, scene.initial.circuit_hash);
    assert_eq!(right.contributions.len(), NAMES.len());
    assert!(verify(&circuit(3), &phase1, "second", Stage::Any).is_ok());
    assert_eq!(verify(&circuit(3), &phase1, "second", Stage::Final), Err(CeremonyError::NoBeacon));
    let foreign = |what| Err(CeremonyError::Foreign { what });
    assert_eq!(verify(&circuit(4), &phase1, "ended", Stage::Final), foreign("circuit hash"));
    let mut longer = circuit(3);
    longer.variables += 1;
    assert_eq!(verify(&longer, &phase1, "ended", Stage::Final), foreign("number of variables"));
    let mut twice = circuit(3);
    twice.constraints.extend(circuit(3).constraints);
    assert_eq!(verify(&twice, &phase1, "ended", Stage::Final), foreign("domain"));
    let other = Ptau::open(&powers_of_tau(8, "0807060504030201")).expect("snarkjs made it");
    assert_eq!(verify(&circuit(3), &other, "ended", Stage::Final), foreign("alpha in G1"));
    // Powers of tau that are none are refused before the key is looked at.
    let mut bytes = fs::read(&scene.ptau).expect("made");
    let place = bytes.windows(64).rposition(|point| point == lem(&scene.initial.beta1));
    let place = place.expect("β is there");
    bytes[place..place + 64].copy_from_slice(&lem(&scene.initial.alpha1));
    let forged = Ptau::from_bytes(Bytes::Owned(bytes)).expect("well-formed");
    let refused = verify(&circuit(3), &forged, "ended", Stage::Final);
    assert!(matches!(refused, Err(CeremonyError::Phase1(_))), "{refused:?}");
}

fn lem(point: &G1Affine) -> Vec<u8> {
    let mut bytes = Vec::new();
    point::put(&mut bytes, point).expect("a vector takes everything");
    bytes
}

#[test]
fn a_beacon_is_that_of_snarkjs_byte_by_byte() {
    let Some(scene) = Scene::get() else { return };
    let theirs = scene.file("their-beacon.zkey");
    let Beacon { iterations_exponent, value } = beacon();
    let (value, exponent) = (hex::encode(value), iterations_exponent.to_string());
    let (second, name) = (scene.file("second.zkey"), format!("-n={}", NAMES[2]));
    snarkjs(&["zkey", "beacon", text(&second), text(&theirs), &value, &exponent, &name]);
    let [ours, theirs] =
        [scene.file("ended.zkey"), theirs].map(|path| fs::read(path).expect("made"));
    assert!(ours == theirs);
}

/// Gives the same bytes that `contribute-fixed.mjs` gives to snarkjs.
struct Fixed([u8; 64]);

impl RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        unreachable!("asked for bytes only")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("asked for bytes only")
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.copy_from_slice(&self.0);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Fixed {}

#[test]
fn a_contribution_with_the_same_randomness_is_that_of_snarkjs_byte_by_byte() {
    let Some(scene) = Scene::get() else { return };
    let [from, ours, theirs] =
        ["first.zkey", "ours-fixed.zkey", "theirs-fixed.zkey"].map(|name| scene.file(name));
    let mut random = [0; 64];
    OsRng.fill_bytes(&mut random);
    // 64 UTF-16 units, 192 bytes: all that snarkjs keeps of a name.
    let (name, entropy) = ("√".repeat(64), "some text, ü");
    let hash = contribute::contribute(
        Zkey::open(&from).expect("a key"),
        &ours,
        &name,
        entropy.as_bytes(),
        &mut Fixed(random),
        &quiet,
    )
    .expect("contributes");
    let random = hex::encode(random);
    let their_hash =
        script(&["contribute-fixed.mjs", text(&from), text(&theirs), &name, entropy, &random]);
    assert_eq!(hex::encode(hash), their_hash);
    let [ours, theirs] = [ours, theirs].map(|path| fs::read(path).expect("made"));
    assert!(ours == theirs);
}

#[test]
fn what_cannot_be_contributed_is_refused_and_writes_nothing() {
    let Some(scene) = Scene::get() else { return };
    let (ended, to) = (scene.file("ended.zkey"), scene.file("refused.zkey"));
    let again = contribute::contribute(
        Zkey::open(&ended).expect("a key"),
        &to,
        "late",
        b"",
        &mut OsRng,
        &quiet,
    );
    assert!(matches!(again, Err(ContributeError::Ended)));
    assert!(matches!(
        contribute::beacon(Zkey::open(&ended).expect("a key"), &to, "", &beacon(), &quiet),
        Err(ContributeError::Ended)
    ));
    let second = scene.file("second.zkey");
    let long = contribute::contribute(
        Zkey::open(&second).expect("a key"),
        &to,
        &"√".repeat(65),
        b"",
        &mut OsRng,
        &quiet,
    );
    assert!(matches!(long, Err(ContributeError::Name)));
    for length in [0, 256] {
        let beacon = Beacon { value: vec![1; length], ..beacon() };
        let refused =
            contribute::beacon(Zkey::open(&second).expect("a key"), &to, "", &beacon, &quiet);
        assert!(matches!(refused, Err(ContributeError::BeaconLength(found)) if found == length));
    }
    for exponent in [0, 9, 33, 63, 64, 255] {
        let beacon = Beacon { iterations_exponent: exponent, ..beacon() };
        let refused =
            contribute::beacon(Zkey::open(&second).expect("a key"), &to, "", &beacon, &quiet);
        assert!(
            matches!(refused, Err(ContributeError::BeaconExponent(found)) if found == exponent)
        );
    }
    assert!(!to.exists());
}
