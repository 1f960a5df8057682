//! The attacks of SPEC.md section 9 that touch circuit, transcript or posting, by number.
//!
//! Not here, because they are the contract's: 5 (escape with i ≥ n), 6 (late batch after escapes),
//! 7 (entries that can never be proved), 12 (growth in flight), 18 (queue contents enqueued late),
//! 20 (deadlines ratcheted up), 21 (deposits beyond O), 22 (payout of 0), 24 (post by a contract).

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::journal::{class, flag};
use kerros_circuits::ledger::RowWitness;
use kerros_circuits::witness::{WitnessError, execute};
use kerros_protocol::account::{Account, Address};
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::{BatchData, BatchDataError, CollectRecord};
use kerros_protocol::commitment::{Commitments, point};
use kerros_protocol::eddsa::{Point, Signature};
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::{self, BatchProof, Groth16Proof, Statement};
use kerros_protocol::verification_key::{IC_LEN, VerificationKey};
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

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
fn attack_08_a_strangers_forced_exit_does_not_touch_the_victims_nonce() {
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    scene.force(1, wallet(9).1);
    let executed = scene.execute().unwrap();
    assert_eq!(executed.after.get(index(1)).nonce, 8, "raised by the payment alone");
    let verdict = judge(&executed.witness);
    assert!(verdict.accepted(&scene.before, &executed.witness));
    let row = row_at(&executed.witness, 1, class::FORCED, 0, 0);
    let mut w = executed.witness;
    w.rows[row].flags[2] = ONE;
    assert!(!judge(&w).satisfied());
    // The owner's own forced exit does not either.
    let mut scene = Scene::new();
    scene.force(1, wallet(1).1);
    let after = scene.execute().unwrap().after;
    assert_eq!((after.get(index(1)).nonce, after.get(index(1)).balance), (7, 0));
}

#[test]
fn attack_09_forced_is_two() {
    // 2 is neither signed nor matched with the queue.
    let mut scene = Scene::new();
    scene.exit(2, 2, 500, 0, Address([9; 20]));
    for forced in [fr(2), fr(3), -ONE, fr(2).inverse().unwrap()] {
        let mut w = scene.honest();
        w.exits[0].forced = forced;
        assert!(!judge(&w).satisfied());
    }
    let bytes = scene.sealed().data.encode();
    let mut forced_two = bytes.clone();
    forced_two[10 + 14] = 2;
    assert!(BatchData::decode(&bytes, &shape()).is_ok());
    assert!(BatchData::decode(&forced_two, &shape()).is_err());
}

#[test]
fn attack_10_the_poster_opens_the_payees_index_with_another_key_or_owner() {
    for what in 0..2 {
        let mut scene = Scene::new();
        // The payer was told index 6 for wallet 6 and signs that.
        scene.open(6, 6, 1);
        scene.pay(1, 1, 6, 100, 0);
        assert!(scene.execute().is_ok());
        match what {
            0 => scene.data.opens[0].key = key(9),
            _ => scene.data.opens[0].owner = wallet(9).1,
        }
        scene.must_be_refused();
        // The journal may name what was signed or what was opened: either half fails.
        let mut w = scene.forged();
        w.transfers[0].payee_key = key(6).get();
        w.transfers[0].payee_owner = wallet(6).1.to_fr();
        scene.refuses(&w);
    }
    // Opened with another asset: the payer's account has one asset, and pays in no other.
    let mut scene = Scene::new();
    scene.open(6, 6, 2);
    scene.pay(1, 1, 6, 100, 0);
    scene.must_be_refused();
}

