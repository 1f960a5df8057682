//! Records, fees and openings: what a record names is what its account is, and sums are kept.

use crate::IntoTransaction;
use crate::support::*;
use kerros_protocol::account::Address;

// Parties -------------------------------------------------------------------------------------

#[test]
fn a_credit_in_another_asset_is_refused() {
    let mut scene = Scene::new();
    scene.pay(1, 1, 3, 100, 0);
    scene.must_be_refused();
    // A transfer has one asset: the payee is read as holding the payer's, which is not the state's.
    assert!(judge(&scene.forged()).satisfied());
    // Nor what an access before it left.
    scene.deposit(3, 3, 2, 5);
    scene.must_be_refused();
    assert_eq!(judge(&scene.forged()).violated.len(), 1, "reads are not writes");
    let mut scene = Scene::new();
    scene.deposit(3, 3, 1, 100);
    scene.must_be_refused();
    let mut scene = Scene::new();
    let mut exit = scene.exit_of(1, 100, 0, Address([9; 20]));
    exit.asset = kerros_protocol::account::AssetId::new(2).unwrap();
    scene.exit_signed(1, exit);
    scene.must_be_refused();
}

#[test]
fn a_credit_to_an_empty_account_is_refused() {
    let mut scene = Scene::new();
    scene.pay(1, 1, 9, 100, 0);
    scene.must_be_refused();
    let mut scene = Scene::new();
    scene.deposit(9, 9, 1, 100);
    scene.must_be_refused();
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 5, 10);
    scene.collect(9, 10);
    scene.must_be_refused();
    // A collect in asset 0, which no fee pays.
    let mut scene = Scene::new();
    scene.collect(9, 0);
    scene.must_be_refused();
}

#[test]
fn a_deposit_to_another_key_or_owner_is_refused() {
    let mut scene = Scene::new();
    scene.deposit(1, 2, 1, 100);
    scene.must_be_refused();
    for owner in [false, true] {
        let mut scene = Scene::new();
        scene.deposit(1, 1, 1, 100);
        match owner {
            true => scene.data.deposits[0].owner = wallet(2).1,
            false => scene.data.deposits[0].key = key(2),
        }
        scene.must_be_refused();
    }
}

#[test]
fn a_transfer_to_another_key_or_owner_than_signed_is_refused() {
    for owner in [false, true] {
        let mut scene = Scene::new();
        let mut transfer = scene.transfer_of(1, 2, 100, 0);
        match owner {
            true => transfer.payee_owner = wallet(3).1,
            false => transfer.payee_key = key(3),
        }
        scene.pay_signed(1, transfer);
        scene.must_be_refused();
        // The record names what was signed: the signature is good, the state has another payee.
        let mut w = scene.forged();
        w.transfers[0].payee_key = transfer.payee_key.get();
        w.transfers[0].payee_owner = transfer.payee_owner.to_fr();
        let message = transfer.into_transaction().message(fr(DOMAIN));
        w.transfers[0].signature = signature_of(&scene.transfers[0], message);
        assert!(judge(&w).satisfied());
        scene.refuses(&w);
    }
}

// Fees ----------------------------------------------------------------------------------------

#[test]
fn fees_are_conserved_in_every_asset() {
    for (first, second) in [(36, 4), (34, 4), (35, 3), (31, 8), (39, 0), (0, 39), (35, 5)] {
        let mut scene = Scene::everything();
        scene.data.collects[0].amount = first;
        scene.data.collects[1].amount = second;
        // The forced exit takes what account 2 then has.
        let mut batch = scene.sealed();
        batch.data.exits[1].amount = batch.data.exits[1].amount + first - 35;
        let w = forge(&scene.before, &batch);
        let verdict = judge(&w);
        assert_eq!(verdict.violated.len(), 1, "{first} {second}: the sum of fees");
    }
}

#[test]
fn a_fee_in_one_asset_is_not_collected_in_another() {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 10);
    scene.collect(3, 10);
    scene.must_be_refused();
    // Calling the collect's asset the fee's: the account has another.
    let mut w = scene.forged();
    w.collects[0].asset = fr(1);
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
}

// Openings ------------------------------------------------------------------------------------

#[test]
fn an_opening_value_that_is_not_the_states_changes_the_equation() {
    // The circuit cannot know; tests/attacks_opening.rs does this with a real proof.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    for change in 0..3 {
        let mut w = scene.honest();
        let deposit = &mut w.deposits[0];
        match change {
            0 => deposit.before += fr(1),
            1 => deposit.nonce += fr(1),
            _ => deposit.nonce = fr(0),
        }
        assert!(judge(&w).satisfied());
        scene.refuses(&w);
    }
}
