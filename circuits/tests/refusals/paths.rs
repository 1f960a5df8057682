//! Paths: all accesses to one account follow one another in time, each going on from the last.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_circuits::access::{LinkWitness, time};
use kerros_circuits::batch::BatchWitness;

const ZERO: Fr = <Fr as AdditiveGroup>::ZERO;

/// Account 1 pays account 2 three times: accesses 4, 6, 8 and 5, 7, 9.
fn payments() -> Scene {
    let mut scene = Scene::new();
    for amount in [100, 200, 300] {
        scene.pay(1, 1, 2, amount, 0);
    }
    scene
}

/// Takes access `number` out of those that are not first and puts `index` into the table.
fn list(w: &mut BatchWitness, number: u64, index: u64) {
    let filler = w.touched.iter().position(|value| *value == -fr(number + 1)).unwrap();
    w.touched.remove(filler);
    let zero = w.touched.iter().position(|value| *value == ZERO).unwrap();
    let above = |value: &Fr| *value > fr(index);
    let at = w.touched[zero..].iter().position(above).map_or(w.touched.len(), |at| zero + at);
    w.touched.insert(at, fr(index));
}

/// The other way: access `number` no longer is first.
fn unlist(w: &mut BatchWitness, number: u64, index: u64) {
    let at = w.touched.iter().rposition(|value| *value == fr(index)).unwrap();
    w.touched.remove(at);
    let zero = w.touched.iter().position(|value| *value == ZERO).unwrap();
    let above = |value: &Fr| -*value < fr(number + 1);
    let at = w.touched[..zero].iter().position(above).unwrap_or(zero);
    w.touched.insert(at, -fr(number + 1));
}

#[test]
fn a_second_first_access_to_an_account_is_refused() {
    // The second payment opens 2^63 more than there is, in a path of its own.
    let mut w = payments().honest();
    w.transfers[0].link.last = ONE;
    let t = &mut w.transfers[1];
    (t.link.first, t.link.gap) = (ONE, ZERO);
    t.before += fr(1 << 63);
    w.transfers[2].before += fr(1 << 63);
    // Without a place in the table; as a second 1; under another index.
    let unlisted = judge(&w).violated;
    assert_eq!(unlisted.len(), 1, "the table is what first accesses put there");
    for index in [3, 9] {
        let mut w = w.clone();
        list(&mut w, 6, index);
        assert_eq!(judge(&w).violated, unlisted);
    }
    list(&mut w, 6, 1);
    let twice = judge(&w).violated;
    assert_eq!(twice.len(), 1, "the table ascends");
    assert_ne!(twice, unlisted);
    // In any order of its values.
    let last = w.touched.len() - 1;
    w.touched.swap(last, last - 1);
    assert!(!judge(&w).satisfied());
    // Nor with a number that only looks like the index in its low 28 bits.
    w.touched[last] = fr((1 << 28) + 1);
    assert!(!judge(&w).satisfied());
}

#[test]
fn an_access_that_goes_on_from_another_account_is_refused() {
    // The second deposit says index 2 and names the holder of account 1, whose balance it reads: it
    // would be credited at a point that nobody opens.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    scene.deposit(1, 1, 1, 50);
    let mut w = scene.honest();
    w.deposits[1].index = fr(2);
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
    // With an opening of its own the circuit has nothing against it, but account 2 is another's.
    w.deposits[0].link.last = ONE;
    (w.deposits[1].link.first, w.deposits[1].link.gap) = (ONE, ZERO);
    list(&mut w, 3, 2);
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
}

#[test]
fn an_account_that_nobody_opens_is_refused() {
    // The first access reads what nobody wrote; its table place is given up or kept.
    let honest = payments().honest();
    for gap in [ZERO, fr(17), fr(time::SIGNED - 1)] {
        let mut w = honest.clone();
        w.transfers[0].link = LinkWitness { gap, ..LinkWitness::default() };
        assert_eq!(judge(&w).violated.len(), 2, "reads are not writes, nor is the table");
        unlist(&mut w, 4, 1);
        assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
    }
}