#[test]
fn attack_11_a_forced_exit_that_runs_before_the_same_users_deposit() {
    let mut scene = Scene::new();
    scene.deposit(2, 2, 1, 1_000);
    scene.pay(1, 1, 2, 100, 0);
    scene.force(2, wallet(2).1);
    let batch = scene.sealed();
    assert_eq!(batch.data.exits[0].amount, 1_600, "everything that came in earlier leaves");
    let honest = scene.honest();
    assert!(judge(&honest).accepted(&scene.before, &honest));
    // Only the old balance leaves, and the rest comes in afterwards.
    let mut early = batch;
    early.data.exits[0].amount = 500;
    assert!(execute(&shape(), &scene.before, &early, fr(DOMAIN)).is_err());
    let first_active = honest.rows.len() - active_rows(&honest).len();
    for class in [class::OPEN, class::FORCED] {
        let mut w = honest.clone();
        w.exits[0].amount = fr(500);
        let mut rows = active_rows(&w);
        let forced = row_at(&w, 2, class::FORCED, 0, 0) - first_active;
        for row in &mut rows[forced - 2..forced] {
            row.1.before -= fr(500);
            row.1.after -= fr(500);
        }
        let row = &mut rows[forced].1;
        (row.before, row.after) = (fr(500), Fr::ZERO);
        row.composite = fr(composite(2, class, 0, 0));
        rows[forced].0 = composite(2, class, 0, 0);
        place(&mut w, rows);
        assert!(!judge(&w).satisfied(), "class {class}");
        // In that order in spite of the composite.
        w.rows[13..16].sort_by_key(|row| row.flags[3] == Fr::ZERO);
        assert!(!judge(&w).satisfied(), "class {class}, first");
    }
}

#[test]
fn attack_13_records_that_spill_into_the_next_sections_offsets() {
    // Three opens in a shape of two: the third's elements would be the first deposit's.
    let mut data = BatchData::default();
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(7, 6, 1);
    scene.open(8, 6, 1);
    data.opens = scene.data.opens.clone();
    let full = BatchDataError::SectionFull { section: 'O', have: 3, capacity: 2 };
    assert_eq!(BatchData::decode(&data.encode(), &shape()), Err(full.clone()));
    assert_eq!(scene.execute().err(), Some(WitnessError::Capacity(full)));
    // Every section starts at its own offset however short the ones before it are, and the
    // circuit's elements are at the same ones.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 5);
    scene.pay(1, 1, 2, 6, 8);
    scene.exit(1, 1, 7, 0, Address([9; 20]));
    scene.collect(2, 8);
    let elements = scene.sealed().data.elements(&shape());
    let used: Vec<usize> = (0..elements.len()).filter(|i| elements[*i] != Fr::ZERO).collect();
    assert_eq!(used, [4, 5, 6, 10, 14, 15, 18]);
    let verdict = judge(&scene.honest());
    assert_eq!(verdict.outputs.y, kerros_protocol::batch::evaluate(&elements, verdict.z));
}

fn statement() -> Statement {
    Statement {
        domain: fr(DOMAIN),
        vk_hash: [1; 32],
        number: 1,
        k: K,
        old: Commitments::empty(),
        new: Commitments::empty(),
        data_hash: [2; 32],
        first: 3,
        end: 4,
        beneficiary: Address([5; 20]),
    }
}

fn other_point() -> G1Affine {
    (G1Projective::generator() * fr(77)).into_affine()
}

#[test]
fn attack_14_challenges_drawn_before_what_they_must_bind() {
    // β binds h and everything the verifier knows, every commitment included.
    let h = fr(6);
    let honest = statement();
    let mut others: Vec<Statement> = vec![honest.clone(); 8];
    others[0].domain += ONE;
    others[1].vk_hash[31] ^= 1;
    others[2].number += 1;
    others[3].k += 1;
    others[4].data_hash[0] ^= 1;
    others[5].first += 1;
    others[6].end += 1;
    others[7].beneficiary.0[19] ^= 1;
    for j in 0..3 {
        let (mut old, mut new) = (honest.clone(), honest.clone());
        old.old.0[j] = other_point();
        new.new.0[j] = other_point();
        others.extend([old, new]);
    }
    let mut betas = vec![honest.beta(&h), honest.beta(&(h + ONE))];
    betas.extend(others.iter().map(|statement| statement.beta(&h)));
    let count = betas.len();
    betas.sort_unstable();
    betas.dedup();
    assert_eq!(betas.len(), count, "every part changes β, each differently");
    // z binds β and Q, γ binds z.
    let beta = betas[0];
    let z = transcript::z(&beta, &G1Affine::identity());
    assert_ne!(z, transcript::z(&(beta + ONE), &G1Affine::identity()));
    assert_ne!(z, transcript::z(&beta, &other_point()));
    assert_ne!(transcript::gamma(&z), transcript::gamma(&(z + ONE)));
}

