//! The attacks of SPEC.md section 9 that touch circuit, transcript or posting, by number.
//!
//! Not here, because they are the contract's: 5 (escape with i ≥ n), 6 (late batch after escapes),
//! 7 (entries that can never be proved), 12 (growth in flight), 18 (queue contents enqueued late),
//! 20 (deadlines ratcheted up), 21 (deposits beyond O), 22 (payout of 0), 24 (post by a contract).

#![allow(clippy::unwrap_used)] // a test may panic

mod records;
mod state;
#[path = "../support/mod.rs"]
mod support;
mod transcript;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::batch::BatchWitness;
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

#[test]
fn a_batch_in_which_nothing_happens_claims_nothing() {
    let w = BatchWitness::empty(&shape(), K, fr(DOMAIN));
    let verdict = judge(&w);
    assert!(verdict.satisfied());
    let outputs = verdict.outputs;
    assert_eq!((outputs.y, outputs.a, outputs.delta), (Fr::ZERO, Fr::ZERO, Fr::ZERO));
    assert_eq!(outputs.z_s, ONE);
}
