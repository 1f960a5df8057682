//! The binding rule: what h absorbs, and why nothing else needs to be absorbed.
//!
//! β and z are drawn after h, so whatever enters an identity at β or z must be fixed by h or be a
//! function of what is, by constraints without β and z. The table below goes over every column.
//!
//! | value | where it enters at β, z | why it is fixed |
//! |---|---|---|
//! | O: index, asset, owner | y, posting | bits; their packing `[index‖asset‖owner]` (204 bits) is absorbed and does not wrap |
//! | O: key | y, posting | absorbed |
//! | D: index, amount, asset | y, posting | bits; the packing (108 bits) is absorbed |
//! | D: key, owner | y, posting | absorbed (the owner is not range-checked: y compares it with the data, posting with the row) |
//! | T: from, to, amount, fee, t, nonce, asset | y, posting, fees | bits; `record + 2^144·t + 2^160·nonce + 2^192·asset` (208 bits, record < 2^140) is absorbed |
//! | T: key, payee key, payee owner | posting | absorbed |
//! | E: from, amount, fee, forced, t, nonce | y, posting, fees | bits; `first + 2^120·t + 2^136·nonce` (168 bits, first < 2^116) is absorbed |
//! | E: asset, recipient | y, posting, fees | bits; the second element (176 bits) is absorbed |
//! | E: key, account owner | posting | absorbed |
//! | F: to, amount, asset | y, posting, fees | bits or range; `record + 2^96·asset` (112 bits, record < 2^92) is absorbed |
//! | row: before, nonce, asset, after, flags | A, Δ, posting | bits; the packing (230 bits) is absorbed; it does not wrap because the composite is below 2^48 |
//! | row: composite | posting | absorbed in the packing; below 2^48: the gaps are at least 1 and below 2^48, so the last composite is below 2^68 as an integer and is the greatest, and `n·2^20 − 1 − last` is in `[0, 2^48)` |
//! | row: x, key, owner | A, Δ, Z, posting | absorbed |
//! | `active` of a record | posting | `is_nonzero` of an absorbed element: value·inverse = flag and (1 − flag)·value = 0 leave one flag |
//! | x(from), x(to), x(index) | posting | products of linear functions of absorbed bits |
//! | decoded fee | posting, fees | products of linear functions of absorbed bits |
//! | `stranger`, `all`, `signed` of an exit | posting | `is_nonzero(owner − recipient)` and products, all of absorbed values |
//! | masked nonce, key, owner of an exit; of a row | posting | products of absorbed values |
//! | `same`, `start` | A, Z | `same·d = 0`, `d·inverse = 1 − same` with `d = x − x_prev` absorbed: one solution |
//! | f = x/(z−x) | A, Δ | one solution for x ≠ z; none for x = z, because then x ≠ 0 |
//! | fee shares | fees | one solution for β + asset ≠ 0; for β = −asset a share is free, and β is a hash of h: 2^16/r |
//! | partial products, Horner sums | everything | computed wire by wire from the above |
//! | y of keys, S, bits of h, R8, M, inverses | nothing at β or z | need no binding: for the absorbed key and message they either exist or not |
//! | n, domain, h, β, z | — | public inputs, which the verifier sets itself |
//!
//! So every identity is one of polynomials in β and z whose coefficients were fixed before. Degrees:
//! posting L in z and 7 a factor in β; y at most `2O+3D+T+2E+F` in z; fees at most T + E + F in β;
//! openings n + L in z and 2 in β. Each fails with probability below 2^-220 for a false statement.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::journal::sponge_start;
use kerros_protocol::account::two_to;
use kerros_protocol::poseidon;
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

/// Section 6's table, written down a second time, natively.
fn table(w: &BatchWitness) -> Vec<Fr> {
    let mut out = Vec::new();
    for o in &w.opens {
        out.extend([o.index * two_to(176) + o.asset * two_to(160) + o.owner, o.key]);
    }
    for d in &w.deposits {
        out.extend([d.index * two_to(80) + d.amount * two_to(16) + d.asset, d.key, d.owner]);
    }
    for t in &w.transfers {
        let record = t.from * two_to(112) + t.to * two_to(80) + t.amount * two_to(16) + t.fee;
        let order = t.order * two_to(144) + t.nonce * two_to(160) + t.asset * two_to(192);
        out.extend([record + order, t.key, t.payee_key, t.payee_owner]);
    }
    for e in &w.exits {
        let first = e.from * two_to(88) + e.amount * two_to(24) + e.fee * two_to(8) + e.forced;
        let order = e.order * two_to(120) + e.nonce * two_to(136);
        out.extend([first + order, e.asset * two_to(160) + e.recipient, e.key, e.owner]);
    }
    for f in &w.collects {
        out.push(f.to * two_to(64) + f.amount + f.asset * two_to(96));
    }
    for r in &w.rows {
        let flags = r.flags.iter().rev().fold(Fr::ZERO, |sum, flag| sum.double() + flag);
        let word = r.before + r.nonce * two_to(64) + r.asset * two_to(96);
        let packed = word + r.after * two_to(112) + flags * two_to(176);
        out.extend([packed + r.composite * two_to(182), r.x, r.key, r.owner]);
    }
    out
}