#[test]
fn a_credit_and_a_forced_exit_cannot_feed_each_other() {
    // Account 9 does not exist. It is paid 100, and its forced exit pays them out and leaves the 0
    // that the payment finds: a circle that never touches the state, so that neither key, owner nor
    // asset of the account is anybody's. Only time forbids it.
    let mut scene = Scene::new();
    let mut transfer = scene.transfer_of(1, 9, 100, 0);
    (transfer.payee_key, transfer.payee_owner) = (key(9), wallet(9).1);
    scene.pay_signed(1, transfer);
    scene.force(9, wallet(9).1);
    let mut w = scene.forged();
    let t = &mut w.transfers[0];
    (t.payee_key, t.payee_owner) = (key(9).get(), wallet(9).1.to_fr());
    let message = kerros_protocol::transaction::Transaction::Transfer(transfer);
    t.signature = signature_of(&scene.transfers[0], message.message(fr(DOMAIN)));
    let e = &mut w.exits[0];
    (e.key, e.owner, e.asset) = (key(9).get(), wallet(9).1.to_fr(), ONE);
    (e.amount, e.before) = (fr(100), fr(100));
    e.link.last = ZERO;
    let honest_gap = fr(time::FORCED - time::SIGNED - 1) - ONE;
    assert_eq!(e.link.gap, honest_gap);
    // As a path it is refused by the opening alone.
    w.exits[0].link.last = ONE;
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
    w.exits[0].link.last = ZERO;
    w.transfers[0].payee_link.first = ZERO;
    unlist(&mut w, 5, 9);
    // What the credit would need is a gap of −honest_gap − 2.
    for gap in [-honest_gap - fr(2), -honest_gap - ONE, -ONE, ZERO, honest_gap] {
        w.transfers[0].payee_link.gap = gap;
        assert_eq!(judge(&w).violated.len(), 1, "reads are not writes: gap {gap}");
    }
    // One turn of all of time is no way either: a gap has 19 bits, and the other index's times are
    // 2^20 away.
    for turn in [1u64 << 19, 1 << 20, 1 << 21] {
        w.transfers[0].payee_link.gap = fr(turn) - honest_gap - fr(2);
        assert_eq!(judge(&w).violated.len(), 1, "turn {turn}");
    }
}

#[test]
fn two_credits_of_nothing_cannot_feed_each_other() {
    // Two payments of 0 to an account that does not exist: a circle without any amounts.
    let mut scene = Scene::new();
    let mut messages = Vec::new();
    for _ in 0..2 {
        let mut transfer = scene.transfer_of(1, 9, 0, 0);
        (transfer.payee_key, transfer.payee_owner) = (key(9), wallet(9).1);
        scene.pay_signed(1, transfer);
        let transaction = kerros_protocol::transaction::Transaction::Transfer(transfer);
        messages.push(transaction.message(fr(DOMAIN)));
    }
    let mut w = scene.forged();
    for (slot, message) in messages.into_iter().enumerate() {
        let t = &mut w.transfers[slot];
        (t.payee_key, t.payee_owner) = (key(9).get(), wallet(9).1.to_fr());
        t.signature = signature_of(&scene.transfers[slot], message);
    }
    assert!(judge(&w).satisfied());
    scene.refuses(&w);
    w.transfers[1].payee_link.last = ZERO;
    w.transfers[0].payee_link.first = ZERO;
    unlist(&mut w, 5, 9);
    for gap in [-fr(3), -ONE, ZERO, ONE] {
        w.transfers[0].payee_link.gap = gap;
        assert_eq!(judge(&w).violated.len(), 1, "reads are not writes: gap {gap}");
    }
}

#[test]
fn a_last_access_that_is_read_and_one_that_is_not_are_refused() {
    let honest = payments().honest();
    // Two last accesses, one of them read; no last access.
    let mut w = honest.clone();
    w.transfers[0].link.last = ONE;
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
    let mut w = honest.clone();
    w.transfers[2].link.last = ZERO;
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
    // The last place handed on: the third payment is left out of the path.
    let mut w = honest.clone();
    w.transfers[1].link.last = ONE;
    w.transfers[2].link.last = ZERO;
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
}

#[test]
fn an_access_read_twice_is_refused() {
    // The third payment goes on from the first one, as the second one does: 200 spent for nothing.
    let mut w = payments().honest();
    let (second, third) = (w.transfers[1], &mut w.transfers[2]);
    third.before = second.before;
    third.nonce = second.nonce;
    third.link.gap = second.link.gap + fr(2);
    resign(&mut w, 2, 1);
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
    // With the second one last as well.
    w.transfers[1].link.last = ONE;
    assert_eq!(judge(&w).violated.len(), 1, "reads are not writes");
}

#[test]
fn unused_slots_hand_nothing_on() {
    // With `last` where `active` is 0, an access would count −1 times: two of them would be two
    // writes from nowhere, two places earlier. Their index is 0, so an account at index 0, which
    // nobody opens, could pay out what it never had.
    let mut scene = Scene::new();
    scene.order = 5;
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(1, 1, 2, 200, 0);
    let mut w = scene.honest();
    for slot in 0..2 {
        let (order, source) = (fr(slot as u64), slot + 2);
        w.transfers[slot].from = ZERO;
        resign(&mut w, slot, 1);
        let payment = w.transfers[slot];
        let carrier = &mut w.transfers[source];
        (carrier.key, carrier.owner, carrier.asset) = (payment.key, payment.owner, payment.asset);
        (carrier.before, carrier.nonce, carrier.order) = (payment.before, payment.nonce, order);
        carrier.link.last = ONE;
        let link = &mut w.transfers[slot].link;
        // place − 1 − gap = the carrier's place − 2.
        let gap = (payment.order - order).double() + ONE;
        *link = LinkWitness { first: ZERO, last: ONE, gap };
    }
    unlist(&mut w, 4, 1);
    let verdict = judge(&w);
    assert_eq!(verdict.violated.len(), 2, "a flag is 0 where its slot is unused, and nothing else");
    assert!(verdict.opens(&scene.before, &w));
}

