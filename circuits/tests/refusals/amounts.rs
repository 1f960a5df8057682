//! How much there is and how far numbers go: balances and ranges.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::journal::class;
use kerros_protocol::account::Address;
use kerros_protocol::commitment::point;

// Balances ------------------------------------------------------------------------------------

#[test]
fn a_spend_above_the_balance_is_refused() {
    for (amount, fee) in [(501, 0), (500, 1), (u64::MAX, 0), (1, 20_470_000)] {
        let mut scene = Scene::new();
        scene.pay(2, 2, 1, amount, fee);
        if fee > 0 {
            scene.collect(1, fee);
        }
        scene.must_be_refused();
        // With a balance that would suffice the circuit is content, but it is not the state's.
        let mut w = scene.forged();
        let before = fr(u64::MAX);
        let row = row_at(&w, 2, class::SIGNED, 0, 0);
        w.rows[row].before = before;
        w.rows[row].after = before - fr(amount) - fr(fee);
        if amount < u64::MAX {
            assert!(judge(&w).satisfied());
        }
        scene.refuses(&w);
    }
    let mut scene = Scene::new();
    scene.exit(2, 2, 501, 0, Address([9; 20]));
    scene.must_be_refused();
}

#[test]
fn the_largest_fee_does_not_wrap() {
    let mut scene = Scene::new();
    let transfer = scene.transfer_of(1, 2, 1, u16::MAX);
    scene.pay_signed(1, transfer);
    scene.must_be_refused();
}

#[test]
fn a_balance_that_wraps_is_refused() {
    // A credit over 2^64 by transfer, to oneself, by deposit and by collect.
    let mut scene = Scene::new();
    scene.pay(1, 1, 5, 11, 0);
    scene.must_be_refused();
    let mut scene = Scene::new();
    scene.deposit(5, 5, 1, 11);
    scene.must_be_refused();
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 5, 11);
    scene.collect(5, 11);
    scene.must_be_refused();
    // Exactly full is fine.
    let mut scene = Scene::new();
    scene.deposit(5, 5, 1, 10);
    let w = scene.honest();
    assert!(judge(&w).accepted(&scene.before, &w));
}

// Ranges --------------------------------------------------------------------------------------

/// Wires that some constraint makes boolean: `w·(1 − w) = 0`.
fn boolean_wires() -> std::collections::BTreeSet<usize> {
    let is_boolean = |c: &kerros_circuits::builder::Constraint| match (&c.a[..], &c.b[..], &c.c[..])
    {
        ([(w, a)], [(0, one), (v, b)], []) => {
            (w == v && *a == ONE && *one == ONE && *b == -ONE).then_some(*w as usize)
        }
        _ => None,
    };
    compiled().constraints.iter().filter_map(is_boolean).collect()
}

