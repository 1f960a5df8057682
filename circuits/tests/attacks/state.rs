//! Witnesses that claim another state than the committed one: 1 to 4 and 17.

use crate::ONE;
use crate::support::*;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::journal::{class, flag};
use kerros_circuits::ledger::RowWitness;
use kerros_protocol::account::Account;
use kerros_protocol::commitment::point;
use kerros_protocol::ledger::Ledger;

/// Flags of a row, packed.
fn flags(packed: u64) -> [Fr; 6] {
    std::array::from_fn(|bit| fr(packed >> bit & 1))
}

#[test]
fn attack_01_mint_by_an_open_whose_ledger_side_is_chosen_after_the_challenges() {
    // The journal opens an empty account (K, a, O). C' was committed to the same account with
    // balance B. Knowing β and z, solve for the row's key and owner:
    //   posting:  β⁶·key + β⁷·owner = β⁶·K + β⁷·O
    //   Δ:        key + β²·owner    = K + β²·O + β·B
    let minted = u64::MAX;
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let executed = scene.execute().unwrap();
    let mut w = executed.witness;
    let honest = judge(&w);
    let (beta, z) = (honest.beta, honest.z);
    // key' = K + u, owner' = O + v with u = −β·v and u + β²·v = β·B.
    let v = fr(minted) * beta / (beta.square() - beta);
    w.rows[15].key -= beta * v;
    w.rows[15].owner += v;
    let known = judge_with(&w, |_| (beta, z));
    assert!(known.satisfied(), "with β and z known, all constraints hold");
    let mut after = executed.after.clone();
    after.set(index(6), Account { balance: minted, ..after.get(index(6)) });
    assert!(known.updates(&scene.before, &after), "and Δ is that of the minted balance");
    // But the row's key and owner are absorbed: h, and with it β and z, are others.
    assert_ne!(known.outputs.h, honest.outputs.h);
    let real = judge(&w);
    assert!(!real.satisfied() && !real.updates(&scene.before, &after));
}

#[test]
fn attack_02_theft_by_a_forced_exit_whose_owner_is_chosen_after_the_challenges() {
    // The thief forces the victim's account 2 out to itself. A forced exit does not name the
    // key, so the row's key is free to make up for the owner in A.
    let thief = wallet(9).1;
    let mut scene = Scene::new();
    scene.force(2, thief);
    let honest = judge(&scene.honest());
    let (beta, z) = (honest.beta, honest.z);
    let mut w = scene.honest();
    w.exits[0].owner = thief.to_fr();
    w.exits[0].amount = fr(500);
    let row = &mut w.rows[15];
    let change = thief.to_fr() - row.owner;
    row.owner = thief.to_fr();
    row.key -= beta.square() * change;
    row.after = Fr::ZERO;
    row.flags[3] = ONE;
    let known = judge_with(&w, |_| (beta, z));
    assert!(known.satisfied() && known.opens(&scene.before, &w), "it fits known challenges");
    assert_ne!(known.outputs.h, honest.outputs.h);
    let real = judge(&w);
    assert!(!real.accepted(&scene.before, &w), "not those drawn from its h");
}

#[test]
fn attack_03_reopen_inside_a_run_after_a_deposit_to_it() {
    // Account 1 of the victim gets a deposit; then it is "opened" for the thief in the same run,
    // and would keep the balance.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    scene.open(1, 9, 1);
    scene.must_be_refused();
    let honest = {
        let mut scene = Scene::new();
        scene.deposit(1, 1, 1, 5);
        scene
    };
    let thief = Scene::new().get(5);
    let opened = |before: u64, composite: u64, packed: u64| RowWitness {
        key: key(9).get(),
        owner: wallet(9).1.to_fr(),
        before: fr(before),
        after: fr(before),
        nonce: Fr::ZERO,
        asset: ONE,
        flags: flags(packed),
        composite: fr(composite),
        x: point(1),
    };
    assert_eq!(thief.asset, 1);
    let named = flag::ACTIVE | flag::NAMES_KEY | flag::NAMES_OWNER;
    let (open, deposit) = (composite(1, class::OPEN, 0, 1), composite(1, class::DEPOSIT, 0, 1));
    for before in [0, 10_005] {
        for (place, packed) in [
            (open, named | flag::OPEN),
            (deposit + 2, named | flag::OPEN),
            (deposit + 2, named),
            (open, named),
        ] {
            let mut w = honest.honest();
            w.opens[0] = scene.forged().opens[0];
            w.rows[14] = w.rows[15];
            w.rows[15] = opened(before, place, packed);
            assert!(!judge(&w).satisfied(), "{before} {place} {packed}");
            w.rows.swap(14, 15);
            assert!(!judge(&w).accepted(&scene.before, &w), "{before} {place} {packed}, first");
        }
    }
}

