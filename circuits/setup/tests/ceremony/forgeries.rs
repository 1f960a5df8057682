//! Ceremonies that were tampered with, each refused for the reason that it is wrong for.

use crate::forger::Step;
use crate::quiet;
use crate::scene::{Scene, beacon, circuit, save};
use crate::snarkjs::{powers_of_tau, snarkjs, text, verify};
use ark_bn254::{Fr, G1Affine};
use ark_ff::{Field, UniformRand};
use kerros_setup::chain::Flaw;
use kerros_setup::contribute;
use kerros_setup::snark_rng::SnarkRng;
use kerros_setup::verify::{CeremonyError, Report, Stage, verify_from};
use kerros_setup::zkey::{Beacon, Zkey};
use rand::rngs::OsRng;

fn any(scene: &Scene, key: &Zkey) -> Result<Report, CeremonyError> {
    verify_from(&scene.initial, key, Stage::Any, &quiet)
}

fn ended(scene: &Scene, key: &Zkey) -> Result<Report, CeremonyError> {
    verify_from(&scene.initial, key, Stage::Final, &quiet)
}

fn flaw(number: usize, flaw: Flaw) -> CeremonyError {
    CeremonyError::Contribution { number, flaw }
}

fn foreign(what: &'static str) -> CeremonyError {
    CeremonyError::Foreign { what }
}

fn secret() -> Fr {
    Fr::rand(&mut OsRng)
}

#[track_caller]
fn refused(found: Result<Report, CeremonyError>, expected: CeremonyError) {
    assert_eq!(found, Err(expected));
}

#[test]
fn dropped_reordered_and_repeated_steps() {
    let Some(scene) = Scene::get() else { return };
    let right = scene.key("ended");
    assert!(ended(scene, &right).is_ok());
    let after = |change: &dyn Fn(&mut Zkey)| {
        let mut key = right.clone();
        change(&mut key);
        any(scene, &key)
    };
    let drop = |step| after(&|key| drop(key.contributions.remove(step)));
    refused(drop(0), flaw(1, Flaw::Transcript));
    refused(drop(1), flaw(2, Flaw::Transcript));
    refused(drop(2), CeremonyError::Delta { group: "G1" });
    refused(after(&|key| key.contributions.clear()), CeremonyError::Delta { group: "G1" });
    let swap = |a, b| after(&|key| key.contributions.swap(a, b));
    refused(swap(0, 1), flaw(1, Flaw::Transcript));
    refused(swap(0, 2), flaw(1, Flaw::BeaconNotLast));
    refused(swap(1, 2), flaw(2, Flaw::BeaconNotLast));
    let repeat =
        |step: usize| after(&|key| key.contributions.insert(step, key.contributions[step].clone()));
    refused(repeat(0), flaw(2, Flaw::Transcript));
    refused(repeat(1), flaw(3, Flaw::Transcript));
    refused(repeat(2), flaw(3, Flaw::BeaconNotLast));
}

#[test]
fn another_circuit_other_powers_of_tau_another_first_hash() {
    let Some(scene) = Scene::get() else { return };
    let setup = |coefficient, ptau, name: &str| {
        let [r1cs, zkey] = [format!("{name}.r1cs"), format!("{name}.zkey")].map(|n| scene.file(&n));
        save(&circuit(coefficient), &r1cs);
        snarkjs(&["groth16", "setup", text(&r1cs), text(ptau), text(&zkey)]);
        Zkey::open(&zkey).expect("snarkjs made it")
    };
    // The key and its ceremony are right, for a circuit that differs in one coefficient.
    let circuit = Step::of(secret()).take(&setup(4, &scene.ptau, "other-circuit"));
    refused(any(scene, &circuit), foreign("circuit hash"));
    let tau = powers_of_tau(8, "0807060504030201");
    let tau = Step::of(secret()).take(&setup(3, &tau, "other-tau"));
    refused(any(scene, &tau), foreign("alpha in G1"));
    // The other circuit's key behind this circuit's hash.
    let behind =
        Zkey { circuit_hash: scene.initial.circuit_hash, ..setup(4, &scene.ptau, "behind") };
    refused(any(scene, &Step::of(secret()).take(&behind)), foreign("coefficients"));
    // A chain that begins with another hash, as it is and with the right hash put before it.
    let mut other = scene.initial.clone();
    other.circuit_hash[63] ^= 1;
    let mut other = Step::of(secret()).take(&Step::of(secret()).take(&other));
    refused(any(scene, &other), foreign("circuit hash"));
    other.circuit_hash = scene.initial.circuit_hash;
    refused(any(scene, &other), flaw(1, Flaw::Transcript));
}