fn proof() -> BatchProof {
    let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
    BatchProof {
        h: fr(1),
        a: fr(2),
        delta: fr(3),
        z_s: fr(4),
        q: g1,
        w: g1,
        groth16: Groth16Proof { a: g1, b: g2, c: g1 },
    }
}

#[test]
fn attack_14_rho_is_drawn_after_both_proofs() {
    let z = fr(9);
    let honest = proof();
    let mut others = [honest; 8];
    others[0].h += ONE;
    others[1].a += ONE;
    others[2].delta += ONE;
    others[3].z_s += ONE;
    others[4].w = other_point();
    others[5].groth16.a = other_point();
    others[6].groth16.b = -others[6].groth16.b;
    others[7].groth16.c = other_point();
    let mut rhos: Vec<Fr> = others.iter().map(|proof| proof.rho(&z)).collect();
    rhos.extend([honest.rho(&z), honest.rho(&(z + ONE))]);
    let count = rhos.len();
    rhos.sort_unstable();
    rhos.dedup();
    assert_eq!(rhos.len(), count);
    // Q needs no place of its own: z binds it.
    let swapped = BatchProof { q: other_point(), ..honest };
    assert_eq!(swapped.rho(&z), honest.rho(&z));
    assert_ne!(transcript::z(&ONE, &swapped.q), transcript::z(&ONE, &honest.q));
}

#[test]
fn attack_15_r8_off_the_curve() {
    // Bytes that are no point are refused; in the circuit R8 is no witness at all, it is computed
    // from S, h and A. (S ≥ ℓ and keys of low order: see `refusals`.)
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    let packed = scene.transfers[0].signature.pack();
    let off = (0..=u8::MAX).find_map(|byte| {
        let mut bytes = packed;
        bytes[0] ^= byte;
        Signature::unpack(&bytes).is_err().then_some(bytes)
    });
    assert!(off.is_some(), "half of all y are on no point");
    // A native caller who builds such a point by hand is refused by the equation.
    let mut batch = scene.sealed();
    let r8 = batch.transfers[0].signature.r8;
    batch.transfers[0].signature.r8 = Point { x: r8.x + ONE, y: r8.y };
    assert!(execute(&shape(), &scene.before, &batch, fr(DOMAIN)).is_err());
    let w = forge(&scene.before, &batch);
    assert!(!judge(&w).satisfied());
}

#[test]
fn attack_16_a_key_with_gamma_equal_delta() {
    let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
    let good = VerificationKey {
        development: true,
        shape: shape(),
        alpha1: g1,
        beta2: -g2,
        delta2: -g2,
        ic: [g1; IC_LEN],
        k_genesis: 4,
        tau_powers: vec![g2; 5],
    };
    assert!(VerificationKey::decode(&good.encode()).is_ok());
    let bad = VerificationKey { delta2: good.gamma2(), ..good };
    assert!(VerificationKey::decode(&bad.encode()).is_err());
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

#[test]
fn attack_19_a_fee_on_somebodys_forced_no_op() {
    // A stranger's forced exit of account 1 is a no-op; the sequencer adds a fee and collects it.
    let mut scene = Scene::new();
    scene.force(1, wallet(9).1);
    let mut batch = scene.sealed();
    batch.data.exits[0].fee = Fee::exact(40).unwrap();
    batch.data.collects.push(CollectRecord { to: index(5), amount: 10 });
    batch.data.collects.push(CollectRecord { to: index(2), amount: 30 });
    assert!(execute(&shape(), &scene.before, &batch, fr(DOMAIN)).is_err());
    let w = forge(&scene.before, &batch);
    assert_eq!(judge(&w).violated.len(), 1, "forced exits pay no fee");
}

#[test]
fn attack_23_a_copied_post_with_another_beneficiary() {
    let (h, mut copied) = (fr(6), statement());
    copied.beneficiary = Address([0x66; 20]);
    assert_ne!(copied.beta(&h), statement().beta(&h));
}

#[test]
fn a_batch_in_which_nothing_happens_claims_nothing() {
    let w = BatchWitness::empty(&shape(), K, fr(DOMAIN));
    let verdict = judge(&w);
    assert!(verdict.satisfied());
    let outputs = verdict.outputs;
    assert_eq!((outputs.y, outputs.a, outputs.delta), (Fr::ZERO, Fr::ZERO, Fr::ZERO));
    assert_eq!(outputs.z_s, ONE);
}
