//! What the circuit must refuse, each with the witness overwritten directly.
//!
//! A witness is accepted if it satisfies all constraints and its openings are the state's (the
//! KZG half of the main chain's check, see `support`). Where a test changes one thing and repairs
//! everything that follows from it, it also pins how few constraints are left to refuse it: that
//! is what shows which rule it is.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField};
use kerros_circuits::journal::{class, flag};
use kerros_circuits::ledger::RowWitness;
use kerros_protocol::account::{Account, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::commitment::point;
use kerros_protocol::eddsa::{BASE8, Point, PublicKey, Signature, challenge};
use kerros_protocol::transaction::{SignedTransaction, Transaction};
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

#[test]
fn the_honest_batch_is_accepted_and_the_forge_lays_it_out_alike() {
    for scene in [Scene::new(), Scene::everything()] {
        let executed = scene.execute().unwrap();
        let verdict = judge(&executed.witness);
        assert_eq!(verdict.violated, Vec::<usize>::new());
        assert!(verdict.accepted(&scene.before, &executed.witness));
        assert!(verdict.updates(&scene.before, &executed.after));
        assert_eq!(judge(&scene.forged()).assignment, verdict.assignment);
    }
}

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

trait IntoTransaction {
    fn into_transaction(self) -> Transaction;
}

impl IntoTransaction for kerros_protocol::transaction::Transfer {
    fn into_transaction(self) -> Transaction {
        Transaction::Transfer(self)
    }
}

#[test]
fn an_s_not_below_the_order_is_refused_though_the_equation_holds() {
    // S + ℓ fits the 251 bits for about a third of all signatures.
    let (scene, w) = (1..100u64)
        .find_map(|amount| {
            let mut scene = Scene::new();
            scene.pay(1, 1, 2, amount, 0);
            let mut w = scene.honest();
            let s = &mut w.transfers[0].signature.s;
            s.add_with_carry(&Scalar::MODULUS);
            (s.num_bits() <= 251).then_some((scene, w))
        })
        .unwrap();
    let verdict = judge(&w);
    assert_eq!(verdict.violated.len(), 1, "only the comparison with the order is left");
    assert!(!verdict.accepted(&scene.before, &w));
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
        // The message verifies with the signed nonce in the journal: then it is not posted.
        let mut w = scene.forged();
        let honest_h = challenge(
            &scene.transfers[0].signature.r8,
            &scene.transfers[0].public_key.0,
            transfer.into_transaction().message(fr(DOMAIN)),
        );
        w.transfers[0].nonce = Fr::from(transfer.nonce);
        w.transfers[0].signature.h = honest_h;
        assert_eq!(judge(&w).violated.len(), 1, "the posting check");
        // And with that nonce in the ledger's row, the opening is not the state's.
        let row = row_at(&w, 1, class::SIGNED, 0, 0);
        w.rows[row].nonce = Fr::from(transfer.nonce);
        assert!(judge(&w).satisfied());
        scene.refuses(&w);
    }
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

// Runs ----------------------------------------------------------------------------------------

/// Account 1 pays twice; its two debits are the last rows but for account 2's credits.
fn two_payments() -> Scene {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(1, 1, 2, 200, 0);
    scene
}

#[test]
fn one_account_in_two_runs_by_a_forged_same_is_refused() {
    let scene = two_payments();
    let w = scene.honest();
    let second = row_at(&w, 1, class::SIGNED, 1, 0);
    let mut assignment = judge(&w).assignment;
    let same = wire(&format!("L[{second}].same"));
    assert_eq!(assignment[same], ONE);
    for inverse in [Fr::ZERO, ONE, -ONE, fr(12345)] {
        assignment[same] = Fr::ZERO;
        assignment[same + 1] = inverse;
        let left = violations(&compiled().constraints, &assignment);
        // difference·inverse = 1 − same has no solution at all: 0·inverse = 1.
        assert!(!left.is_empty());
    }
    // And a run that swallows the next account.
    let other = row_at(&w, 2, class::SIGNED, 0, 1);
    let mut assignment = judge(&w).assignment;
    let same = wire(&format!("L[{other}].same"));
    assert_eq!(assignment[same], Fr::ZERO);
    assignment[same] = ONE;
    assignment[same + 1] = Fr::ZERO;
    assert!(!violations(&compiled().constraints, &assignment).is_empty());
}

#[test]
fn one_account_in_two_runs_by_a_forged_x_is_refused() {
    let scene = two_payments();
    let honest = scene.honest();
    let second = row_at(&honest, 1, class::SIGNED, 1, 0);
    for x in [point(3), point(9), fr(5), Fr::ZERO, ONE] {
        let mut w = honest.clone();
        w.rows[second].x = x;
        // The second run opens 2^63 more than there is.
        w.rows[second].before += fr(1 << 63);
        w.rows[second].after += fr(1 << 63);
        let verdict = judge(&w);
        assert!(!verdict.satisfied(), "x {x}");
    }
}

#[test]
fn one_account_in_two_runs_by_a_forged_composite_is_refused() {
    let scene = two_payments();
    let honest = scene.honest();
    let second = row_at(&honest, 1, class::SIGNED, 1, 0);
    // The second debit behind account 2's rows, with its own index or with a later one.
    for index in [1, 3] {
        let mut w = honest.clone();
        let mut row = w.rows.remove(second);
        row.before += fr(1 << 63);
        row.after += fr(1 << 63);
        row.composite = fr(composite(index, class::SIGNED, 1, 0));
        w.rows.push(row);
        assert!(!judge(&w).satisfied(), "index {index}");
    }
}

#[test]
fn a_run_out_of_order_is_refused() {
    // Account 2 has 500, gets 1000 at t = 0 and pays 700 at t = 1: swapped, it would overdraw,
    // so take amounts for which both orders are possible.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(2, 2, 1, 50, 0);
    let honest = scene.honest();
    let credit = row_at(&honest, 2, class::SIGNED, 0, 1);
    let debit = row_at(&honest, 2, class::SIGNED, 1, 0);
    let mut w = honest.clone();
    w.rows.swap(credit, debit);
    // Chained as if it had been so.
    (w.rows[credit].before, w.rows[credit].after) = (fr(500), fr(450));
    (w.rows[debit].before, w.rows[debit].after) = (fr(450), fr(550));
    w.rows[debit].nonce += ONE;
    let verdict = judge(&w);
    assert_eq!(verdict.violated.len(), 1, "the gap between composites; the next gap is as good");
    scene.refuses(&w);
    // Nor may inactive rows stand between or behind active ones.
    let mut w = honest.clone();
    w.rows.swap(0, 15);
    scene.refuses(&w);
}

#[test]
fn two_rows_with_one_composite_are_refused() {
    let mut scene = two_payments();
    // Both payments at t = 0.
    scene.transfers[1].order = 0;
    scene.must_be_refused();
}

#[test]
fn a_row_that_does_not_go_on_where_the_last_one_stopped_is_refused() {
    let scene = two_payments();
    let honest = scene.honest();
    let second = row_at(&honest, 1, class::SIGNED, 1, 0);
    for change in 0..5 {
        let mut w = honest.clone();
        let row = &mut w.rows[second];
        match change {
            0 => (row.before, row.after) = (row.before + ONE, row.after + ONE),
            1 => row.nonce -= ONE,
            2 => row.asset += ONE,
            3 => row.owner += ONE,
            _ => row.key += ONE,
        }
        assert!(!judge(&w).satisfied(), "column {change}");
    }
}

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

// Opens ---------------------------------------------------------------------------------------

#[test]
fn an_opened_account_is_not_opened_again() {
    // It exists in the state: the opening words are not zero.
    let mut scene = Scene::new();
    scene.open(1, 9, 1);
    scene.must_be_refused();
    assert!(judge(&scene.forged()).satisfied(), "the circuit leaves this to the opening");
    // It is opened twice in one batch.
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(6, 7, 1);
    scene.must_be_refused();
    assert!(!judge(&scene.forged()).satisfied());
}

#[test]
fn an_open_leaves_balance_and_nonce_zero() {
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let honest = scene.honest();
    for (before, after, nonce) in [(5, 5, 0), (0, 5, 0), (0, 0, 1), (5, 0, 0)] {
        let mut w = honest.clone();
        (w.rows[15].before, w.rows[15].after) = (fr(before), fr(after));
        w.rows[15].nonce = fr(nonce);
        assert!(!judge(&w).satisfied(), "{before} {after} {nonce}");
    }
}

#[test]
fn an_open_in_asset_zero_is_refused() {
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let mut w = scene.honest();
    w.opens[0].asset = Fr::ZERO;
    w.rows[15].asset = Fr::ZERO;
    assert_eq!(judge(&w).violated.len(), 1);
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

// Padding -------------------------------------------------------------------------------------

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

// Forced exits --------------------------------------------------------------------------------

/// Account 2's owner forces it out at slot 0.
fn forced() -> Scene {
    let mut scene = Scene::new();
    scene.force(2, wallet(2).1);
    scene
}

#[test]
fn a_forced_exit_with_a_fee_is_refused() {
    let scene = forced();
    let mut batch = scene.sealed();
    batch.data.exits[0].fee = Fee::exact(1).unwrap();
    // The collect's unit pays the fee, so the whole old balance still leaves.
    batch.data.collects.push(kerros_protocol::batch::CollectRecord { to: index(2), amount: 1 });
    assert!(
        kerros_circuits::witness::execute(&shape(), &scene.before, &batch, fr(DOMAIN)).is_err()
    );
    let w = forge(&scene.before, &batch);
    assert_eq!(judge(&w).violated.len(), 1, "forced exits pay no fee");
    // A float that is worth nothing is refused as well: the contract wants the zero float.
    let mut w = scene.honest();
    w.exits[0].fee = fr(3);
    assert_eq!(judge(&w).violated.len(), 1);
}

#[test]
fn a_forced_exit_of_part_of_the_balance_is_refused() {
    let scene = forced();
    for amount in [0, 1, 499] {
        let mut batch = scene.sealed();
        batch.data.exits[0].amount = amount;
        let w = forge(&scene.before, &batch);
        assert_eq!(judge(&w).violated.len(), 1, "an effective forced exit leaves nothing");
        // Without the flag on the row, the posting differs.
        let mut w = w;
        w.rows[15].flags[3] = Fr::ZERO;
        assert_eq!(judge(&w).violated.len(), 1, "the posting check");
    }
    let mut batch = scene.sealed();
    batch.data.exits[0].amount = 501;
    scene.refuses(&forge(&scene.before, &batch));
}

#[test]
fn a_stranger_forces_nothing_out() {
    let mut scene = Scene::new();
    scene.force(2, wallet(9).1);
    let honest = scene.honest();
    assert!(judge(&honest).accepted(&scene.before, &honest));
    // Some of the balance, all of it, with and without `all` on the row.
    for (amount, all) in [(1, 0), (500, 0), (500, 1)] {
        let mut w = honest.clone();
        w.exits[0].amount = fr(amount);
        w.rows[15].after = fr(500 - amount);
        w.rows[15].flags[3] = fr(all);
        assert!(!judge(&w).satisfied(), "{amount} {all}");
    }
    // The journal calls the stranger the owner, on its side or on both.
    let mut w = honest.clone();
    w.exits[0].owner = wallet(9).1.to_fr();
    w.exits[0].amount = fr(500);
    w.rows[15].after = Fr::ZERO;
    w.rows[15].flags[3] = ONE;
    assert_eq!(judge(&w).violated.len(), 1, "the posting check");
    w.rows[15].owner = wallet(9).1.to_fr();
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
}

#[test]
fn a_forced_exit_at_another_place_than_its_slot_is_refused() {
    let scene = forced();
    let mut w = scene.honest();
    w.exits[0].order = fr(5);
    w.rows[15].composite = fr(composite(2, class::FORCED, 5, 0));
    assert_eq!(judge(&w).violated.len(), 1);
}

#[test]
fn a_forced_exit_before_the_same_users_collect_is_refused() {
    // Class 2 instead of 4: the exit would run before the collect and leave it behind.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 5, 10);
    scene.collect(2, 10);
    scene.force(2, wallet(2).1);
    let mut w = scene.honest();
    let mut rows = active_rows(&w);
    let forced = row_at(&w, 2, class::FORCED, 0, 0) - (16 - rows.len());
    let collect = row_at(&w, 2, class::COLLECT, 0, 1) - (16 - rows.len());
    rows[forced].0 = composite(2, class::SIGNED, 9, 0);
    rows[forced].1.composite = fr(rows[forced].0);
    rows[forced].1.before = fr(505);
    rows[collect].1.before = Fr::ZERO;
    rows[collect].1.after = fr(10);
    w.exits[0].amount = fr(505);
    place(&mut w, rows);
    assert!(!judge(&w).satisfied());
}

#[test]
fn a_forced_exit_does_not_touch_the_nonce() {
    let scene = forced();
    let mut w = scene.honest();
    w.rows[15].flags[2] = ONE;
    scene.refuses(&w);
}

#[test]
fn a_forced_exit_of_an_empty_account_is_a_no_op() {
    let mut scene = Scene::new();
    scene.force(9, wallet(9).1);
    let executed = scene.execute().unwrap();
    let honest = executed.witness;
    let verdict = judge(&honest);
    assert!(verdict.accepted(&scene.before, &honest));
    assert!(verdict.updates(&scene.before, &executed.after));
    // It neither names an asset nor takes anything.
    for change in 0..3 {
        let mut w = honest.clone();
        match change {
            0 => (w.exits[0].asset, w.rows[15].asset) = (ONE, ONE),
            1 => (w.exits[0].amount, w.rows[15].before) = (ONE, ONE),
            _ => {
                let owner = wallet(9).1.to_fr();
                (w.exits[0].owner, w.rows[15].owner, w.rows[15].flags[3]) = (owner, owner, ONE);
            }
        }
        scene.refuses(&w);
    }
}

#[test]
fn a_signed_exit_does_not_pass_as_forced_nor_the_other_way() {
    let mut scene = Scene::new();
    scene.exit(2, 2, 500, 0, wallet(2).1);
    let honest = scene.honest();
    let mut w = honest.clone();
    w.exits[0].forced = ONE;
    scene.refuses(&w);
    // With the row of a forced exit: accepted by the circuit, but it says so in the data (y), and
    // the contract matches it with the queue.
    let names = [flag::ACTIVE, flag::ALL, flag::NAMES_OWNER].iter().sum::<u64>();
    w.rows[15].flags = std::array::from_fn(|bit| fr(names >> bit & 1));
    w.rows[15].composite = fr(composite(2, class::FORCED, 0, 0));
    let verdict = judge(&w);
    assert!(verdict.accepted(&scene.before, &w));
    let elements = scene.sealed().data.elements(&shape());
    let y = kerros_protocol::batch::evaluate(&elements, verdict.z);
    assert_ne!(verdict.outputs.y, y);
    // And a forced record dressed as signed has no signature.
    let scene = forced();
    let mut w = scene.honest();
    w.exits[0].forced = Fr::ZERO;
    w.rows[15].flags =
        std::array::from_fn(|bit| fr((flag::ACTIVE | flag::BUMP | flag::NAMES_KEY) >> bit & 1));
    w.rows[15].composite = fr(composite(2, class::SIGNED, 0, 0));
    scene.refuses(&w);
}