#[test]
fn parts_of_the_key_that_no_contribution_changes() {
    let Some(scene) = Scene::get() else { return };
    let right = scene.key("ended");
    let changed = |change: &dyn Fn(&mut Zkey), what| {
        let mut key = right.clone();
        change(&mut key);
        assert!(key != right, "{what}");
        refused(ended(scene, &key), foreign(what));
    };
    changed(&|key| key.alpha1 = key.beta1, "alpha in G1");
    changed(&|key| key.beta1 = key.alpha1, "beta in G1");
    changed(&|key| key.beta2 = -key.beta2, "beta in G2");
    changed(&|key| key.gamma2 = -key.gamma2, "gamma in G2");
    changed(&|key| key.ic.swap(0, 9), "IC");
    changed(&|key| key.ic[4] = -key.ic[4], "IC");
    changed(&|key| key.coefficients.swap(3, 4), "coefficients");
    changed(&|key| key.coefficients[5].value += Fr::ONE, "coefficients");
    changed(&|key| key.a.swap(1, 2), "A");
    changed(&|key| key.b1[12] = -key.b1[12], "B in G1");
    changed(&|key| key.b2[12] = -key.b2[12], "B in G2");
    changed(&|key| key.ic.truncate(9), "number of public inputs");
    changed(&|key| key.a.truncate(1), "number of variables");
    changed(&|key| key.h.truncate(1), "domain");
    changed(&|key| key.c.truncate(1), "number of C");
    changed(&|key| key.b1.truncate(1), "B in G1");
}

#[test]
fn what_is_verified_against_must_be_a_key_before_all_contributions() {
    let Some(scene) = Scene::get() else { return };
    let [first, second] = ["first", "second"].map(|name| scene.key(name));
    refused(verify_from(&first, &second, Stage::Any, &quiet), foreign("initial key"));
    let delta1 = Zkey { delta1: second.delta1, ..scene.initial.clone() };
    let delta2 = Zkey { delta2: second.delta2, ..scene.initial.clone() };
    for (before, group) in [(delta1, "G1"), (delta2, "G2")] {
        let found = verify_from(&before, &second, Stage::Any, &quiet);
        refused(found, CeremonyError::Delta { group });
    }
}

#[test]
fn gamma_that_is_delta() {
    let Some(scene) = Scene::get() else { return };
    // No contribution: δ = γ = 1.
    assert!(any(scene, &scene.initial).is_ok());
    refused(ended(scene, &scene.initial), CeremonyError::NoSecret);
    // The second contribution undoes the first one, which it can if both are one's.
    for sign in [Fr::ONE, -Fr::ONE] {
        let first = secret();
        let undone = sign * first.inverse().expect("not zero");
        let key = Step::of(undone).take(&Step::of(first).take(&scene.initial));
        refused(any(scene, &key), CeremonyError::DeltaIsGamma);
        // A contribution after it makes the key good again.
        assert!(any(scene, &Step::of(secret()).take(&key)).is_ok());
    }
    for known in [Fr::ONE, -Fr::ONE] {
        refused(any(scene, &Step::of(known).take(&scene.initial)), flaw(1, Flaw::Trivial));
        refused(any(scene, &Step::of(known).take(&scene.key("second"))), flaw(3, Flaw::Trivial));
    }
    // γ follows δ, in the key and even in what it is compared with.
    let gamma = Zkey { gamma2: scene.key("ended").delta2, ..scene.key("ended") };
    refused(any(scene, &gamma), foreign("gamma in G2"));
    let initial = Zkey { gamma2: gamma.gamma2, ..scene.initial.clone() };
    for key in [&gamma, &scene.key("ended")] {
        refused(verify_from(&initial, key, Stage::Any, &quiet), foreign("gamma in G2"));
    }
}

#[test]
fn contributions_made_of_more_than_one_secret() {
    let Some(scene) = Scene::get() else { return };
    let second = scene.key("second");
    let honest = Step::of(secret());
    assert!(any(scene, &honest.take(&second)).is_ok());
    let step = |step: Step| any(scene, &step.take(&second));
    refused(step(Step { g1: secret(), ..honest }), flaw(3, Flaw::Proof));
    refused(step(Step { g2: secret(), ..honest }), flaw(3, Flaw::Proof));
    refused(step(Step { delta: secret(), ..honest }), flaw(3, Flaw::Delta));
    let zero = Step { g1: Fr::from(0u64), g2: Fr::from(0u64), ..honest };
    refused(step(zero), flaw(3, Flaw::Proof));
    for c in [Fr::ONE, -honest.c, honest.c.inverse().expect("not zero")] {
        refused(step(Step { c, ..honest }), CeremonyError::Undivided { what: "C" });
        refused(step(Step { h: c, ..honest }), CeremonyError::Undivided { what: "H" });
    }
}

