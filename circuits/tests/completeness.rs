//! What native code accepts at its edges, the circuit must be able to prove: a signature or a
//! record that only one of them takes would stop the rollup once it is acknowledged.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField, UniformRand};
use kerros_circuits::batch::{BatchWitness, synthesize};
use kerros_circuits::builder::{Builder, Num, first_violated};
use kerros_circuits::gadgets::eddsa::{SignatureWitness, verify_if};
use kerros_protocol::account::{Account, Address};
use kerros_protocol::batch::Shape;
use kerros_protocol::eddsa::{BASE8, Point, PublicKey, Signature, challenge, verify};
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::convert::Infallible;
use support::*;

fn circuit_takes(key: &Point, message: Fr, signature: &Signature) -> bool {
    let mut b = Builder::recording();
    let (x, m) = (b.wire(key.x), b.wire(message));
    let h = challenge(&signature.r8, key, message);
    let witness = SignatureWitness { key_y: key.y, s: signature.s, h };
    verify_if(&mut b, &Num::one(), &x, &m, &witness);
    first_violated(b.constraints(), b.assignment()).is_none()
}

/// `S = r + 8·h·s` for the key `s·B8 + torsion`.
fn sign(s: Scalar, torsion: Option<&Point>, r: Scalar, message: Fr) -> (Point, Signature) {
    let key = torsion.map_or(BASE8.times(s), |t| add(&BASE8.times(s), t));
    let r8 = BASE8.times(r);
    let h = challenge(&r8, &key, message);
    let h = Scalar::from_le_bytes_mod_order(&h.into_bigint().to_bytes_le());
    (key, Signature { r8, s: (r + h * Scalar::from(8u64) * s).into_bigint() })
}

#[test]
fn unusual_keys_and_nonces_of_signers_verify_in_both() {
    let mut rng = StdRng::seed_from_u64(1);
    let eight = point_of_order_eight();
    let four = add(&eight, &eight);
    let two = add(&four, &four);
    assert_eq!(two, Point { x: Fr::ZERO, y: -Fr::ONE });
    let last = -<Scalar as Field>::ONE;
    let random = [Scalar::rand(&mut rng), Scalar::rand(&mut rng)];
    for s in [Scalar::from(1u64), Scalar::from(2u64), Scalar::from(3u64), last, random[0]] {
        for torsion in [None, Some(&two), Some(&four), Some(&eight)] {
            for r in [Scalar::from(0u64), Scalar::from(1u64), last, random[1]] {
                let message = Fr::rand(&mut rng);
                let (key, signature) = sign(s, torsion, r, message);
                assert_eq!(verify(&PublicKey(key), message, &signature), Ok(()));
                assert!(circuit_takes(&key, message, &signature), "s {s} r {r}");
                let mut wrong = signature;
                wrong.r8 = BASE8.times(r + last);
                assert!(verify(&PublicKey(key), message, &wrong).is_err());
                assert!(!circuit_takes(&key, message, &wrong), "s {s} r {r}");
            }
        }
    }
}

#[test]
fn r8_with_a_torsion_component_is_refused_by_both() {
    let eight = point_of_order_eight();
    let message = fr(5);
    for torsion in [eight, add(&eight, &eight)] {
        let (s, r) = (Scalar::from(77u64), Scalar::from(99u64));
        let key = BASE8.times(s);
        let r8 = add(&BASE8.times(r), &torsion);
        let h = challenge(&r8, &key, message);
        let h = Scalar::from_le_bytes_mod_order(&h.into_bigint().to_bytes_le());
        let signature = Signature { r8, s: (r + h * Scalar::from(8u64) * s).into_bigint() };
        assert!(verify(&PublicKey(key), message, &signature).is_err());
        assert!(!circuit_takes(&key, message, &signature));
    }
}

