//! Forced exits: all of the balance, to the owner, in the slot's own place, or nothing at all.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_circuits::access::{LinkWitness, time};
use kerros_protocol::amount::Fee;

/// Account 2's owner forces it out at slot 0.
fn forced() -> Scene {
    let mut scene = Scene::new();
    scene.force(2, wallet(2).1);
    scene
}

#[test]
fn a_forced_exit_with_a_fee_is_refused() {
    let scene = forced();
    let mut batch = scene.sealed();
    batch.data.exits[0].fee = Fee::exact(1).unwrap();
    // The collect's unit pays the fee, so the whole old balance still leaves.
    batch.data.collects.push(kerros_protocol::batch::CollectRecord { to: index(2), amount: 1 });
    assert!(
        kerros_circuits::witness::execute(&shape(), &scene.before, &batch, fr(DOMAIN)).is_err()
    );
    let w = forge(&scene.before, &batch);
    assert_eq!(judge(&w).violated.len(), 1, "forced exits pay no fee");
    // A float that is worth nothing is refused as well: the contract wants the zero float.
    let mut w = scene.honest();
    w.exits[0].fee = fr(3);
    assert_eq!(judge(&w).violated.len(), 1);
}

#[test]
fn a_forced_exit_of_part_of_the_balance_is_refused() {
    let scene = forced();
    for amount in [0, 1, 499] {
        let mut batch = scene.sealed();
        batch.data.exits[0].amount = amount;
        let w = forge(&scene.before, &batch);
        assert_eq!(judge(&w).violated.len(), 1, "an effective forced exit leaves nothing");
        // With no more before than what leaves, it is not what the state has.
        let mut w = w;
        w.exits[0].before = fr(amount);
        assert!(judge(&w).satisfied());
        scene.refuses(&w);
    }
    let mut batch = scene.sealed();
    batch.data.exits[0].amount = 501;
    scene.refuses(&forge(&scene.before, &batch));
}

#[test]
fn a_stranger_forces_nothing_out() {
    let mut scene = Scene::new();
    scene.force(2, wallet(9).1);
    let honest = scene.honest();
    assert!(judge(&honest).accepted(&scene.before, &honest));
    // Some of the balance, all of it.
    for amount in [1, 500] {
        let mut w = honest.clone();
        w.exits[0].amount = fr(amount);
        assert_eq!(judge(&w).violated.len(), 1, "{amount}: a stranger's exit takes nothing");
    }
    // The record calls the stranger the owner: that is not what the state says, nor what an access
    // before it left.
    let mut w = honest.clone();
    w.exits[0].owner = wallet(9).1.to_fr();
    w.exits[0].amount = fr(500);
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
    scene.deposit(2, 2, 1, 5);
    let mut w = scene.honest();
    w.exits[0].owner = wallet(9).1.to_fr();
    w.exits[0].amount = fr(505);
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
}

#[test]
fn a_forced_exit_at_another_place_than_its_slot_is_refused() {
    let scene = forced();
    let mut w = scene.honest();
    w.exits[0].order = fr(5);
    assert_eq!(judge(&w).violated.len(), 1);
}

#[test]
fn a_forced_exit_before_the_same_users_collect_is_refused() {
    // The exit would run before the collect and leave it behind.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 5, 10);
    scene.collect(2, 10);
    scene.force(2, wallet(2).1);
    let honest = scene.honest();
    let late = fr(time::COLLECT) - fr(time::FORCED) - ONE;
    for gap in [Fr::ZERO, late, -ONE] {
        let mut w = honest.clone();
        w.exits[0].amount = fr(505);
        w.exits[0].before = fr(505);
        // What the exit leaves out are the times up to the payment's credit.
        w.exits[0].link.gap = fr(time::FORCED) - fr(time::SIGNED + 1) - ONE;
        w.exits[0].link.last = Fr::ZERO;
        w.collects[0].before = Fr::ZERO;
        w.collects[0].link = LinkWitness { first: Fr::ZERO, last: ONE, gap };
        assert_eq!(judge(&w).violated.len(), 1, "the collect reads from the past alone");
    }
    // Dressed as a signed exit it would have an earlier time, and no signature.
    let mut w = honest;
    w.exits[0].forced = Fr::ZERO;
    assert!(!judge(&w).satisfied());
}

#[test]
fn a_forced_exit_does_not_touch_the_nonce() {
    let mut scene = forced();
    scene.force(2, wallet(2).1);
    let honest = scene.honest();
    assert!(judge(&honest).accepted(&scene.before, &honest));
    // The second forced exit finds the nonce as it was.
    let mut w = honest;
    w.exits[1].nonce += ONE;
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
}

#[test]
fn a_forced_exit_of_an_empty_account_is_a_no_op() {
    let mut scene = Scene::new();
    scene.force(9, wallet(9).1);
    let executed = scene.execute().unwrap();
    let honest = executed.witness;
    let verdict = judge(&honest);
    assert!(verdict.accepted(&scene.before, &honest));
    assert!(verdict.updates(&scene.before, &executed.after));
    // It neither names an asset nor takes anything.
    for change in 0..3 {
        let mut w = honest.clone();
        match change {
            0 => w.exits[0].asset = ONE,
            1 => (w.exits[0].amount, w.exits[0].before) = (ONE, ONE),
            _ => w.exits[0].owner = wallet(9).1.to_fr(),
        }
        scene.refuses(&w);
    }
}

#[test]
fn a_signed_exit_does_not_pass_as_forced_nor_the_other_way() {
    let mut scene = Scene::new();
    scene.exit(2, 2, 500, 0, wallet(2).1);
    // Signed at another time than its slot's.
    scene.order = 1;
    scene.exits[0].as_mut().unwrap().order = 1;
    let mut w = scene.honest();
    w.exits[0].forced = ONE;
    scene.refuses(&w);
    // At its slot's time: accepted by the circuit, but it says so in the data (y), and the contract
    // matches it with the queue.
    w.exits[0].order = Fr::ZERO;
    let verdict = judge(&w);
    assert!(verdict.accepted(&scene.before, &w));
    let elements = scene.sealed().data.elements(&shape());
    let y = kerros_protocol::batch::evaluate(&elements, verdict.z);
    assert_ne!(verdict.outputs.y, y);
    // And a forced record dressed as signed has no signature.
    let scene = forced();
    let mut w = scene.honest();
    w.exits[0].forced = Fr::ZERO;
    scene.refuses(&w);
}