#[test]
fn single_points_of_c_and_h_and_of_delta() {
    let Some(scene) = Scene::get() else { return };
    let right = scene.key("ended");
    let changed = |change: &dyn Fn(&mut Zkey), expected| {
        let mut key = right.clone();
        change(&mut key);
        assert!(key != right);
        refused(ended(scene, &key), expected);
    };
    let undivided = |what| CeremonyError::Undivided { what };
    for i in 0..right.c.len() {
        changed(&|key| key.c[i] = G1Affine::rand(&mut OsRng), undivided("C"));
    }
    for i in 0..right.h.len() {
        changed(&|key| key.h[i] = -key.h[i], undivided("H"));
    }
    changed(&|key| key.c.swap(0, 1), undivided("C"));
    changed(&|key| key.h.swap(0, 1), undivided("H"));
    changed(&|key| key.c.fill(G1Affine::identity()), undivided("C"));
    changed(&|key| key.h.fill(G1Affine::identity()), undivided("H"));
    // A list of infinities alone stays one; with an empty one there is nothing to divide.
    let initial = |c| Zkey { c, ..scene.initial.clone() };
    let zeros = initial(vec![G1Affine::identity(); right.c.len()]);
    refused(verify_from(&zeros, &right, Stage::Final, &quiet), undivided("C"));
    let empty = Zkey { c: Vec::new(), ..right.clone() };
    assert!(verify_from(&initial(Vec::new()), &empty, Stage::Final, &quiet).is_ok());
    changed(&|key| key.delta1 = -key.delta1, CeremonyError::Delta { group: "G1" });
    changed(&|key| key.delta2 = -key.delta2, CeremonyError::Delta { group: "G2" });
    let last = |key: &mut Zkey| {
        key.delta1 = -key.delta1;
        key.contributions[2].delta_after = key.delta1;
    };
    changed(&last, flaw(3, Flaw::Delta));
}

#[test]
fn beacons_that_are_none() {
    let Some(scene) = Scene::get() else { return };
    refused(ended(scene, &scene.key("second")), CeremonyError::NoBeacon);
    let right = scene.key("ended");
    let with = |beacon| {
        let mut key = right.clone();
        key.contributions[2].beacon = beacon;
        key
    };
    refused(ended(scene, &with(None)), CeremonyError::NoBeacon);
    for iterations_exponent in [11, 12] {
        let other = Beacon { iterations_exponent, ..beacon() };
        refused(ended(scene, &with(Some(other))), flaw(3, Flaw::Beacon));
    }
    for iterations_exponent in [0, 9, 33, 63, 64, 255] {
        let other = Beacon { iterations_exponent, ..beacon() };
        refused(ended(scene, &with(Some(other))), flaw(3, Flaw::Exponent(iterations_exponent)));
    }
    let mut value = beacon().value;
    value[31] ^= 1;
    refused(ended(scene, &with(Some(Beacon { value, ..beacon() }))), flaw(3, Flaw::Beacon));
    // A secret that is said to be a beacon, with nothing of it, with its base, with its secret.
    let Beacon { iterations_exponent, value } = beacon();
    let mut rng = SnarkRng::from_beacon(&value, iterations_exponent);
    let (known, base, other) = (rng.fr(), rng.g1(), G1Affine::rand(&mut OsRng));
    for (secret, base) in [(secret(), other), (secret(), base), (known, other)] {
        let mut key = Step::of(secret).take_with(&scene.key("second"), base);
        key.contributions[2].beacon = Some(beacon());
        refused(ended(scene, &key), flaw(3, Flaw::Beacon));
    }
    // A beacon and nothing else: everybody can compute δ.
    let (from, to) = (scene.file("initial.zkey"), scene.file("only-a-beacon.zkey"));
    contribute::beacon(Zkey::open(&from).expect("a key"), &to, "", &beacon(), &quiet)
        .expect("as a step it is right");
    let key = Zkey::open(&to).expect("a key");
    assert!(any(scene, &key).is_ok());
    refused(ended(scene, &key), CeremonyError::NoSecret);
}

#[test]
fn a_contribution_after_the_beacon_though_snarkjs_makes_and_accepts_it() {
    let Some(scene) = Scene::get() else { return };
    let (from, to) = (scene.file("ended.zkey"), scene.file("after.zkey"));
    snarkjs(&["zkey", "contribute", text(&from), text(&to), "--name=late", "-e=typed"]);
    assert!(verify(&scene.r1cs, &scene.ptau, &to).is_some());
    refused(any(scene, &Zkey::open(&to).expect("a key")), flaw(3, Flaw::BeaconNotLast));
}
