//! Forced exits: all of the balance, to the owner, in the slot's own place, or nothing at all.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_circuits::journal::{class, flag};
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
        // Without the flag on the row, the posting differs.
        let mut w = w;
        w.rows[15].flags[3] = Fr::ZERO;
        assert_eq!(judge(&w).violated.len(), 1, "the posting check");
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
    // Some of the balance, all of it, with and without `all` on the row.
    for (amount, all) in [(1, 0), (500, 0), (500, 1)] {
        let mut w = honest.clone();
        w.exits[0].amount = fr(amount);
        w.rows[15].after = fr(500 - amount);
        w.rows[15].flags[3] = fr(all);
        assert!(!judge(&w).satisfied(), "{amount} {all}");
    }
    // The journal calls the stranger the owner, on its side or on both.
    let mut w = honest.clone();
    w.exits[0].owner = wallet(9).1.to_fr();
    w.exits[0].amount = fr(500);
    w.rows[15].after = Fr::ZERO;
    w.rows[15].flags[3] = ONE;
    assert_eq!(judge(&w).violated.len(), 1, "the posting check");
    w.rows[15].owner = wallet(9).1.to_fr();
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
}

#[test]
fn a_forced_exit_at_another_place_than_its_slot_is_refused() {
    let scene = forced();
    let mut w = scene.honest();
    w.exits[0].order = fr(5);
    w.rows[15].composite = fr(composite(2, class::FORCED, 5, 0));
    assert_eq!(judge(&w).violated.len(), 1);
}

#[test]
fn a_forced_exit_before_the_same_users_collect_is_refused() {
    // Class 2 instead of 4: the exit would run before the collect and leave it behind.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 5, 10);
    scene.collect(2, 10);
    scene.force(2, wallet(2).1);
    let mut w = scene.honest();
    let mut rows = active_rows(&w);
    let forced = row_at(&w, 2, class::FORCED, 0, 0) - (16 - rows.len());
    let collect = row_at(&w, 2, class::COLLECT, 0, 1) - (16 - rows.len());
    rows[forced].0 = composite(2, class::SIGNED, 9, 0);
    rows[forced].1.composite = fr(rows[forced].0);
    rows[forced].1.before = fr(505);
    rows[collect].1.before = Fr::ZERO;
    rows[collect].1.after = fr(10);
    w.exits[0].amount = fr(505);
    place(&mut w, rows);
    assert!(!judge(&w).satisfied());
}

#[test]
fn a_forced_exit_does_not_touch_the_nonce() {
    let scene = forced();
    let mut w = scene.honest();
    w.rows[15].flags[2] = ONE;
    scene.refuses(&w);
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
            0 => (w.exits[0].asset, w.rows[15].asset) = (ONE, ONE),
            1 => (w.exits[0].amount, w.rows[15].before) = (ONE, ONE),
            _ => {
                let owner = wallet(9).1.to_fr();
                (w.exits[0].owner, w.rows[15].owner, w.rows[15].flags[3]) = (owner, owner, ONE);
            }
        }
        scene.refuses(&w);
    }
}

#[test]
fn a_signed_exit_does_not_pass_as_forced_nor_the_other_way() {
    let mut scene = Scene::new();
    scene.exit(2, 2, 500, 0, wallet(2).1);
    let honest = scene.honest();
    let mut w = honest.clone();
    w.exits[0].forced = ONE;
    scene.refuses(&w);
    // With the row of a forced exit: accepted by the circuit, but it says so in the data (y), and
    // the contract matches it with the queue.
    let names = [flag::ACTIVE, flag::ALL, flag::NAMES_OWNER].iter().sum::<u64>();
    w.rows[15].flags = std::array::from_fn(|bit| fr(names >> bit & 1));
    w.rows[15].composite = fr(composite(2, class::FORCED, 0, 0));
    let verdict = judge(&w);
    assert!(verdict.accepted(&scene.before, &w));
    let elements = scene.sealed().data.elements(&shape());
    let y = kerros_protocol::batch::evaluate(&elements, verdict.z);
    assert_ne!(verdict.outputs.y, y);
    // And a forced record dressed as signed has no signature.
    let scene = forced();
    let mut w = scene.honest();
    w.exits[0].forced = Fr::ZERO;
    w.rows[15].flags =
        std::array::from_fn(|bit| fr((flag::ACTIVE | flag::BUMP | flag::NAMES_KEY) >> bit & 1));
    w.rows[15].composite = fr(composite(2, class::SIGNED, 0, 0));
    scene.refuses(&w);
}