#[test]
fn h_is_the_sponge_of_exactly_the_table() {
    let empty = BatchWitness::empty(&shape(), K, fr(DOMAIN));
    for w in [empty, Scene::everything().honest()] {
        let elements = table(&w);
        assert_eq!(elements.len(), 2 * 2 + 2 * 3 + 4 * 4 + 2 * 4 + 2 + 16 * 4);
        let h = poseidon::sponge(sponge_start(&shape()), &elements);
        assert_eq!(judge(&w).outputs.h, h);
    }
}

type Change = fn(&mut BatchWitness, usize);

/// Every witness value that the table names, with the number of its slots.
const COLUMNS: [(&str, usize, Change); 42] = [
    ("O.index", 2, |w, i| flip(&mut w.opens[i].index)),
    ("O.asset", 2, |w, i| flip(&mut w.opens[i].asset)),
    ("O.owner", 2, |w, i| flip(&mut w.opens[i].owner)),
    ("O.key", 2, |w, i| w.opens[i].key += ONE),
    ("D.index", 2, |w, i| flip(&mut w.deposits[i].index)),
    ("D.amount", 2, |w, i| flip(&mut w.deposits[i].amount)),
    ("D.asset", 2, |w, i| flip(&mut w.deposits[i].asset)),
    ("D.key", 2, |w, i| w.deposits[i].key += ONE),
    ("D.owner", 2, |w, i| w.deposits[i].owner += ONE),
    ("T.from", 4, |w, i| flip(&mut w.transfers[i].from)),
    ("T.to", 4, |w, i| flip(&mut w.transfers[i].to)),
    ("T.amount", 4, |w, i| flip(&mut w.transfers[i].amount)),
    ("T.fee", 4, |w, i| flip(&mut w.transfers[i].fee)),
    ("T.order", 4, |w, i| flip(&mut w.transfers[i].order)),
    ("T.nonce", 4, |w, i| flip(&mut w.transfers[i].nonce)),
    ("T.asset", 4, |w, i| flip(&mut w.transfers[i].asset)),
    ("T.key", 4, |w, i| w.transfers[i].key += ONE),
    ("T.payee_key", 4, |w, i| w.transfers[i].payee_key += ONE),
    ("T.payee_owner", 4, |w, i| w.transfers[i].payee_owner += ONE),
    ("E.from", 2, |w, i| flip(&mut w.exits[i].from)),
    ("E.amount", 2, |w, i| flip(&mut w.exits[i].amount)),
    ("E.fee", 2, |w, i| flip(&mut w.exits[i].fee)),
    ("E.forced", 2, |w, i| w.exits[i].forced = ONE - w.exits[i].forced),
    ("E.order", 2, |w, i| flip(&mut w.exits[i].order)),
    ("E.nonce", 2, |w, i| flip(&mut w.exits[i].nonce)),
    ("E.asset", 2, |w, i| flip(&mut w.exits[i].asset)),
    ("E.recipient", 2, |w, i| flip(&mut w.exits[i].recipient)),
    ("E.key", 2, |w, i| w.exits[i].key += ONE),
    ("E.owner", 2, |w, i| w.exits[i].owner += ONE),
    ("F.to", 2, |w, i| flip(&mut w.collects[i].to)),
    ("F.amount", 2, |w, i| flip(&mut w.collects[i].amount)),
    ("F.asset", 2, |w, i| flip(&mut w.collects[i].asset)),
    ("L.before", 16, |w, i| flip(&mut w.rows[i].before)),
    ("L.nonce", 16, |w, i| flip(&mut w.rows[i].nonce)),
    ("L.asset", 16, |w, i| flip(&mut w.rows[i].asset)),
    ("L.after", 16, |w, i| flip(&mut w.rows[i].after)),
    ("L.flags", 16 * 6, |w, i| {
        let flag = &mut w.rows[i / 6].flags[i % 6];
        *flag = ONE - *flag;
    }),
    ("L.composite", 16, |w, i| w.rows[i].composite += ONE),
    ("L.x", 16, |w, i| w.rows[i].x += ONE),
    ("L.key", 16, |w, i| w.rows[i].key += ONE),
    ("L.owner", 16, |w, i| w.rows[i].owner += ONE),
    ("L.owner, large", 16, |w, i| w.rows[i].owner += two_to(200)),
];

