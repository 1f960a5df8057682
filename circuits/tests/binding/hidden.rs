//! The converse: a prover who knows β and z beforehand can break each identity with the columns
//! that are field elements of free size. Each test first shows the forgery satisfying every
//! constraint of the real circuit under the challenges it was made for, then that its h is another
//! one: under the challenges drawn from that h, the same witness is refused.

use crate::support::*;
use crate::{ONE, assignment_only};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::batch::BatchWitness;
use kerros_protocol::account::{Account, two_to};
use kerros_protocol::ledger::Ledger;

/// The forgery is taken under the challenges it knew, and what remains when they are drawn after
/// h, as they are. `after` is the state that the forger committed to, where that matters.
fn dies_of_its_own_h(
    scene: &Scene,
    w: &BatchWitness,
    after: Option<&Ledger>,
    (beta, z, honest_h): (Fr, Fr, Fr),
) {
    let taken = |verdict: &Verdict| {
        let updates = after.is_none_or(|after| verdict.updates(&scene.before, after));
        verdict.accepted(&scene.before, w) && updates
    };
    let known = judge_with(w, |_| (beta, z));
    assert_eq!(known.violated, Vec::<usize>::new(), "the forgery fits the challenges it knew");
    assert!(taken(&known), "and the state");
    assert_ne!(known.outputs.h, honest_h, "but every column it solved for is absorbed");
    assert_ne!(challenges(known.outputs.h), (beta, z));
    assert!(!taken(&judge(w)), "so it fails under the challenges of its own h");
}

/// One asset more in the word, and `key` or `owner` that takes it up: an access then reads an
/// account of asset 1 as one of asset 2.
fn hide_asset(beta: Fr, owner: bool, account: (&mut Fr, &mut Fr)) {
    match owner {
        true => *account.1 -= two_to(96) / beta,
        false => *account.0 -= beta * two_to(96),
    }
}

#[test]
fn the_deposits_key_and_owner_would_hide_a_mint_if_they_were_not_absorbed() {
    // A deposit of the worthless asset 2 is credited to an account of asset 1.
    for owner in [false, true] {
        let mut scene = Scene::new();
        scene.deposit(1, 1, 1, 100);
        let executed = scene.execute().unwrap();
        let mut w = executed.witness;
        let h = judge(&w).outputs.h;
        let (beta, z) = challenges(h);
        let d = &mut w.deposits[0];
        d.asset = fr(2);
        hide_asset(beta, owner, (&mut d.key, &mut d.owner));
        dies_of_its_own_h(&scene, &w, Some(&executed.after), (beta, z, h));
    }
}

#[test]
fn the_opens_key_would_hide_a_balance_if_it_were_not_absorbed() {
    // The state gets the account with 1000 units; the record's key takes them up in Δ.
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let executed = scene.execute().unwrap();
    let mut w = executed.witness;
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    w.opens[0].key += beta * fr(1000);
    let mut after = executed.after;
    after.set(index(6), Account { balance: 1000, ..after.get(index(6)) });
    dies_of_its_own_h(&scene, &w, Some(&after), (beta, z, h));
}

#[test]
fn the_transfers_payee_key_and_owner_would_hide_a_mint_if_h_s_were_not_absorbed() {
    // Account 3 of asset 2 pays account 2 of asset 1. Its holder signs whatever payee the forgery
    // needs: nothing but h_s in the absorbed elements says which.
    for owner in [false, true] {
        let mut scene = Scene::new();
        scene.pay(3, 3, 2, 100, 0);
        let mut w = scene.forged();
        scene.refuses(&w);
        let h = judge(&w).outputs.h;
        let (beta, z) = challenges(h);
        let t = &mut w.transfers[0];
        hide_asset(beta, owner, (&mut t.payee_key, &mut t.payee_owner));
        resign(&mut w, 0, 3);
        dies_of_its_own_h(&scene, &w, None, (beta, z, h));
    }
}

#[test]
fn the_payers_owner_would_hide_a_theft_if_it_were_not_absorbed() {
    // A stranger signs for account 2 with his own key; the owner, which a payment does not name,
    // takes up the difference in A.
    let mut scene = Scene::new();
    scene.pay(2, 2, 1, 500, 0);
    let mut w = scene.honest();
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    let key = w.transfers[0].key;
    resign(&mut w, 0, 9);
    let t = &mut w.transfers[0];
    t.owner += (key - t.key) / beta.square();
    dies_of_its_own_h(&scene, &w, None, (beta, z, h));
}

#[test]
fn the_payers_owner_would_hide_an_overdraft_if_it_were_not_absorbed() {
    let mut scene = Scene::new();
    scene.pay(2, 2, 1, 1500, 0);
    let mut w = scene.forged();
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    let t = &mut w.transfers[0];
    t.before += fr(1000);
    t.owner -= fr(1000) / beta;
    dies_of_its_own_h(&scene, &w, None, (beta, z, h));
}

#[test]
fn the_payers_owner_would_hide_a_replay_if_it_were_not_absorbed() {
    // The second payment is the first one again, signature and nonce.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.pay(1, 1, 2, 100, 0);
    let mut w = scene.honest();
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    let first = w.transfers[0].signature;
    let t = &mut w.transfers[1];
    t.nonce -= ONE;
    t.owner += two_to(64) / beta;
    t.signature = first;
    dies_of_its_own_h(&scene, &w, None, (beta, z, h));
}

