//! Witnesses that claim another state than the committed one: 1 to 4 and 17.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::access::LinkWitness;
use kerros_protocol::account::Account;
use kerros_protocol::commitment::point;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transaction::Transaction;

#[test]
fn attack_01_mint_by_an_open_whose_words_are_chosen_after_the_challenges() {
    // C' was committed to an account with balance B, the journal opens it with none. Knowing β,
    // solve for the key: key' + β·word + β²·owner = key + β·(word + B) + β²·owner.
    let minted = u64::MAX;
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let executed = scene.execute().unwrap();
    let mut w = executed.witness;
    let honest = judge(&w);
    let (beta, z) = (honest.beta, honest.z);
    w.opens[0].key += beta * fr(minted);
    let known = judge_with(&w, |_| (beta, z));
    assert!(known.satisfied(), "with β and z known, all constraints hold");
    let mut after = executed.after.clone();
    after.set(index(6), Account { balance: minted, ..after.get(index(6)) });
    assert!(known.updates(&scene.before, &after), "and Δ is that of the minted balance");
    // But the key is absorbed: h, and with it β and z, are others.
    assert_ne!(known.outputs.h, honest.outputs.h);
    assert!(!judge(&w).updates(&scene.before, &after));
    // An open has no balance at all that could be claimed: the deposit that follows reads none.
    scene.deposit(6, 6, 1, 5);
    let mut w = scene.honest();
    assert_eq!(w.deposits[0].before, Fr::ZERO);
    w.deposits[0].before = fr(1000);
    assert_eq!(judge(&w).violated.len(), 1, "what is read is what was written");
}

#[test]
fn attack_02_theft_by_a_forced_exit_whose_owner_is_chosen_after_the_challenges() {
    // The thief forces the victim's account 2 out to itself. A forced exit does not name the
    // key, so the key is free to make up for the owner in A.
    let thief = wallet(9).1;
    let mut scene = Scene::new();
    scene.force(2, thief);
    let honest = judge(&scene.honest());
    let (beta, z) = (honest.beta, honest.z);
    let mut w = scene.honest();
    let exit = &mut w.exits[0];
    let change = thief.to_fr() - exit.owner;
    exit.owner = thief.to_fr();
    exit.amount = fr(500);
    exit.key -= beta.square() * change;
    let known = judge_with(&w, |_| (beta, z));
    assert!(known.satisfied() && known.opens(&scene.before, &w), "it fits known challenges");
    assert_ne!(known.outputs.h, honest.outputs.h);
    let real = judge(&w);
    assert!(!real.accepted(&scene.before, &w), "not those drawn from its h");
}

#[test]
fn attack_03_reopen_inside_a_path_after_a_deposit_to_it() {
    // Account 1 of the victim gets a deposit; then it is "opened" for the thief in the same batch,
    // and would keep the balance.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    scene.open(1, 9, 1);
    scene.must_be_refused();
    let first = LinkWitness { first: ONE, ..LinkWitness::default() };
    let both = LinkWitness { last: ONE, ..first };
    let neither = LinkWitness::default();
    let last = LinkWitness { last: ONE, ..neither };
    for before in [0, 10_000] {
        for link in [first, both, neither, last] {
            for open_last in [Fr::ZERO, ONE] {
                for listed in [0usize, 1, 2] {
                    let mut w = scene.forged();
                    w.deposits[0].before = fr(before);
                    w.deposits[0].link = link;
                    w.opens[0].last = open_last;
                    list_index_one(&mut w, listed);
                    assert!(!judge(&w).accepted(&scene.before, &w), "{before} {link:?} {listed}");
                }
            }
        }
    }
    // As the thief's account it is opened where the state has the victim's.
    let mut scene = Scene::new();
    scene.open(1, 9, 1);
    scene.deposit(1, 9, 1, 5);
    scene.must_be_refused();
    assert!(judge(&scene.forged()).satisfied(), "the circuit leaves this to the opening");
}

/// Puts index 1 into the table 0, 1 or 2 times, in the place of other values at its end.
fn list_index_one(w: &mut kerros_circuits::batch::BatchWitness, times: usize) {
    let at = w.touched.iter().position(|value| *value == ONE).unwrap();
    match times {
        0 => w.touched[at] = Fr::ZERO,
        1 => {}
        // The deposit is access 2: −3 makes way, what is below it moves up.
        _ => {
            let gone = w.touched.iter().position(|value| *value == -fr(3)).unwrap();
            w.touched.remove(gone);
            w.touched.push(ONE);
        }
    }
}