/// Another value of the same width: the lowest bit changes.
fn flip(value: &mut Fr) {
    use ark_ff::PrimeField;
    match value.into_bigint().0[0] & 1 {
        0 => *value += ONE,
        _ => *value -= ONE,
    }
}

#[test]
fn every_element_of_the_table_changes_h() {
    let honest = Scene::everything().honest();
    let h = judge(&honest).outputs.h;
    let mut seen = std::collections::BTreeSet::from([kerros_protocol::encoding::fr_to_be(&h)]);
    for (name, slots, change) in COLUMNS {
        for slot in 0..slots {
            let mut w = honest.clone();
            change(&mut w, slot);
            let new = assignment_only(&w)[1];
            assert_ne!(new, h, "{name}[{slot}]");
            // Two different changes give two different h: no two columns share a place.
            let fresh = seen.insert(kerros_protocol::encoding::fr_to_be(&new));
            assert!(fresh, "{name}[{slot}] gives an h that another change gives as well");
        }
    }
}

/// The assignment under fixed challenges, without judging it.
fn assignment_only(w: &BatchWitness) -> Vec<Fr> {
    use kerros_circuits::builder::Builder;
    let mut b = Builder::witness_only();
    let draw = |_| Ok::<_, std::convert::Infallible>((fr(7), fr(11)));
    _ = kerros_circuits::batch::synthesize(&mut b, &shape(), w, draw);
    b.into_assignment()
}

#[test]
fn h_overwritten_alone_is_refused() {
    let verdict = judge(&Scene::everything().honest());
    for value in [Fr::ZERO, verdict.outputs.h + ONE, fr(3)] {
        let mut assignment = verdict.assignment.clone();
        assignment[1] = value;
        assert_eq!(violations(&compiled().constraints, &assignment).len(), 1);
    }
}

// The converse: a prover who knows β and z beforehand can break each identity with the columns
// that are field elements of free size. Each test first shows the forgery satisfying every
// constraint of the real circuit under the challenges it was made for, then that its h is another
// one: under the challenges drawn from that h, the same witness is refused.

/// What remains when the challenges are drawn after h, as they are.
fn dies_of_its_own_h(w: &BatchWitness, beta: Fr, z: Fr, honest_h: Fr) {
    let known = judge_with(w, |_| (beta, z));
    assert_eq!(known.violated, Vec::<usize>::new(), "the forgery fits the challenges it knew");
    assert_ne!(known.outputs.h, honest_h, "but every column it solved for is absorbed");
    assert_ne!(challenges(known.outputs.h), (beta, z));
    assert!(!judge(w).satisfied(), "so it fails under the challenges of its own h");
}

/// Weight of a column in a factor of the posting product.
fn weight(beta: Fr, column: u64) -> Fr {
    beta.pow([column])
}
const AMOUNT: u64 = 2;
const ASSET: u64 = 4;
const NONCE: u64 = 5;
const KEY: u64 = 6;
const OWNER: u64 = 7;

#[test]
fn the_deposits_key_would_hide_a_mint_if_it_were_not_absorbed() {
    // The row credits 1100 for a deposit of 100: the key that the journal names takes it up.
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.deposit(6, 6, 1, 100);
    let mut w = scene.honest();
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    w.rows[15].after += fr(1000);
    w.deposits[0].key += fr(1000) * weight(beta, AMOUNT) / weight(beta, KEY);
    dies_of_its_own_h(&w, beta, z, h);
}

#[test]
fn the_deposits_owner_would_hide_a_mint_if_it_were_not_absorbed() {
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    let mut w = scene.honest();
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    w.rows[15].after += fr(1000);
    w.deposits[0].owner += fr(1000) * weight(beta, AMOUNT) / weight(beta, OWNER);
    dies_of_its_own_h(&w, beta, z, h);
}

#[test]
fn the_opens_key_would_hide_another_asset_if_it_were_not_absorbed() {
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    let mut w = scene.honest();
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    w.rows[15].asset += ONE;
    w.opens[0].key += weight(beta, ASSET) / weight(beta, KEY);
    dies_of_its_own_h(&w, beta, z, h);
}

#[test]
fn the_transfers_payee_key_and_owner_would_hide_a_mint_if_they_were_not_absorbed() {
    for owner in [false, true] {
        let mut scene = Scene::new();
        // The payer signs whatever payee the forgery needs: it is the poster's own account.
        scene.pay(1, 1, 2, 100, 0);
        let mut w = scene.honest();
        let h = judge(&w).outputs.h;
        let (beta, z) = challenges(h);
        let row = row_at(&w, 2, kerros_circuits::journal::class::SIGNED, 0, 1);
        w.rows[row].after += fr(1000);
        let need = fr(1000) * weight(beta, AMOUNT);
        match owner {
            true => w.transfers[0].payee_owner += need / weight(beta, OWNER),
            false => w.transfers[0].payee_key += need / weight(beta, KEY),
        }
        resign(&mut w);
        dies_of_its_own_h(&w, beta, z, h);
    }
}

