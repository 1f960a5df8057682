//! The shape of the circuit, pinned: a change here is a change of every key.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::Fr;
use ark_ff::Field;
use kerros_circuits::builder::{Builder, INPUT_COUNT};
use kerros_circuits::groth16::Compiled;
use kerros_circuits::report::{PartReport, report};
use kerros_protocol::batch::Shape;
use kerros_protocol::transcript::PUBLIC_INPUTS;
use std::convert::Infallible;
use support::*;

#[test]
fn constraints_by_part() {
    let report = report(&shape());
    let parts: Vec<(&str, usize)> =
        report.parts.iter().map(|part| (part.part.as_str(), part.constraints)).collect();
    let pinned = [
        ("journal: opens", 472),
        ("journal: deposits", 642),
        ("journal: transfers", 2372),
        ("signature: message", 1776),
        ("signature: curve", 10290),
        ("signature: scalars", 1530),
        ("signature: hash", 1932),
        ("journal: exits", 1052),
        ("journal: collects", 638),
        ("touched accounts", 556),
        ("sponge", 1804),
        ("data", 20),
        ("accesses: links", 135),
        ("accesses: openings", 91),
        ("fees", 9),
    ];
    assert_eq!(parts, pinned);
    assert_eq!(report.constraints_total, 23_319);
    assert_eq!(report.constraints_per_transfer, 3_399.25);
    // All of a transfer but its signature (message, scalars, curve and hash).
    let rest = |part: &&PartReport| !part.part.starts_with("signature");
    let rest: f64 = report.parts.iter().filter(rest).map(|part| part.per_transfer).sum();
    assert_eq!(rest, 810.25);
    assert_eq!(report.constraints_total, compiled().constraints.len());
}

#[test]
fn the_matrices_are_frozen() {
    let digest = blake3::Hash::from_bytes(compiled().digest());
    assert_eq!(
        digest.to_hex().as_str(),
        "f009976a987e4513596f94e83cd28dbb9d5b9d2230844176b338449e7a10714f"
    );
    let other = Compiled::new(&Shape::new([2, 2, 5, 2, 2]).unwrap());
    assert_ne!(other.digest(), compiled().digest());
}

#[test]
fn the_public_inputs_are_these_in_this_order() {
    assert_eq!(PUBLIC_INPUTS, ["h", "beta", "z", "y", "A", "Delta", "Z", "n", "domain"]);
    assert_eq!(INPUT_COUNT, 10);
    let scene = Scene::everything();
    let verdict = judge(&scene.honest());
    let outputs = verdict.outputs;
    let (a, delta, z_s) = (outputs.a, outputs.delta, outputs.z_s);
    let one = <Fr as Field>::ONE;
    let (n, domain) = (fr(16), fr(DOMAIN));
    let inputs = [one, outputs.h, verdict.beta, verdict.z, outputs.y, a, delta, z_s, n, domain];
    assert_eq!(verdict.assignment[..INPUT_COUNT], inputs);
    // Every public input is in some constraint.
    for input in 0..INPUT_COUNT as u32 {
        let has = |terms: &Vec<(u32, Fr)>| terms.iter().any(|(wire, _)| *wire == input);
        let used = compiled().constraints.iter().any(|c| has(&c.a) || has(&c.b) || has(&c.c));
        assert!(used, "public input {input}");
    }
}

#[test]
fn the_circuit_does_not_depend_on_the_witness() {
    for scene in [Scene::new(), Scene::everything()] {
        let mut b = Builder::recording();
        let draw = |h| Ok::<_, Infallible>(challenges(h));
        _ = kerros_circuits::batch::synthesize(&mut b, &shape(), &scene.honest(), draw);
        assert!(b.constraints() == compiled().constraints, "the very same matrices");
    }
}