#[test]
fn the_exits_key_and_owner_would_hide_another_asset_if_they_were_not_absorbed() {
    // Account 2's owner is paid out of asset 2 what the account holds of asset 1.
    for owner in [false, true] {
        let mut scene = Scene::new();
        scene.force(2, wallet(2).1);
        let mut w = scene.honest();
        let h = judge(&w).outputs.h;
        let (beta, z) = challenges(h);
        let e = &mut w.exits[0];
        e.asset = fr(2);
        hide_asset(beta, owner, (&mut e.key, &mut e.owner));
        if owner {
            // The owner is then a number of full size and no requester's: nothing leaves.
            assert!(!judge_with(&w, |_| (beta, z)).satisfied());
            w.exits[0].amount = Fr::ZERO;
        }
        dies_of_its_own_h(&scene, &w, None, (beta, z, h));
    }
}

#[test]
fn the_collects_key_and_owner_would_hide_a_mint_if_they_were_not_absorbed() {
    // Fees of asset 2 are collected into an account of asset 1.
    for owner in [false, true] {
        let mut scene = Scene::new();
        scene.pay(3, 3, 3, 100, 10);
        scene.collect(2, 10);
        let mut w = scene.forged();
        scene.refuses(&w);
        let h = judge(&w).outputs.h;
        let (beta, z) = challenges(h);
        let f = &mut w.collects[0];
        f.asset = fr(2);
        hide_asset(beta, owner, (&mut f.key, &mut f.owner));
        dies_of_its_own_h(&scene, &w, None, (beta, z, h));
    }
}

#[test]
fn a_balance_a_nonce_and_a_gap_have_no_room_to_hide_a_mint() {
    // The second deposit reads 1000 more than the first one left. What would have to make up for it
    // is a random field element, and each of these has at most 64 bits; all are absorbed anyway.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    scene.deposit(1, 1, 1, 100);
    let honest = scene.honest();
    let (beta, z) = challenges(judge(&honest).outputs.h);
    for part in 0..4 {
        let mut w = honest.clone();
        let d = &mut w.deposits[1];
        d.before += fr(1000);
        match part {
            0 => d.link.gap += beta.square() * fr(1000),
            1 => d.nonce -= fr(1000) / two_to(64),
            2 => d.before -= fr(1000) + fr(1000) / beta,
            _ => d.asset -= fr(1000) / two_to(96),
        }
        assert!(!judge_with(&w, |_| (beta, z)).satisfied(), "part {part}");
    }
}

#[test]
fn the_flags_and_the_table_have_no_room_to_hide_a_second_first_access() {
    // The second deposit claims to be first as well: it puts index 1 into the table a second time,
    // and not −4. Knowing z, another value makes the products equal, but it is out of range.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    scene.deposit(1, 1, 1, 100);
    let mut w = scene.honest();
    let (beta, z) = challenges(judge(&w).outputs.h);
    w.deposits[0].link.last = ONE;
    (w.deposits[1].link.first, w.deposits[1].link.gap) = (ONE, Fr::ZERO);
    let unsolved = judge_with(&w, |_| (beta, z)).violated;
    let at = w.touched.iter().position(|value| *value == -fr(5)).unwrap();
    w.touched[at] = (z + ONE) * (z - fr(5)) / (z - fr(4)) - z;
    let solved = judge_with(&w, |_| (beta, z)).violated;
    assert_eq!(unsolved.len(), 1, "the products of the table");
    assert_eq!(solved.len(), 2, "the gaps before and after the value");
    assert!(!solved.contains(&unsolved[0]));
    // A flag that is neither 0 nor 1 is no flag.
    let honest = scene.honest();
    for value in [fr(2), fr(2).inverse().unwrap(), -ONE] {
        for last in [false, true] {
            let mut w = honest.clone();
            let link = &mut w.deposits[0].link;
            *(if last { &mut link.last } else { &mut link.first }) = value;
            assert!(!judge_with(&w, |_| (beta, z)).satisfied());
        }
    }
}

#[test]
fn many_values_of_the_table_would_have_room_together_if_they_were_not_absorbed() {
    // 28 bits each, 17 of them: whoever knows z beforehand has more sets than there are elements.
    // So each is absorbed: see `every_element_of_the_table_changes_h`. Two that change so that
    // their sum stays change h as well: gaps do not share bits.
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(9, 7, 1);
    let honest = scene.honest();
    let mut w = honest.clone();
    let last = w.touched.len() - 1;
    w.touched[last - 1] += ONE;
    w.touched[last] -= ONE;
    assert_ne!(assignment_only(&w)[1], assignment_only(&honest)[1]);
}

#[test]
fn the_fees_asset_and_the_records_numbers_have_no_room_either() {
    // Σ fee/(β+asset): the asset that would make 1 cover 2 is no 16-bit number, and neither are
    // amount, nonce or t wide enough to take up a β-multiple; all of them are absorbed anyway.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 10);
    scene.collect(1, 10);
    let w = scene.honest();
    let (beta, z) = challenges(judge(&w).outputs.h);
    let asset = (beta + ONE) * fr(2) - beta;
    let mut forged = w.clone();
    forged.collects[0].amount = fr(20);
    forged.collects[0].asset = asset;
    assert!(!judge_with(&forged, |_| (beta, z)).satisfied());
}
