//! From records to a verified proof, in Rust and in the contract's bytecode.

use ark_bn254::Fr;
use kerros_protocol::transcript::statement;
use kerros_prover::prove::prove_batch;
use kerros_tests::world::{everything, wallet};
use kerros_tests::{World, keys};
use kerros_verifier::{verify_batch, verify_growth};
use rand::rngs::OsRng;

#[test]
fn a_batch_with_every_kind_of_record_is_proved_and_verified() {
    let keys = keys::small();
    let domain = Fr::from(4242u64);
    let shape = keys.verification.shape;
    let mut world = World::new(shape, keys::K_GENESIS, domain);
    let before = world.sealed.clone();
    everything(&mut world);
    let batch = world.seal(|k| keys.lagrange(k).expect("size"));
    let proved = prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable");
    assert_eq!(proved.after, world.sealed);
    let statement = statement(&keys.verification, domain, &batch);
    verify_batch(&keys.verification, &statement, &batch.data, &proved.proof).expect("verifies");

    // The next batch grows the ledger and uses an index that only exists then.
    world.grow();
    world.open(20, 3, 1);
    world.transfer(1, 1, 20, 100, 0);
    world.force(1, wallet(9).1);
    let before = proved.after;
    let batch = world.seal(|k| keys.lagrange(k).expect("size"));
    let stored = batch.before_growth.expect("grows");
    verify_growth(&keys.verification, &stored, &batch.old, 4).expect("growth");
    assert!(verify_growth(&keys.verification, &batch.old, &batch.old, 4).is_err());
    let proved = prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable");
    let statement = kerros_protocol::transcript::statement(&keys.verification, domain, &batch);
    verify_batch(&keys.verification, &statement, &batch.data, &proved.proof).expect("verifies");
    println!("{:?}", proved.phases);
}
