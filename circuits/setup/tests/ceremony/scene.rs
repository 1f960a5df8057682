//! A small circuit with its powers of tau, and a ceremony that snarkjs and Kerros held over it.

use crate::snarkjs::{powers_of_tau, script, scripts, snarkjs, text};
use ark_bn254::Fr;
use kerros_circuits::builder::{Builder, INPUT_COUNT, Num};
use kerros_circuits::groth16::Compiled;
use kerros_protocol::batch::Shape;
use kerros_setup::zkey::{Beacon, Zkey};
use kerros_setup::{contribute, r1cs};
use rand::rngs::OsRng;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Names of the steps of [`Scene::ended`].
pub const NAMES: [&str; 3] = ["snarkjs's first", "Kerros' second ✓", "the end of it"];

/// A circuit of some 20 constraints over all public inputs; another `coefficient` gives another.
pub fn circuit(coefficient: u64) -> Compiled {
    let mut b = Builder::recording();
    let inputs: Vec<_> = (0..INPUT_COUNT - 1).map(|i| b.input(i, Fr::from(i as u64))).collect();
    let mut last = b.mul(&inputs[0], &inputs[1]);
    for input in inputs.iter().chain(&inputs[..8]) {
        let sum = &(&last * Fr::from(coefficient)) + input;
        last = b.mul(&sum, &(&last + &Num::one()));
    }
    b.enforce_equal(&last, &inputs[2]);
    // A row without A, and a wire that neither A nor B has.
    b.enforce_equal(&inputs[3], &inputs[3]);
    let wire = b.wire(Fr::from(20u64));
    b.enforce(&inputs[4], &inputs[5], &wire);
    let (constraints, parts, variables) = b.into_constraints();
    let shape = Shape { opens: 1, deposits: 1, transfers: 1, exits: 1, collects: 1 };
    Compiled { shape, constraints, parts, variables }
}

/// Hands a circuit to snarkjs.
pub fn save(circuit: &Compiled, path: &Path) {
    r1cs::save(path, &circuit.constraints, circuit.variables).expect("writable");
}

/// The beacon of the tests.
pub fn beacon() -> Beacon {
    Beacon { iterations_exponent: 10, value: (100..132).collect() }
}

/// A ceremony's files and keys.
pub struct Scene {
    dir: TempDir,
    pub r1cs: PathBuf,
    pub ptau: PathBuf,
    /// Before all contributions.
    pub initial: Zkey,
    /// What snarkjs says is the hash of the first contribution.
    pub first_hash: String,
}

impl Scene {
    /// The one scene of all tests; nothing without snarkjs.
    pub fn get() -> Option<&'static Self> {
        static SCENE: OnceLock<Scene> = OnceLock::new();
        scripts()?;
        Some(SCENE.get_or_init(Self::new))
    }

    fn new() -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let at = |name: &str| dir.path().join(name);
        let (r1cs, ptau) = (at("circuit.r1cs"), powers_of_tau(8, "0102030405060708"));
        save(&circuit(3), &r1cs);
        let files = ["initial.zkey", "first.zkey", "second.zkey", "ended.zkey"].map(at);
        let [initial, first, second, ended] = &files;
        snarkjs(&["groth16", "setup", text(&r1cs), text(&ptau), text(initial)]);
        let random = hex::encode(rand::random::<[u8; 32]>()).repeat(2);
        let first_hash = script(&[
            "contribute-fixed.mjs",
            text(initial),
            text(first),
            NAMES[0],
            "typed",
            &random,
        ]);
        let quiet = |_: &str| ();
        contribute::contribute(
            Zkey::open(first).expect("a key"),
            second,
            NAMES[1],
            b"typed",
            &mut OsRng,
            &quiet,
        )
        .expect("contributes");
        contribute::beacon(Zkey::open(second).expect("a key"), ended, NAMES[2], &beacon(), &quiet)
            .expect("ends");
        let initial = Zkey::open(initial).expect("snarkjs made it");
        Self { dir, r1cs, ptau, initial, first_hash }
    }

    /// Where a file of that name is, or may be put.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A key of the ceremony: "first", "second" or "ended".
    pub fn key(&self, name: &str) -> Zkey {
        Zkey::open(&self.file(&format!("{name}.zkey"))).expect("a key")
    }
}