#[test]
fn every_number_has_its_width_and_every_bit_is_boolean() {
    let boolean = boolean_wires();
    type Set = fn(&mut kerros_circuits::batch::BatchWitness, Fr);
    let fields: [(&str, u32, Set); 29] = [
        ("O.index", 28, |w, v| w.opens[0].index = v),
        ("O.asset", 16, |w, v| w.opens[0].asset = v),
        ("O.owner", 160, |w, v| w.opens[0].owner = v),
        ("D.index", 28, |w, v| w.deposits[0].index = v),
        ("D.amount", 64, |w, v| w.deposits[0].amount = v),
        ("D.asset", 16, |w, v| w.deposits[0].asset = v),
        ("T.from", 28, |w, v| w.transfers[0].from = v),
        ("T.to", 28, |w, v| w.transfers[0].to = v),
        ("T.amount", 64, |w, v| w.transfers[0].amount = v),
        ("T.fee", 16, |w, v| w.transfers[0].fee = v),
        ("T.order", 16, |w, v| w.transfers[0].order = v),
        ("T.nonce", 32, |w, v| w.transfers[0].nonce = v),
        ("T.asset", 16, |w, v| w.transfers[0].asset = v),
        ("E.from", 28, |w, v| w.exits[0].from = v),
        ("E.amount", 64, |w, v| w.exits[0].amount = v),
        ("E.fee", 16, |w, v| w.exits[0].fee = v),
        ("E.asset", 16, |w, v| w.exits[0].asset = v),
        ("E.recipient", 160, |w, v| w.exits[0].recipient = v),
        ("E.order", 16, |w, v| w.exits[0].order = v),
        ("E.nonce", 32, |w, v| w.exits[0].nonce = v),
        ("F.to", 28, |w, v| w.collects[0].to = v),
        ("F.amount", 64, |w, v| w.collects[0].amount = v),
        ("L.before", 64, |w, v| w.rows[0].before = v),
        ("L.after", 64, |w, v| w.rows[0].after = v),
        ("L.nonce", 32, |w, v| w.rows[0].nonce = v),
        ("L.asset", 16, |w, v| w.rows[0].asset = v),
        ("last L.before", 64, |w, v| w.rows[15].before = v),
        ("E[1].amount", 64, |w, v| w.exits[1].amount = v),
        ("T[3].amount", 64, |w, v| w.transfers[3].amount = v),
    ];
    let empty = kerros_circuits::batch::BatchWitness::empty(&shape(), K, fr(DOMAIN));
    let assignment = |set: Set, value: Fr| {
        let mut w = empty.clone();
        set(&mut w, value);
        judge_quietly(&w)
    };
    let zero = judge_quietly(&empty);
    for (name, width, set) in fields {
        let two = Fr::from(2u64);
        let ones = two.pow([u64::from(width)]) - ONE;
        let full = assignment(set, ones);
        // The first wires that differ are the bits.
        let first = (0..zero.len()).find(|i| *i > 9 && zero[*i] != full[*i]).unwrap();
        for bit in first..first + width as usize {
            assert_eq!((zero[bit], full[bit]), (Fr::ZERO, ONE), "{name}: width {width}");
            assert!(boolean.contains(&bit), "{name}: bit {} is free", bit - first);
        }
        let next = assignment(set, two.pow([u64::from(width)]));
        assert_eq!(next, zero, "{name}: a bit above the width exists");
    }
    for flag in ["active", "open", "bump", "all", "names_key", "names_owner"] {
        for row in 0..16 {
            assert!(boolean.contains(&wire(&format!("L[{row}].{flag}"))));
        }
    }
    for slot in 0..2 {
        assert!(boolean.contains(&wire(&format!("E[{slot}].forced"))));
    }
}

/// The assignment alone.
fn judge_quietly(w: &kerros_circuits::batch::BatchWitness) -> Vec<Fr> {
    use kerros_circuits::builder::Builder;
    let mut b = Builder::witness_only();
    let draw = |_| Ok::<_, std::convert::Infallible>((fr(7), fr(11)));
    _ = kerros_circuits::batch::synthesize(&mut b, &shape(), w, draw);
    b.into_assignment()
}

#[test]
fn a_collect_in_an_asset_out_of_range_is_refused() {
    let scene = Scene::everything();
    let mut w = scene.honest();
    w.collects[0].asset += fr(1 << 16);
    scene.refuses(&w);
}

#[test]
fn forced_is_zero_or_one() {
    let scene = Scene::everything();
    for (slot, forced) in [(0, 2u64), (1, 2), (1, 3)] {
        let mut w = scene.honest();
        w.exits[slot].forced = fr(forced);
        scene.refuses(&w);
    }
}

#[test]
fn an_index_at_or_above_n_is_refused() {
    let mut scene = Scene::new();
    scene.open(16, 6, 1);
    scene.must_be_refused();
    let mut w = scene.forged();
    assert_eq!(judge(&w).violated.len(), 1, "the range of the last row's index");
    w.n = fr(32);
    assert!(judge(&w).satisfied(), "nothing else is wrong with it");
    // The last index of the ledger is fine.
    let mut scene = Scene::new();
    scene.open(15, 6, 1);
    let w = scene.honest();
    assert!(judge(&w).accepted(&scene.before, &w));
    // Neither does a composite that wraps below zero help.
    let mut w = scene.honest();
    w.rows[15].composite = -ONE;
    scene.refuses(&w);
}

#[test]
fn index_zero_is_refused() {
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let mut w = scene.honest();
    w.opens[0].index = Fr::ZERO;
    w.rows[15].composite = fr(composite(0, class::OPEN, 0, 1));
    w.rows[15].x = point(0);
    scene.refuses(&w);
    // A forced no-op on index 0, and a collect.
    let mut scene = Scene::new();
    scene.force(9, wallet(9).1);
    let mut w = scene.honest();
    w.exits[0].from = Fr::ZERO;
    w.rows[15].composite = fr(composite(0, class::FORCED, 0, 0));
    w.rows[15].x = point(0);
    scene.refuses(&w);
    // With x of another account, the row is not the one posted.
    w.rows[15].x = point(9);
    scene.refuses(&w);
}
