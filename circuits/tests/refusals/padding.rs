//! Padding: unused rows and slots carry nothing, and what is free in them does nothing.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_circuits::journal::class;
use kerros_circuits::ledger::RowWitness;
use kerros_protocol::commitment::point;

#[test]
fn an_inactive_row_carries_nothing() {
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    let honest = scene.honest();
    for row in [0, 7, 14] {
        for change in 0..13 {
            let mut w = honest.clone();
            let r = &mut w.rows[row];
            match change {
                0 => r.key = ONE,
                1 => r.owner = ONE,
                2 => r.before = ONE,
                3 => r.after = ONE,
                4 => r.nonce = ONE,
                5 => r.asset = ONE,
                6 => r.composite += ONE,
                7 => r.x = point(1),
                bit => r.flags[bit - 7] = ONE,
            }
            assert!(!judge(&w).satisfied(), "row {row} change {change}");
        }
    }
}

#[test]
fn an_active_row_without_a_record_is_refused() {
    let scene = Scene::new();
    let mut w = scene.honest();
    let account = scene.get(1);
    w.rows[15] = RowWitness {
        key: account.key,
        owner: account.owner.to_fr(),
        before: fr(account.balance),
        after: fr(account.balance + 1),
        nonce: Fr::from(account.nonce),
        asset: ONE,
        flags: [ONE, Fr::ZERO, Fr::ZERO, Fr::ZERO, Fr::ZERO, Fr::ZERO],
        composite: fr(composite(1, class::COLLECT, 0, 1)),
        x: point(1),
    };
    assert_eq!(judge(&w).violated.len(), 1, "the posting check");
}

#[test]
fn padding_of_a_section_is_all_zero() {
    let scene = Scene::new();
    type Set = fn(&mut kerros_circuits::batch::BatchWitness);
    let cases: [(&str, Set); 11] = [
        ("O.key", |w| w.opens[1].key = ONE),
        ("D.key", |w| w.deposits[1].key = ONE),
        ("D.owner", |w| w.deposits[1].owner = ONE),
        ("T.key", |w| w.transfers[3].key = ONE),
        ("T.payee_key", |w| w.transfers[3].payee_key = ONE),
        ("T.payee_owner", |w| w.transfers[3].payee_owner = ONE),
        ("E.asset", |w| w.exits[1].asset = ONE),
        ("E.recipient", |w| w.exits[1].recipient = ONE),
        ("E.key", |w| w.exits[1].key = ONE),
        ("E.owner", |w| w.exits[1].owner = ONE),
        ("T.amount alone", |w| w.transfers[3].amount = ONE),
    ];
    for (name, set) in cases {
        let mut w = scene.honest();
        set(&mut w);
        assert!(!judge(&w).satisfied(), "{name}");
    }
}

#[test]
fn what_is_free_in_padding_does_nothing() {
    // t, nonce and asset of an unused slot are absorbed but enter nothing: no fee, no entry.
    let scene = Scene::new();
    let honest = judge(&scene.honest());
    let mut w = scene.honest();
    w.transfers[3].order = fr(9);
    w.transfers[3].nonce = fr(9);
    w.transfers[3].asset = fr(9);
    w.exits[1].order = fr(9);
    w.exits[1].nonce = fr(9);
    w.collects[1].asset = fr(9);
    let verdict = judge(&w);
    assert!(verdict.satisfied());
    assert_ne!(verdict.outputs.h, honest.outputs.h);
    let zero = Fr::ZERO;
    let got = (verdict.outputs.y, verdict.outputs.a, verdict.outputs.delta, verdict.outputs.z_s);
    assert_eq!(got, (zero, zero, zero, ONE));
}
