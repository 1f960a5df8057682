//! Who may spend: signatures and nonces.

use crate::support::*;
use crate::{IntoTransaction, ONE};
use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger, PrimeField};
use kerros_circuits::builder::evaluate;
use kerros_protocol::account::{Account, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::eddsa::{BASE8, Point, PublicKey, Signature, challenge};
use kerros_protocol::transaction::SignedTransaction;

// Signatures ----------------------------------------------------------------------------------

#[test]
fn a_wrong_signature_is_refused() {
    let scene = Scene::everything();
    for change in 0..4 {
        let mut w = scene.honest();
        let other = w.transfers[1].signature;
        let signature = &mut w.transfers[0].signature;
        match change {
            0 => _ = signature.s.add_with_carry(&1u64.into()),
            1 => signature.h += ONE,
            2 => signature.key_y += ONE,
            _ => *signature = other,
        }
        scene.refuses(&w);
    }
    // Somebody else signs for account 1, on both kinds of record.
    let mut scene = Scene::new();
    scene.pay(2, 1, 2, 5, 0);
    scene.must_be_refused();
    let mut scene = Scene::new();
    scene.exit(2, 1, 5, 0, Address([9; 20]));
    scene.must_be_refused();
}

#[test]
fn a_signature_of_another_message_is_refused_field_by_field() {
    for field in 0..6 {
        let mut scene = Scene::new();
        let mut signed = scene.transfer_of(1, 2, 100, 0);
        let real = signed;
        match field {
            0 => signed.from = index(2),
            1 => signed.to = index(6),
            2 => signed.amount = 99,
            3 => signed.fee = Fee::from_float(1), // worth 0 as well, but another float
            4 => signed.payee_key = key(3),
            _ => signed.payee_owner = wallet(3).1,
        }
        let signed = SignedTransaction::sign(signed.into_transaction(), &wallet(1).0, fr(DOMAIN));
        scene.pay_authorised(&signed, real);
        scene.must_be_refused();
    }
    // Another deployment.
    let mut scene = Scene::new();
    let real = scene.transfer_of(1, 2, 100, 0);
    let signed = SignedTransaction::sign(real.into_transaction(), &wallet(1).0, fr(DOMAIN + 1));
    scene.pay_authorised(&signed, real);
    scene.must_be_refused();
}

#[test]
fn an_s_not_below_the_order_proves_what_the_reduced_one_proves() {
    // Signatures on the wire are strict; the circuit takes S modulo ℓ, which authorises the same.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    let honest = scene.honest();
    let mut w = scene.honest();
    w.transfers[0].signature.s.add_with_carry(&Scalar::MODULUS);
    assert_eq!(judge(&w).assignment, judge(&honest).assignment);
    scene.transfers[0].signature.s.add_with_carry(&Scalar::MODULUS);
    assert!(scene.execute().is_err(), "native code is strict");
}

#[test]
fn a_key_of_low_order_signs_nothing_though_the_equation_holds() {
    let torsion = point_of_order_eight();
    let negated = Point { x: -torsion.x, y: torsion.y };
    for key in [torsion, negated] {
        let mut scene = Scene::new();
        let victim = Account { key: key.x, ..scene.get(1) };
        scene.before.set(index(1), victim);
        scene.now.insert(1, victim);
        let transfer = scene.transfer_of(1, 2, 100, 0);
        // 8A = 0, so R8 = S·B8 is a signature for every message.
        let s = Scalar::from(12345u64);
        let signature = Signature { r8: BASE8.times(s), s: s.into_bigint() };
        let transaction = transfer.into_transaction();
        let signed = SignedTransaction { transaction, public_key: PublicKey(key), signature };
        scene.pay_authorised(&signed, transfer);
        scene.must_be_refused();
        // What refuses it first is 0·inverse = 1 for the v of P = −4A = (0, 0), which no later
        // wire can mend: with v = 0 the digits are 0 and say nothing about h.
        let verdict = judge(&scene.forged());
        let first = &compiled().constraints[verdict.violated[0]];
        assert_eq!(evaluate(&first.a, &verdict.assignment), Fr::ZERO);
        assert_eq!(first.c, [(0, ONE)]);
    }
}

#[test]
fn a_key_off_the_curve_signs_nothing() {
    let mut scene = Scene::new();
    let off = (2u64..).map(Fr::from).find(|x| Point::with_x(*x).is_none()).unwrap();
    let victim = Account { key: off, ..scene.get(1) };
    scene.before.set(index(1), victim);
    scene.now.insert(1, victim);
    scene.pay(1, 1, 2, 100, 0);
    scene.must_be_refused();
    // y chosen so that the point lies on another curve, h as the gadget computes it.
    let mut w = scene.forged();
    w.transfers[0].signature.key_y = fr(3);
    scene.refuses(&w);
}

// Nonces --------------------------------------------------------------------------------------

#[test]
fn a_wrong_nonce_is_refused_wherever_it_is_put() {
    for delta in [1u32, 2, u32::MAX] {
        let mut scene = Scene::new();
        let mut transfer = scene.transfer_of(1, 2, 100, 0);
        transfer.nonce = transfer.nonce.wrapping_add(delta);
        scene.pay_signed(1, transfer);
        scene.must_be_refused();
        // The message verifies with the signed nonce in the record.
        let mut w = scene.forged();
        let honest_h = challenge(
            &scene.transfers[0].signature.r8,
            &scene.transfers[0].public_key.0,
            transfer.into_transaction().message(fr(DOMAIN)),
        );
        w.transfers[0].nonce = Fr::from(transfer.nonce);
        w.transfers[0].signature.h = honest_h;
        assert!(judge(&w).satisfied(), "but the opening is not the state's");
        scene.refuses(&w);
    }
}

#[test]
fn a_nonce_used_twice_in_a_batch_is_refused() {
    // The second payment repeats the first one's nonce and signature, at its own place.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(1, 1, 2, 100, 0);
    let mut w = scene.honest();
    w.transfers[1].nonce = w.transfers[0].nonce;
    w.transfers[1].signature = w.transfers[0].signature;
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
}

#[test]
fn the_last_nonce_is_not_raised() {
    let mut scene = Scene::new();
    scene.pay(4, 4, 2, 5, 0);
    scene.must_be_refused();
    let w = scene.forged();
    assert_eq!(judge(&w).violated.len(), 1, "the rule about the last nonce");
    let mut scene = Scene::new();
    scene.exit(4, 4, 5, 0, Address([9; 20]));
    scene.must_be_refused();
    // Credits and forced exits do not need a nonce.
    let mut scene = Scene::new();
    scene.pay(1, 1, 4, 5, 0);
    scene.force(4, wallet(4).1);
    let w = scene.honest();
    assert!(judge(&w).accepted(&scene.before, &w));
}
