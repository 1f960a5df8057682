//! Small good batches, and a signature for a changed exit.

use crate::ZERO;
use crate::support::*;
use kerros_circuits::batch::BatchWitness;
use kerros_protocol::account::{Address, two_to};
use kerros_protocol::eddsa::challenge;
use kerros_protocol::poseidon;

/// Wallet `by` signs exit `slot` of `w` as it stands.
pub fn resign_exit(w: &mut BatchWitness, slot: usize, by: u8) {
    let e = &mut w.exits[slot];
    let packed = fr(2) + e.from * two_to(4) + e.amount * two_to(60);
    let packed = packed + e.fee * two_to(124) + e.nonce * two_to(140);
    let second = e.asset * two_to(160) + e.recipient;
    let message = poseidon::hash(&[fr(DOMAIN), packed, second, ZERO]);
    let secret = wallet(by).0;
    let (public, signature) = (secret.public_key(), secret.sign(message));
    e.signature.key_y = public.0.y;
    e.signature.s = signature.s;
    e.signature.h = challenge(&signature.r8, &public.0, message);
}

pub fn paid(amount: u64, fee: u64) -> Scene {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, amount, fee);
    scene
}

pub fn deposited(i: u32, w: u8, amount: u64) -> Scene {
    let mut scene = Scene::new();
    scene.deposit(i, w, 1, amount);
    scene
}

pub fn left(w: u8, i: u32, amount: u64) -> Scene {
    let mut scene = Scene::new();
    scene.exit(w, i, amount, 0, Address([9; 20]));
    scene
}

/// A payment with a fee that account `to` collects.
pub fn collected(to: u32, fee: u64) -> Scene {
    let mut scene = paid(5, fee);
    scene.collect(to, fee);
    scene
}