#[test]
fn native_and_circuit_agree_on_random_signatures_and_random_damage() {
    let mut rng = StdRng::seed_from_u64(2);
    for case in 0..60 {
        let (s, r, message) = (Scalar::rand(&mut rng), Scalar::rand(&mut rng), Fr::rand(&mut rng));
        let (mut key, mut signature) = sign(s, None, r, message);
        match case % 5 {
            0 => {}
            1 => signature.s.0[(rng.next_u32() % 3) as usize] ^= 1 << (rng.next_u32() % 64),
            2 => signature.r8 = BASE8.times(Scalar::rand(&mut rng)),
            3 => key = BASE8.times(Scalar::rand(&mut rng)),
            // The other point with this x has the opposite secret.
            _ => key.y = -key.y,
        }
        let native = verify(&PublicKey(key), message, &signature).is_ok();
        assert_eq!(native, circuit_takes(&key, message, &signature), "case {case}");
        assert_eq!(native, case % 5 == 0);
    }
}

#[test]
fn a_key_with_torsion_pays_in_a_batch() {
    let mut scene = Scene::new();
    let (s, r) = (Scalar::from(1234u64), Scalar::from(5678u64));
    let torsion = point_of_order_eight();
    let key = add(&BASE8.times(s), &torsion);
    let holder = Account { key: key.x, ..scene.get(1) };
    scene.before.set(index(1), holder);
    scene.now.insert(1, holder);
    let transfer = scene.transfer_of(1, 2, 100, 0);
    let transaction = Transaction::Transfer(transfer);
    let (_, signature) = sign(s, Some(&torsion), r, transaction.message(fr(DOMAIN)));
    let signed = SignedTransaction { transaction, public_key: PublicKey(key), signature };
    scene.pay_authorised(&signed, transfer);
    scene.must_be_accepted();
}

#[test]
fn edges_of_balances_nonces_and_indices_are_provable() {
    // Everything out, to the last unit, and a payment of nothing.
    let mut scene = Scene::new();
    scene.pay(2, 2, 1, 499, 1);
    scene.pay(1, 1, 2, 0, 0);
    scene.collect(2, 1);
    scene.must_be_accepted();
    // An almost full account pays itself, and one fills up exactly.
    let mut scene = Scene::new();
    scene.pay(5, 5, 5, u64::MAX - 10, 0);
    scene.pay(1, 1, 5, 10, 0);
    scene.must_be_accepted();
    // The last nonce but one is the last that is used.
    let mut scene = Scene::new();
    let account = Account { nonce: u32::MAX - 1, ..scene.get(1) };
    scene.before.set(index(1), account);
    scene.now.insert(1, account);
    scene.pay(1, 1, 1, 5, 0);
    scene.deposit(1, 1, 1, 5);
    scene.must_be_accepted();
    scene.pay(1, 1, 1, 5, 0);
    scene.must_be_refused();
    // The last index of the ledger, opened, paid and forced out at once.
    let mut scene = Scene::new();
    scene.open(15, 9, 1);
    scene.deposit(15, 9, 1, u64::MAX - 5);
    scene.pay(1, 1, 15, 5, 0);
    scene.force(15, wallet(9).1);
    scene.force(15, wallet(9).1);
    scene.must_be_accepted();
    // The last t.
    let mut scene = Scene::new();
    scene.order = u16::MAX;
    let transfer = scene.transfer_of(1, 2, 5, 0);
    scene.order -= 1;
    scene.pay_signed(1, transfer);
    scene.transfers[0].order = u16::MAX;
    scene.must_be_accepted();
    // A deposit whose key is on no curve: it can be credited and forced out.
    let mut scene = Scene::new();
    let off = (2u64..).map(Fr::from).find(|x| Point::with_x(*x).is_none()).unwrap();
    let account = Account { key: off, ..scene.get(2) };
    scene.before.set(index(2), account);
    scene.now.insert(2, account);
    scene.pay(1, 1, 2, 5, 0);
    scene.force(2, wallet(2).1);
    scene.must_be_accepted();
    // A signed exit to the zero address and of nothing.
    let mut scene = Scene::new();
    scene.exit(1, 1, 0, 0, Address([0; 20]));
    scene.must_be_accepted();
}

#[test]
fn the_smallest_shape_works() {
    let shape = Shape::new([1, 1, 0, 1, 0]).unwrap();
    let mut b = Builder::recording();
    let witness = BatchWitness::empty(&shape, K, fr(DOMAIN));
    let outputs = synthesize(&mut b, &shape, &witness, |h| Ok::<_, Infallible>(challenges(h)));
    assert!(outputs.is_ok());
    assert_eq!(first_violated(b.constraints(), b.assignment()), None);
}
