//! Opens: an account is opened once, empty, and in an asset.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::account::Address;
use kerros_protocol::eddsa::challenge;

#[test]
fn an_opened_account_is_not_opened_again() {
    // It exists in the state: the opening words are not zero.
    let mut scene = Scene::new();
    scene.open(1, 9, 1);
    scene.must_be_refused();
    assert!(judge(&scene.forged()).satisfied(), "the circuit leaves this to the opening");
    // It is opened twice in one batch, by the same holder or by another.
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(6, 6, 1);
    scene.must_be_refused();
    let mut w = scene.forged();
    assert!(!judge(&w).satisfied());
    // Both first and last, with two places in the table: equal neighbours do not ascend.
    (w.opens[0].last, w.opens[1].last) = (ONE, ONE);
    let gone = w.touched.iter().position(|value| *value == -fr(2)).unwrap();
    w.touched.remove(gone);
    w.touched.push(fr(6));
    assert_eq!(judge(&w).violated.len(), 1, "the table ascends");
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(6, 7, 1);
    scene.must_be_refused();
    assert!(!judge(&scene.forged()).satisfied());
}

#[test]
fn an_open_leaves_balance_and_nonce_zero() {
    // The record has neither; who goes on from it reads 0 and 0.
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.pay(1, 1, 6, 5, 0);
    let honest = scene.honest();
    for (before, nonce) in [(5, 0), (0, 1), (5, 1)] {
        let mut w = honest.clone();
        (w.transfers[0].payee_before, w.transfers[0].payee_nonce) = (fr(before), fr(nonce));
        assert_eq!(judge(&w).violated.len(), 1, "{before} {nonce}");
    }
}

#[test]
fn every_record_but_a_forced_exit_names_an_asset() {
    let set = |w: &mut kerros_circuits::batch::BatchWitness| {
        w.deposits[0].asset = Fr::ZERO;
        w.transfers[0].asset = Fr::ZERO;
        w.collects[0].asset = Fr::ZERO;
    };
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    let mut w = scene.honest();
    set(&mut w);
    assert_eq!(judge(&w).violated.len(), 1, "a deposit");
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    let mut w = scene.honest();
    set(&mut w);
    assert_eq!(judge(&w).violated.len(), 1, "a transfer");
    let mut scene = Scene::new();
    scene.collect(1, 0);
    let mut w = scene.honest();
    set(&mut w);
    assert_eq!(judge(&w).violated.len(), 1, "a collect");
    // An exit signs its asset: take the signature along.
    let mut scene = Scene::new();
    scene.exit(1, 1, 5, 0, Address([9; 20]));
    let mut w = scene.honest();
    set(&mut w);
    let e = &mut w.exits[0];
    e.asset = Fr::ZERO;
    let two = |bits: u64| Fr::from(2u64).pow([bits]);
    let packed = fr(2) + e.from * two(4) + e.amount * two(60) + e.nonce * two(140);
    let message = kerros_protocol::poseidon::hash(&[fr(DOMAIN), packed, e.recipient, Fr::ZERO]);
    let (secret, _) = wallet(1);
    let signature = secret.sign(message);
    let h = challenge(&signature.r8, &secret.public_key().0, message);
    (e.signature.s, e.signature.h) = (signature.s, h);
    assert_eq!(judge(&w).violated.len(), 1, "a signed exit");
}

#[test]
fn an_open_in_asset_zero_is_refused() {
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let mut w = scene.honest();
    w.opens[0].asset = Fr::ZERO;
    assert_eq!(judge(&w).violated.len(), 1);
}
