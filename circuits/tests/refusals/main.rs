//! What the circuit must refuse, each with the witness overwritten directly.
//!
//! A witness is accepted if it satisfies all constraints and its openings are the state's (the
//! KZG half of the main chain's check, see `support`). Where a test changes one thing and repairs
//! everything that follows from it, it also pins how few constraints are left to refuse it: that
//! is what shows which rule it is.

#![allow(clippy::unwrap_used)] // a test may panic

mod amounts;
mod authorisation;
mod forced;
mod opens;
mod padding;
mod paths;
mod records;
#[path = "../support/mod.rs"]
mod support;

use ark_bn254::Fr;
use ark_ff::Field;
use kerros_protocol::transaction::Transaction;
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

trait IntoTransaction {
    fn into_transaction(self) -> Transaction;
}

impl IntoTransaction for kerros_protocol::transaction::Transfer {
    fn into_transaction(self) -> Transaction {
        Transaction::Transfer(self)
    }
}

#[test]
fn the_honest_batch_is_accepted_and_the_forge_lays_it_out_alike() {
    for scene in [Scene::new(), Scene::everything()] {
        let executed = scene.execute().unwrap();
        let verdict = judge(&executed.witness);
        assert_eq!(verdict.violated, Vec::<usize>::new());
        assert!(verdict.accepted(&scene.before, &executed.witness));
        assert!(verdict.updates(&scene.before, &executed.after));
        assert_eq!(judge(&scene.forged()).assignment, verdict.assignment);
    }
}