#[test]
fn attack_04_one_account_in_two_runs_of_which_only_the_sum_is_opened() {
    // Two accounts, both touched. Account 1 is opened twice: with 2^63 too much and one nonce
    // less, and with 2^63 and nothing else. The sum of both openings is the account's words, so
    // that A and Z satisfy the KZG equation with Q = 0.
    let mut scene = Scene::new();
    let mut before = Ledger::new(K);
    for i in [1, 2] {
        before.set(index(i), scene.before.get(index(i)));
    }
    scene.before = before.clone();
    scene.pay(1, 1, 2, 100, 0);
    let honest = scene.honest();
    let mut w = honest.clone();
    let (debit, credit) = (w.rows[14], w.rows[15]);
    let half = fr(1 << 63);
    let first = RowWitness {
        before: debit.before + half,
        after: debit.after + half,
        nonce: debit.nonce - ONE,
        ..debit
    };
    let zero = Fr::ZERO;
    let second = RowWitness {
        key: zero,
        owner: zero,
        before: half,
        after: half,
        nonce: zero,
        asset: zero,
        ..debit
    };
    (w.rows[13], w.rows[14], w.rows[15]) = (first, credit, second);
    let verdict = judge(&w);
    // F(z) = c·A: nothing is left for Q, whatever Z is.
    let c = (verdict.z.pow([16u64]) - ONE) / fr(16);
    let lagrange = |x: Fr| c * x / (verdict.z - x);
    let f: Fr = before
        .existing()
        .map(|(i, account)| account.combine(verdict.beta) * lagrange(point(i.get())))
        .sum();
    assert_eq!(f, c * verdict.outputs.a, "the pairing would accept it");
    assert!(!verdict.satisfied(), "the circuit does not: composites must ascend");
    // Nor with any composite for the second run that ascends, for then it is posted nowhere.
    for index in [2, 3, 15] {
        w.rows[15].composite = fr(composite(index, class::SIGNED, 0, 0));
        assert!(!judge(&w).satisfied());
    }
    // Next to the first run it is the same run.
    let mut w = honest;
    w.rows[13] = first;
    w.rows[14] = second;
    w.rows[14].composite += fr(2);
    assert!(!judge(&w).satisfied());
}

#[test]
fn attack_17_an_inactive_row_hands_a_forged_balance_to_the_first_active_row() {
    // Row 14 is inactive but carries account 1's x and columns with 2^63 more; row 15, the first
    // active one, continues it as the same account: its opening would enter neither A nor Z.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    let mut w = scene.honest();
    let (debit, credit) = (w.rows[14], w.rows[15]);
    let rich = fr(1 << 63);
    let carrier =
        RowWitness { flags: [Fr::ZERO; 6], composite: fr(13), before: rich, after: rich, ..debit };
    w.rows[13] = carrier;
    w.rows[14] = RowWitness { before: rich, after: rich - fr(100), ..debit };
    w.rows[15] = credit;
    let verdict = judge(&w);
    assert!(!verdict.satisfied());
    // Each part of the carrier alone is refused too: columns without x, x without columns.
    for columns in [false, true] {
        let mut w = scene.honest();
        match columns {
            true => w.rows[13].before = rich,
            false => w.rows[13].x = point(1),
        }
        assert!(!judge(&w).satisfied());
    }
    // All inactive rows carrying it, from the very first.
    let mut w = scene.honest();
    for row in 0..14 {
        w.rows[row] = RowWitness { composite: fr(row as u64), ..carrier };
    }
    assert!(!judge(&w).satisfied());
}
