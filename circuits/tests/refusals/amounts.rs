//! How much there is and how far numbers go: balances and ranges.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::access::LinkWitness;
use kerros_protocol::account::Address;

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
        assert!(!judge(&w).satisfied(), "what is left is out of range");
        w.transfers[0].before = fr(u64::MAX);
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

/// Wires that some constraint makes 0 or another wire: `w·(v − w) = 0`.
fn flag_wires() -> std::collections::BTreeSet<usize> {
    let is_flag = |c: &kerros_circuits::builder::Constraint| match (&c.a[..], &c.b[..], &c.c[..]) {
        ([(w, a)], [(_, one), (v, b)], []) => {
            (w == v && *a == ONE && *one == ONE && *b == -ONE).then_some(*w as usize)
        }
        _ => None,
    };
    compiled().constraints.iter().filter_map(is_flag).collect()
}

#[test]
fn every_number_has_its_width_and_every_bit_is_boolean() {
    let boolean = boolean_wires();
    type Set = fn(&mut kerros_circuits::batch::BatchWitness, Fr);
    let fields: [(&str, u32, Set); 43] = [
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
        ("D.before", 64, |w, v| w.deposits[0].before = v),
        ("D.nonce", 32, |w, v| w.deposits[0].nonce = v),
        ("D.gap", 19, |w, v| w.deposits[0].link.gap = v),
        ("T.before", 64, |w, v| w.transfers[0].before = v),
        ("T.gap", 19, |w, v| w.transfers[0].link.gap = v),
        ("T.payee_before", 64, |w, v| w.transfers[0].payee_before = v),
        ("T.payee_nonce", 32, |w, v| w.transfers[0].payee_nonce = v),
        ("T.payee_gap", 19, |w, v| w.transfers[0].payee_link.gap = v),
        ("E.before", 64, |w, v| w.exits[0].before = v),
        ("E.gap", 19, |w, v| w.exits[0].link.gap = v),
        ("F.before", 64, |w, v| w.collects[0].before = v),
        ("F.nonce", 32, |w, v| w.collects[0].nonce = v),
        ("F.gap", 19, |w, v| w.collects[0].link.gap = v),
        ("T[3].before", 64, |w, v| w.transfers[3].before = v),
        ("T[3].payee_before", 64, |w, v| w.transfers[3].payee_before = v),
        ("T[3].payee_nonce", 32, |w, v| w.transfers[3].payee_nonce = v),
        ("E[1].before", 64, |w, v| w.exits[1].before = v),
        ("F[1].before", 64, |w, v| w.collects[1].before = v),
        ("D[1].before", 64, |w, v| w.deposits[1].before = v),
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
    let flags = flag_wires();
    for slot in 0..4 {
        for flag in ["first", "last", "payee_first", "payee_last"] {
            assert!(flags.contains(&wire(&format!("T[{slot}].{flag}"))));
        }
    }
    for slot in 0..2 {
        for flag in ["D.first", "D.last", "E.first", "E.last", "F.first", "F.last", "O.last"] {
            let (section, flag) = flag.split_once('.').unwrap();
            assert!(flags.contains(&wire(&format!("{section}[{slot}].{flag}"))));
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
    assert_eq!(judge(&w).violated.len(), 1, "the range of the last touched index");
    w.n = fr(32);
    assert!(judge(&w).satisfied(), "nothing else is wrong with it");
    // The last index of the ledger is fine.
    let mut scene = Scene::new();
    scene.open(15, 6, 1);
    let honest = scene.honest();
    assert!(judge(&honest).accepted(&scene.before, &honest));
    // Neither does a table that wraps below zero help, nor one that starts below its fillers.
    let last = honest.touched.len() - 1;
    for (at, value) in [(last, -ONE), (0, -fr(17)), (0, -fr(18)), (0, -fr(1 << 28))] {
        let mut w = honest.clone();
        w.touched[at] = value;
        scene.refuses(&w);
    }
}

#[test]
fn index_zero_is_refused() {
    let mut open = Scene::new();
    open.open(6, 6, 1);
    // A forced no-op on index 0, and a collect of nothing.
    let mut force = Scene::new();
    force.force(9, wallet(9).1);
    let mut collect = Scene::new();
    collect.collect(1, 5);
    type Set = fn(&mut kerros_circuits::batch::BatchWitness);
    let cases: [(Scene, Set, u64); 3] = [
        (open, |w| w.opens[0].index = Fr::ZERO, 6),
        (force, |w| w.exits[0].from = Fr::ZERO, 9),
        (collect, |w| w.collects[0].to = Fr::ZERO, 1),
    ];
    for (scene, set, index) in cases {
        let mut w = scene.forged();
        let without = judge(&w).violated.len();
        set(&mut w);
        // With the place of its old index in the table, with 0 twice, and as a filler.
        scene.refuses(&w);
        let at = w.touched.iter().position(|value| *value == fr(index)).unwrap();
        w.touched[at] = Fr::ZERO;
        assert_eq!(judge(&w).violated.len(), without + 1, "0 stands in the table already");
        scene.refuses(&w);
        w.touched[at - 1] = -fr(1);
        scene.refuses(&w);
    }
    // Without a place in the table: then it is not first, and reads what nobody wrote.
    let mut scene = Scene::new();
    scene.force(9, wallet(9).1);
    let mut w = scene.honest();
    w.exits[0].from = Fr::ZERO;
    w.exits[0].link = LinkWitness { last: ONE, ..LinkWitness::default() };
    w.touched = kerros_circuits::batch::BatchWitness::empty(&shape(), K, Fr::ZERO).touched;
    assert_eq!(judge(&w).violated.len(), 1);
}