#[test]
fn attack_04_one_account_opened_twice_of_which_only_the_sum_is_opened() {
    // Two accounts, both touched. Account 1 is opened twice: by a payment, with 2^63 too much and
    // one nonce less, and by a stranger's forced exit, with 2^63 and nothing else. The sum of both
    // openings is the account's words, so that A satisfies the KZG equation with Q = 0.
    let mut scene = Scene::new();
    let mut before = Ledger::new(K);
    for i in [1, 2] {
        before.set(index(i), scene.before.get(index(i)));
    }
    scene.before = before.clone();
    let mut transfer = scene.transfer_of(1, 2, 100, 0);
    transfer.nonce -= 1;
    scene.pay_signed(1, transfer);
    scene.force(1, wallet(9).1);
    let mut w = scene.forged();
    let half = fr(1 << 63);
    let debit = &mut w.transfers[0];
    let message = Transaction::Transfer(transfer).message(fr(DOMAIN));
    debit.signature = signature_of(&scene.transfers[0], message);
    debit.nonce -= ONE;
    debit.before += half;
    debit.link.last = ONE;
    let exit = &mut w.exits[0];
    (exit.key, exit.owner, exit.nonce, exit.asset) = (Fr::ZERO, Fr::ZERO, Fr::ZERO, Fr::ZERO);
    exit.before = half;
    exit.link = LinkWitness { first: ONE, last: ONE, gap: Fr::ZERO };
    // The exit is access 12. As the honest table stands, it lists the account once.
    let once = judge(&w);
    assert_eq!(once.violated.len(), 1, "the table lacks the second opening");
    let gone = w.touched.iter().position(|value| *value == -fr(13)).unwrap();
    w.touched.remove(gone);
    let at = w.touched.iter().position(|value| *value == ONE).unwrap();
    w.touched.insert(at, ONE);
    let verdict = judge(&w);
    // F(z) = c·A: nothing is left for Q, whatever Z is.
    let c = (verdict.z.pow([16u64]) - ONE) / fr(16);
    let lagrange = |x: Fr| c * x / (verdict.z - x);
    let f: Fr = before
        .existing()
        .map(|(i, account)| account.combine(verdict.beta) * lagrange(point(i.get())))
        .sum();
    assert_eq!(f, c * verdict.outputs.a, "the pairing would accept it");
    assert!(!verdict.satisfied(), "the circuit does not: the table must ascend");
    // Which rule that is: the gap between equal neighbours is −1, the one after −13 one more.
    assert_eq!(verdict.violated.len(), 1);
    assert_ne!(verdict.violated, once.violated);
    // Another index in the table is not the exit's.
    for other in [3, 15] {
        w.touched.splice(at.., [ONE, fr(2), fr(other)]);
        assert!(!judge(&w).satisfied());
    }
}

#[test]
fn attack_17_an_unused_slot_hands_a_forged_balance_to_an_access() {
    // T[1] is unused but carries account 1 with 2^63 more at an earlier time; the payment reads
    // that instead of the state: its opening would enter neither A nor Z.
    let mut scene = Scene::new();
    scene.order = 5;
    scene.pay(1, 1, 2, 100, 0);
    let honest = scene.honest();
    let rich = fr(1 << 63);
    let minus = -ONE;
    for (first, last) in [
        (Fr::ZERO, Fr::ZERO),
        (ONE, Fr::ZERO),
        (Fr::ZERO, ONE),
        (ONE, ONE),
        (minus, minus),
        (Fr::ZERO, minus),
    ] {
        for listed in [false, true] {
            let mut w = honest.clone();
            let debit = w.transfers[0];
            let carrier = &mut w.transfers[1];
            (carrier.key, carrier.owner, carrier.asset) = (debit.key, debit.owner, debit.asset);
            (carrier.before, carrier.nonce) = (rich, debit.nonce);
            carrier.link = LinkWitness { first, last, gap: Fr::ZERO };
            let debit = &mut w.transfers[0];
            debit.before = rich;
            debit.link = LinkWitness { first: Fr::ZERO, last: ONE, gap: fr(9) };
            if !listed {
                // The payment is access 4; it gives up its place in the table.
                let at = w.touched.iter().position(|value| *value == ONE).unwrap();
                w.touched.remove(at);
                let below = w.touched.iter().position(|value| *value == -fr(4)).unwrap();
                w.touched.insert(below, -fr(5));
            }
            assert!(!judge(&w).satisfied(), "{first} {last} {listed}");
        }
    }
    // All unused transfers at once.
    let mut w = honest;
    for slot in 1..4 {
        (w.transfers[slot].before, w.transfers[slot].link.first) = (rich, ONE);
    }
    assert!(!judge(&w).satisfied());
}