/// Wallet 1 signs transfer 0 of `w` as it stands.
fn resign(w: &mut BatchWitness) {
    use ark_ff::PrimeField;
    use kerros_circuits::gadgets::eddsa::SignatureWitness;
    use kerros_protocol::eddsa;
    let t = &mut w.transfers[0];
    let packed = ONE + t.from * two_to(4) + t.to * two_to(32) + t.amount * two_to(60);
    let packed = packed + t.fee * two_to(124) + t.nonce * two_to(140);
    let message = poseidon::hash(&[fr(DOMAIN), packed, t.payee_key, t.payee_owner]);
    let secret = wallet(1).0;
    let (public, signature) = (secret.public_key(), secret.sign(message));
    let h = eddsa::challenge(&signature.r8, &public.0, message);
    assert_eq!(t.key.into_bigint(), public.0.x.into_bigint());
    t.signature = SignatureWitness { key_y: public.0.y, s: signature.s, h };
}

#[test]
fn the_ledgers_key_would_hide_a_spent_nonce_if_it_were_not_absorbed() {
    // The payer's row claims nonce 0 where the journal's record says 7 (a replay): the row's key
    // takes up the difference in posting, and the row's owner what is then missing in A.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    let mut w = scene.honest();
    let honest = judge(&w);
    let (beta, z) = challenges(honest.outputs.h);
    let row = row_at(&w, 1, kerros_circuits::journal::class::SIGNED, 0, 0);
    let missing = w.rows[row].nonce - fr(0);
    w.rows[row].nonce = fr(0);
    let key = missing * weight(beta, NONCE) / weight(beta, KEY);
    w.rows[row].key += key;
    // A: key + β·2^64·nonce + β²·owner must stay.
    let change = key - missing * beta * two_to(64);
    w.rows[row].owner -= change / beta.square();
    let known = judge_with(&w, |_| (beta, z));
    assert_eq!(known.outputs.a, honest.outputs.a, "the opening is the state's");
    dies_of_its_own_h(&w, beta, z, honest.outputs.h);
}

#[test]
fn the_rows_x_would_hide_a_mint_if_it_were_not_absorbed() {
    // x takes part in posting with weight β: a debit of nothing instead of 100.
    let mut scene = Scene::new();
    scene.pay(1, 1, 2, 100, 0);
    let mut w = scene.honest();
    let h = judge(&w).outputs.h;
    let (beta, z) = challenges(h);
    let row = row_at(&w, 1, kerros_circuits::journal::class::SIGNED, 0, 0);
    w.rows[row].after += fr(100);
    w.rows[row].x -= fr(100) * weight(beta, AMOUNT) / weight(beta, 1);
    dies_of_its_own_h(&w, beta, z, h);
}

#[test]
fn the_composite_would_hide_a_mint_if_it_were_not_absorbed_but_it_has_no_room() {
    // The composite has weight 1 and 48 bits: what it must take up is a random field element.
    let mut scene = Scene::new();
    scene.deposit(1, 1, 1, 100);
    let mut w = scene.honest();
    let (beta, z) = challenges(judge(&w).outputs.h);
    w.rows[15].after += ONE;
    w.rows[15].composite -= weight(beta, AMOUNT);
    let known = judge_with(&w, |_| (beta, z));
    assert!(!known.satisfied());
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

#[test]
fn data_of_equal_evaluation_needs_z_beforehand() {
    // d'_1 = d_1 − δ, d'_0 = d_0 + δ·z: the same y for other data, if z is known before the data.
    // The key of an open (an element of full width) is what it takes, and it is absorbed.
    let mut scene = Scene::new();
    scene.open(6, 6, 1);
    scene.open(7, 7, 1);
    let w = scene.honest();
    let honest = judge(&w);
    let mut elements = scene.sealed().data.elements(&shape());
    assert_eq!(kerros_protocol::batch::evaluate(&elements, honest.z), honest.outputs.y);
    elements[1] += fr(5);
    elements[3] -= fr(5) / honest.z.square();
    assert_eq!(kerros_protocol::batch::evaluate(&elements, honest.z), honest.outputs.y);
    // The main chain hashes the data it sees into ctx, hence into β and z.
    let other = kerros_protocol::batch::evaluate(&elements, honest.z + ONE);
    assert_ne!(other, judge_with(&w, |_| (honest.beta, honest.z + ONE)).outputs.y);
}
