//! What the attack tests share: a small state, a sealer without rules, a builder of witnesses that
//! ignores every rejection, and a verdict that stands for the main chain's check.
//!
//! [`forge`] is the cheat: it lays records out exactly as [`kerros_circuits::witness::execute`]
//! does but applies none of the rules, in wrapping arithmetic. [`Verdict`] needs no Groth16 proof:
//! the constraints are evaluated, and the KZG equation is replaced by what it says about the
//! state (SPEC.md section 5).

#![allow(dead_code, missing_docs, unused_imports)] // every test file uses a part of it

mod columns;
mod forge;
mod keys;
mod scene;
mod sites;
mod system;
mod verdict;

pub use columns::*;
pub use forge::*;
pub use keys::*;
pub use scene::*;
pub use sites::*;
pub use system::*;
pub use verdict::*;

use ark_bn254::Fr;
use kerros_circuits::groth16::Compiled;
use kerros_protocol::account::{AccountIndex, AccountKey, Address};
use kerros_protocol::batch::Shape;
use kerros_protocol::eddsa::PrivateKey;
use kerros_protocol::encoding::{fr_to_be, keccak_to_fr};
use std::sync::OnceLock;

/// Chain and contract of these tests.
pub const DOMAIN: u64 = 4242;
/// Size of the ledger.
pub const K: u8 = 4;

pub fn shape() -> Shape {
    Shape::new([2, 2, 4, 2, 2]).unwrap()
}

/// The circuit; without the constraints that `KERROS_WITHOUT` names, to see which attacks they stop.
pub fn compiled() -> &'static Compiled {
    static CIRCUIT: OnceLock<Compiled> = OnceLock::new();
    CIRCUIT.get_or_init(|| {
        let mut compiled = Compiled::new(&shape());
        if let Ok(sites) = std::env::var("KERROS_WITHOUT") {
            let deleted = recorded().rows_at(&sites);
            assert!(!deleted.is_empty(), "no constraint is made at {sites}");
            let mut number = 0..;
            compiled.constraints.retain(|_| !deleted.contains(&number.next().unwrap()));
        }
        compiled
    })
}

/// The circuit's named wires, e.g. `T[3].first`.
pub fn wire(name: &str) -> usize {
    recorded().names[name] as usize
}

pub fn fr(value: u64) -> Fr {
    Fr::from(value)
}

pub fn wallet(w: u8) -> (PrivateKey, Address) {
    (PrivateKey::from_bytes([w; 32]), Address([w; 20]))
}

pub fn key(w: u8) -> AccountKey {
    wallet(w).0.public_key().account_key().unwrap()
}

pub fn index(i: u32) -> AccountIndex {
    AccountIndex::new(i).unwrap()
}

/// β and z as a verifier would: after h.
pub fn challenges(h: Fr) -> (Fr, Fr) {
    let draw = |label: &[u8]| keccak_to_fr(&[label, &fr_to_be(&h)]);
    (draw(b"beta"), draw(b"z"))
}
