//! Ceremonies of phase 2, held by Kerros and by the real snarkjs in turns, and ceremonies that were
//! tampered with.
//!
//! Needs `npm ci` in `tests/interop` (which `.ci/run` does). Without it these tests say loudly that
//! they did not run, and fail where CI is set.

mod flips;
mod forger;
mod forgeries;
mod r1cs;
mod scene;
mod snarkjs;

use kerros_setup::chain::format_hash;
use kerros_setup::contribute::{self, ContributeError};
use kerros_setup::verify::{CeremonyError, Stage, verify_extension, verify_from};
use kerros_setup::zkey::{Beacon, Zkey};
use rand::rngs::OsRng;
use rand::{CryptoRng, Error, RngCore};
use scene::{NAMES, Scene, beacon};
use snarkjs::{script, snarkjs, text, verify};
use std::fs;

fn quiet(_: &str) {}

#[test]
fn a_ceremony_held_by_both_is_verified_by_both() {
    let Some(scene) = Scene::get() else { return };
    for (steps, name) in [(1, "first"), (2, "second"), (3, "ended")] {
        let key = scene.key(name);
        let found = verify_from(&scene.initial, &key, Stage::Any, &quiet).expect("right");
        let names: Vec<_> = found.contributions.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, NAMES[..steps]);
        assert_eq!(hex::encode(found.contributions[0].hash), scene.first_hash);
        let shown = verify(&scene.r1cs, &scene.ptau, &scene.file(&format!("{name}.zkey")));
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
    assert!(verify(&scene.r1cs, &scene.ptau, &ended).is_some());
    let key = Zkey::open(&ended).expect("a key");
    let found = verify_from(&scene.initial, &key, Stage::Final, &quiet).expect("right");
    let names: Vec<_> = found.contributions.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, [NAMES[0], NAMES[1], "third", ""]);
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
    let hash =
        contribute::contribute(&from, &ours, &name, entropy.as_bytes(), &mut Fixed(random), &quiet)
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
    let again = contribute::contribute(&ended, &to, "late", b"", &mut OsRng, &quiet);
    assert!(matches!(again, Err(ContributeError::Ended)));
    assert!(matches!(
        contribute::beacon(&ended, &to, "", &beacon(), &quiet),
        Err(ContributeError::Ended)
    ));
    let second = scene.file("second.zkey");
    let long = contribute::contribute(&second, &to, &"√".repeat(65), b"", &mut OsRng, &quiet);
    assert!(matches!(long, Err(ContributeError::Name)));
    for length in [0, 256] {
        let beacon = Beacon { value: vec![1; length], ..beacon() };
        let refused = contribute::beacon(&second, &to, "", &beacon, &quiet);
        assert!(matches!(refused, Err(ContributeError::BeaconLength(found)) if found == length));
    }
    for exponent in [0, 9, 33, 63, 64, 255] {
        let beacon = Beacon { iterations_exponent: exponent, ..beacon() };
        let refused = contribute::beacon(&second, &to, "", &beacon, &quiet);
        assert!(
            matches!(refused, Err(ContributeError::BeaconExponent(found)) if found == exponent)
        );
    }
    assert!(!to.exists());
}
