//! Posting, fees and openings: the journal, the ledger and the state say the same.

use crate::support::*;
use crate::{IntoTransaction, ONE};
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_circuits::journal::class;
use kerros_protocol::account::Address;
use kerros_protocol::commitment::point;

// Posting -------------------------------------------------------------------------------------

#[test]
fn a_posting_that_is_missing_is_refused() {
    let scene = Scene::everything();
    let honest = scene.honest();
    for missing in 0..16 {
        let mut w = honest.clone();
        let mut rows = active_rows(&w);
        rows.remove(missing);
        place(&mut w, rows);
        assert!(!judge(&w).satisfied(), "row {missing}");
    }
}

#[test]
fn a_posting_made_twice_is_refused() {
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 77);
    let honest = scene.honest();
    for second in [composite(1, class::DEPOSIT, 0, 1), composite(1, class::DEPOSIT, 1, 1)] {
        let mut w = honest.clone();
        let mut rows = active_rows(&w);
        let mut row = rows[0].1;
        row.before = row.after;
        row.after += fr(77);
        row.composite = fr(second);
        rows.push((second, row));
        place(&mut w, rows);
        assert!(!judge(&w).satisfied());
    }
}

#[test]
fn every_column_of_a_posting_is_compared() {
    let scene = Scene::everything();
    let honest = scene.honest();
    for row in 0..16 {
        for bit in 1..6 {
            let mut w = honest.clone();
            w.rows[row].flags[bit] = ONE - w.rows[row].flags[bit];
            assert!(!judge(&w).satisfied(), "row {row} flag {bit}");
        }
        for change in 0..4 {
            let mut w = honest.clone();
            let r = &mut w.rows[row];
            match change {
                0 => r.composite += ONE + ONE,
                1 => r.x = point(14),
                2 => r.after += ONE,
                _ => r.asset += ONE,
            }
            assert!(!judge(&w).satisfied(), "row {row} column {change}");
        }
    }
}

#[test]
fn a_credit_in_another_asset_is_refused() {
    let mut scene = Scene::new();
    scene.pay(1, 1, 3, 100, 0);
    scene.must_be_refused();
    // The payee's row in the payer's asset: not the state's.
    let mut w = scene.forged();
    let row = row_at(&w, 3, class::SIGNED, 0, 1);
    w.rows[row].asset = ONE;
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
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
        // The journal names what was signed: the signature is good, the posting is not.
        let mut w = scene.forged();
        w.transfers[0].payee_key = transfer.payee_key.get();
        w.transfers[0].payee_owner = transfer.payee_owner.to_fr();
        let message = transfer.into_transaction().message(fr(DOMAIN));
        w.transfers[0].signature = signature_of(&scene.transfers[0], message);
        assert_eq!(judge(&w).violated.len(), 1, "the posting check");
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
    // Calling the collect's asset the fee's: the row it is posted to has another.
    let mut w = scene.forged();
    w.collects[0].asset = ONE;
    assert_eq!(judge(&w).violated.len(), 1, "the posting check");
}

// Openings ------------------------------------------------------------------------------------

#[test]
fn an_opening_value_that_is_not_the_states_changes_the_equation() {
    // The circuit cannot know; tests/attacks_opening.rs does this with a real proof.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    for change in 0..3 {
        let mut w = scene.honest();
        let row = &mut w.rows[15];
        match change {
            0 => (row.before, row.after) = (row.before + ONE, row.after + ONE),
            1 => row.nonce += ONE,
            _ => row.nonce = Fr::ZERO,
        }
        assert!(judge(&w).satisfied());
        scene.refuses(&w);
    }
}