#[test]
fn a_place_used_twice_is_refused() {
    // Two payments of one account, and two to one account, at one t.
    let mut scene = payments();
    scene.transfers[1].order = 0;
    scene.must_be_refused();
    let w = scene.forged();
    assert_eq!(w.transfers[1].link.gap, -ONE, "only a gap of −1 would link them");
    let mut scene = Scene::new();
    scene.pay(1, 1, 3, 1, 0);
    scene.pay(2, 2, 5, 1, 0);
    scene.transfers[1].order = 0;
    let w = scene.forged();
    assert_eq!(w.transfers[1].link.first, ONE, "different accounts may share a t");
    let mut scene = Scene::new();
    scene.pay(1, 1, 5, 1, 0);
    scene.pay(2, 2, 5, 1, 0);
    assert!(judge(&scene.honest()).satisfied());
    scene.transfers[1].order = 0;
    let w = scene.forged();
    assert_eq!(w.transfers[1].payee_link.gap, -ONE);
    assert_eq!(judge(&w).violated.len(), 1, "a gap of −1");
    // A payment and a signed exit.
    let mut scene = Scene::new();
    scene.exit(1, 1, 1, 0, wallet(1).1);
    scene.pay(1, 1, 2, 1, 0);
    scene.transfers[0].order = 0;
    scene.must_be_refused();
    assert_eq!(judge(&scene.forged()).violated.len(), 1, "a gap of −1");
}

#[test]
fn a_path_against_time_is_refused() {
    // Account 2 has 500, gets 100 at t = 0 and pays 50 at t = 1, linked the other way round.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(2, 2, 1, 50, 0);
    let honest = scene.honest();
    for gap in [-fr(2), -ONE, ZERO, ONE] {
        let mut w = honest.clone();
        w.transfers[1].before = fr(500);
        w.transfers[1].link = LinkWitness { first: ONE, last: ZERO, gap: ZERO };
        let credit = &mut w.transfers[0];
        (credit.payee_before, credit.payee_nonce) = (fr(450), ONE);
        credit.payee_link = LinkWitness { first: ZERO, last: ONE, gap };
        // The debit is access 6, the credit access 5.
        unlist(&mut w, 5, 2);
        list(&mut w, 6, 2);
        assert_eq!(judge(&w).violated.len(), 1, "reads are not writes: gap {gap}");
    }
}

#[test]
fn an_access_that_does_not_go_on_where_the_last_one_stopped_is_refused() {
    let honest = payments().honest();
    for change in 0..8 {
        let mut w = honest.clone();
        let t = &mut w.transfers[1];
        match change {
            0 => t.before += ONE,
            1 => t.before -= ONE,
            2 => t.owner += ONE,
            3 => t.link.gap += ONE,
            4 => t.link.gap -= ONE,
            5 => t.payee_before += ONE,
            6 => t.payee_nonce += ONE,
            _ => t.payee_link.gap += ONE,
        }
        assert_eq!(judge(&w).violated.len(), 1, "change {change}: reads are not writes");
    }
}

#[test]
fn an_access_that_is_left_out_is_refused() {
    // Every record of a batch of all kinds, one at a time: it is first and last for itself, or the
    // one behind it goes on from the one before.
    let scene = Scene::everything();
    let honest = scene.honest();
    for slot in 0..4 {
        for payee in [false, true] {
            for (first, last) in [(ONE, ONE), (ONE, ZERO), (ZERO, ONE), (ZERO, ZERO)] {
                let mut w = honest.clone();
                let t = &mut w.transfers[slot];
                let link = if payee { &mut t.payee_link } else { &mut t.link };
                if (link.first, link.last) == (first, last) {
                    continue;
                }
                (link.first, link.last) = (first, last);
                assert!(!judge(&w).satisfied(), "T[{slot}] {payee} {first} {last}");
            }
        }
    }
    for (slot, (first, last)) in (0..2).flat_map(|s| [(s, (ONE, ONE)), (s, (ZERO, ZERO))]) {
        let set = |link: &mut LinkWitness| {
            let changed = (link.first, link.last) != (first, last);
            (link.first, link.last) = (first, last);
            changed
        };
        let [mut d, mut e, mut f] = [honest.clone(), honest.clone(), honest.clone()];
        if set(&mut d.deposits[slot].link) {
            assert!(!judge(&d).satisfied(), "D[{slot}]");
        }
        if set(&mut e.exits[slot].link) {
            assert!(!judge(&e).satisfied(), "E[{slot}]");
        }
        if set(&mut f.collects[slot].link) {
            assert!(!judge(&f).satisfied(), "F[{slot}]");
        }
        let mut o = honest.clone();
        o.opens[slot].last = ONE - o.opens[slot].last;
        assert!(!judge(&o).satisfied(), "O[{slot}]");
    }
}
