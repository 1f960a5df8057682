//! Padding: unused slots carry nothing, and what is free in them does nothing.

use crate::ONE;
use crate::support::*;
use kerros_circuits::batch::Outputs;

#[test]
fn an_unused_slot_links_nothing() {
    // Neither flag of an unused slot can be set: it would read, write, open or be listed.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    let honest = scene.honest();
    for value in [ONE, -ONE, fr(2)] {
        for flag in 0..11 {
            let mut w = honest.clone();
            let t = &mut w.transfers[3];
            let wire = match flag {
                0 => &mut w.opens[1].last,
                1 => &mut w.deposits[1].link.first,
                2 => &mut w.deposits[1].link.last,
                3 => &mut t.link.first,
                4 => &mut t.link.last,
                5 => &mut t.payee_link.first,
                6 => &mut t.payee_link.last,
                7 => &mut w.exits[1].link.first,
                8 => &mut w.exits[1].link.last,
                9 => &mut w.collects[1].link.first,
                _ => &mut w.collects[1].link.last,
            };
            *wire = value;
            assert!(!judge(&w).satisfied(), "flag {flag} {value}");
        }
    }
}

#[test]
fn an_account_in_the_table_that_no_record_touches_is_refused() {
    let scene = Scene::new();
    let honest = scene.honest();
    for (filler, index) in [(0, 1), (0, 9), (7, 1), (16, 1)] {
        let mut w = honest.clone();
        w.touched.remove(filler);
        w.touched.push(fr(index));
        assert_eq!(judge(&w).violated.len(), 1, "the table holds what accesses put there");
    }
}

#[test]
fn padding_of_a_section_is_all_zero() {
    let scene = Scene::new();
    type Set = fn(&mut kerros_circuits::batch::BatchWitness);
    let cases: [(&str, Set); 6] = [
        ("O.key", |w| w.opens[1].key = ONE),
        ("D.key", |w| w.deposits[1].key = ONE),
        ("D.owner", |w| w.deposits[1].owner = ONE),
        ("E.asset", |w| w.exits[1].asset = ONE),
        ("E.recipient", |w| w.exits[1].recipient = ONE),
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
    // What an unused slot says of accounts enters nothing: no fee, no access. All but the payer's
    // key is absorbed all the same; the gadget runs on B8 there, so h_s does not have that key.
    let scene = Scene::new();
    let honest = judge(&scene.honest());
    let mut key_alone = scene.honest();
    key_alone.transfers[3].key = fr(9);
    let key_alone = judge(&key_alone);
    assert!(key_alone.satisfied());
    assert_eq!(key_alone.outputs, honest.outputs);
    type Set = fn(&mut kerros_circuits::batch::BatchWitness);
    let absorbed: [(&str, Set); 25] = [
        ("D.before", |w| w.deposits[1].before = fr(9)),
        ("D.nonce", |w| w.deposits[1].nonce = fr(9)),
        ("D.gap", |w| w.deposits[1].link.gap = fr(9)),
        ("T.order", |w| w.transfers[3].order = fr(9)),
        ("T.nonce", |w| w.transfers[3].nonce = fr(9)),
        ("T.asset", |w| w.transfers[3].asset = fr(9)),
        ("T.owner", |w| w.transfers[3].owner = fr(9)),
        ("T.before", |w| w.transfers[3].before = fr(9)),
        ("T.gap", |w| w.transfers[3].link.gap = fr(9)),
        ("T.payee_key", |w| w.transfers[3].payee_key = fr(9)),
        ("T.payee_owner", |w| w.transfers[3].payee_owner = fr(9)),
        ("T.payee_before", |w| w.transfers[3].payee_before = fr(9)),
        ("T.payee_nonce", |w| w.transfers[3].payee_nonce = fr(9)),
        ("T.payee_gap", |w| w.transfers[3].payee_link.gap = fr(9)),
        ("E.order", |w| w.exits[1].order = fr(9)),
        ("E.nonce", |w| w.exits[1].nonce = fr(9)),
        ("E.key", |w| w.exits[1].key = fr(9)),
        ("E.owner", |w| w.exits[1].owner = fr(9)),
        ("E.before", |w| w.exits[1].before = fr(9)),
        ("E.gap", |w| w.exits[1].link.gap = fr(9)),
        ("F.asset", |w| w.collects[1].asset = fr(9)),
        ("F.key", |w| w.collects[1].key = fr(9)),
        ("F.owner", |w| w.collects[1].owner = fr(9)),
        ("F.before", |w| w.collects[1].before = fr(9)),
        ("F.nonce", |w| w.collects[1].nonce = fr(9)),
    ];
    for (name, set) in absorbed {
        let mut w = scene.honest();
        set(&mut w);
        let verdict = judge(&w);
        assert!(verdict.satisfied(), "{name}");
        assert_ne!(verdict.outputs.h, honest.outputs.h, "{name}");
        assert_eq!(Outputs { h: honest.outputs.h, ..verdict.outputs }, honest.outputs, "{name}");
    }
}
