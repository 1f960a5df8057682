//! A small circuit over a small phase 1, and files of it that snarkjs made.

use crate::snarkjs::{powers_of_tau, scripts, snarkjs, text};
use ark_bn254::Fr;
use kerros_circuits::builder::{Builder, INPUT_COUNT, Num};
use kerros_circuits::groth16::Compiled;
use kerros_protocol::batch::Shape;
use kerros_setup::binfile::Bytes;
use kerros_setup::ptau::Ptau;
use kerros_setup::r1cs;
use kerros_setup::zkey::Zkey;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Beacons of two phases 1.
pub const SEEDS: [&str; 2] = ["0102030405060708", "0908070605040302"];
/// Power of both.
pub const POWER: u32 = 6;

/// A circuit of some 20 constraints over all public inputs; another `coefficient` gives another.
pub fn circuit(coefficient: u64) -> Compiled {
    let mut b = Builder::recording();
    let inputs: Vec<_> = (0..INPUT_COUNT - 1).map(|i| b.input(i, Fr::from(i as u64))).collect();
    let mut last = b.mul(&inputs[0], &inputs[1]);
    for input in inputs.iter().chain(&inputs[..6]) {
        let sum = &(&last * Fr::from(coefficient)) - input;
        last = b.mul(&sum, &(&last + &Num::one()));
    }
    // A row without A, a wire in C only, one in no row.
    b.enforce_equal(&inputs[3], &inputs[3]);
    let product = b.wire(Fr::from(20u64));
    b.enforce(&inputs[4], &inputs[5], &product);
    b.wire(Fr::from(1u64));
    let (constraints, parts, variables) = b.into_constraints();
    let shape = Shape { opens: 1, deposits: 1, transfers: 1, exits: 1, collects: 1 };
    Compiled { shape, constraints, parts, variables }
}

/// Files that snarkjs made, but the circuit's.
pub struct Scene {
    dir: TempDir,
    pub ptau: PathBuf,
}

impl Scene {
    /// The one scene of all tests; nothing without snarkjs.
    pub fn get() -> Option<&'static Self> {
        static SCENE: OnceLock<Scene> = OnceLock::new();
        scripts()?;
        Some(SCENE.get_or_init(|| {
            let scene = Self {
                dir: TempDir::new().expect("temporary directory"),
                ptau: powers_of_tau(POWER, SEEDS[0]),
            };
            ceremony(scene.dir.path(), &circuit(3), &scene.ptau);
            scene
        }))
    }
    /// A file of [`ceremony`].
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// Its bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("snarkjs made it")
    }
    /// A key of [`ceremony`].
    pub fn key(&self, name: &str) -> Zkey {
        Zkey::open(&self.path(name)).expect("snarkjs made it")
    }
    /// Phase 1 in memory.
    pub fn phase1(&self) -> Vec<u8> {
        fs::read(&self.ptau).expect("snarkjs made it")
    }
}

/// Phase 1 out of bytes.
pub fn ptau(bytes: Vec<u8>) -> Ptau {
    Ptau::from_bytes(Bytes::Owned(bytes)).expect("a phase 1")
}

/// Puts `circuit.r1cs` into `dir`, and snarkjs' `initial.zkey`, `contributed.zkey` and `ended.zkey`.
pub fn ceremony(dir: &Path, circuit: &Compiled, ptau: &Path) {
    let at = |name: &str| dir.join(name);
    let (r1cs, initial) = (at("circuit.r1cs"), at("initial.zkey"));
    let (contributed, ended) = (at("contributed.zkey"), at("ended.zkey"));
    r1cs::save(&r1cs, &circuit.constraints, circuit.variables).expect("written");
    snarkjs(&["groth16", "setup", text(&r1cs), text(ptau), text(&initial)]);
    let [initial, contributed, ended] = [&initial, &contributed, &ended].map(|path| text(path));
    snarkjs(&["zkey", "contribute", initial, contributed, "--name=somebody", "-e=some text"]);
    snarkjs(&["zkey", "beacon", contributed, ended, "aabbccdd", "10", "-n=the end"]);
}
