//! The binding rule: what h absorbs, and why nothing else needs to be absorbed.
//!
//! β and z are drawn after h, so whatever enters an identity at β or z must be fixed by h or be a
//! function of what is, by constraints without β and z. The table below goes over every column.
//!
//! | value | where it enters at β, z | why it is fixed |
//! |---|---|---|
//! | O: index, asset, owner, last | y, openings, links | bits; `[index‖asset‖owner] + 2^204·last` (205 bits) is absorbed and does not wrap |
//! | O: key | y, openings, links | absorbed |
//! | D: index, amount, asset, before, nonce, link | y, openings, links | bits; the packing (225 bits) is absorbed |
//! | D: key, owner | y, openings, links | absorbed (the owner is not range-checked: y compares it with the data, A with the state) |
//! | T: from, to, amount, fee, nonce, payee key, payee owner | y, openings, links, fees | the message M packs the numbers (172 bits) and names key and owner; the absorbed `h_s = Poseidon(R8, A, M)` fixes M, in unused slots too |
//! | T: key | openings, links | `h_s` fixes it where `active` is 1; elsewhere it is multiplied by flags that are 0 |
//! | T: owner | openings, links | absorbed |
//! | T: t, asset, before, payee before, payee nonce, both links | openings, links, fees | bits; the packing (234 bits) is absorbed |
//! | E: from, amount, fee, forced, t, nonce, before, link | y, openings, links, fees | bits; `first + 2^116·t + …` (249 bits, first < 2^116) is absorbed |
//! | E: asset, recipient | y, openings, links, fees | bits; the second element (176 bits) is absorbed |
//! | E: key, account owner | openings, links | absorbed |
//! | F: to, amount, asset, before, nonce, link | y, openings, links, fees | bits or range; the packing (225 bits) is absorbed |
//! | F: key, account owner | openings, links | absorbed |
//! | table of touched accounts | table | gaps of 28 bits, nine an absorbed element (252 bits); values are sums of gaps from −L |
//! | a link | links, openings, table | `first + 2·last + 4·gap`, 21 bits of some packing above: flags are 0 or `active`, the gap has 19 bits |
//! | `active` of a record | links, openings, table | `is_nonzero` of a fixed element: value·inverse = flag and (1 − flag)·value = 0 leave one flag |
//! | x(from), x(to), x(index) | openings | products of linear functions of fixed bits |
//! | decoded fee | links, openings, fees | products of linear functions of fixed bits |
//! | `signed` of an exit | links, openings | `active − forced`. `stranger` and `all` enter nothing at β, z |
//! | time, word before and change of an access | links, openings | linear in fixed values. No balance after is a wire: it is before and change |
//! | f = x/(z−x) | A, Δ | one solution for x ≠ z; none for x = z, because then x ≠ 0 |
//! | fee shares | fees | one solution for β + asset ≠ 0; for β = −asset a share is free, and β is a hash of h: 2^16/r |
//! | partial products, Horner sums | everything | computed wire by wire from the above |
//! | y of keys, S, bits of h_s, R8, inverses | nothing at β or z | need no binding: for the fixed key and message they either exist or not |
//! | n, domain, h, β, z | — | public inputs, which the verifier sets itself |
//!
//! So every identity is one of polynomials in β and z whose coefficients were fixed before. Degrees:
//! links L in z and 3 a factor in β; table L + 1 in z; y at most `2O+3D+T+2E+F` in z; fees at most
//! T + E + F in β; openings n + L in z and 2 in β. Each fails with probability below 2^-220 for a
//! false statement.

#![allow(clippy::unwrap_used)] // a test may panic

mod hidden;
#[path = "../support/mod.rs"]
mod support;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::access::LinkWitness;
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::journal::sponge_start;
use kerros_protocol::account::two_to;
use kerros_protocol::eddsa::{BASE8, Point, challenge};
use kerros_protocol::poseidon;
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

fn packed_link(link: &LinkWitness) -> Fr {
    link.first + link.last.double() + link.gap * fr(4)
}

/// Section 6's table, written down a second time, natively.
fn table(scene: &Scene) -> Vec<Fr> {
    let w = scene.honest();
    let mut out = Vec::new();
    for o in &w.opens {
        let first = o.index * two_to(176) + o.asset * two_to(160) + o.owner;
        out.extend([first + o.last * two_to(204), o.key]);
    }
    for d in &w.deposits {
        let first = d.index * two_to(80) + d.amount * two_to(16) + d.asset;
        let before = d.before * two_to(108) + d.nonce * two_to(172);
        out.extend([first + before + packed_link(&d.link) * two_to(204), d.key, d.owner]);
    }
    for (slot, t) in w.transfers.iter().enumerate() {
        let packed = ONE + t.from * two_to(4) + t.to * two_to(32) + t.amount * two_to(60);
        let packed = packed + t.fee * two_to(124) + t.nonce * two_to(140);
        let message = poseidon::hash(&[fr(DOMAIN), packed, t.payee_key, t.payee_owner]);
        // The masked gadget runs on B8 with S = h = 0: R8 is the neutral element.
        let neutral = Point { x: Fr::ZERO, y: ONE };
        let (r8, key) = match scene.transfers.get(slot) {
            Some(authorisation) => (authorisation.signature.r8, authorisation.public_key.0),
            None => (neutral, BASE8),
        };
        let before = t.before * two_to(32) + t.payee_before * two_to(96);
        let links = packed_link(&t.link) + packed_link(&t.payee_link) * two_to(21);
        let rest = t.order + t.asset * two_to(16) + before + t.payee_nonce * two_to(160);
        out.extend([challenge(&r8, &key, message), t.owner, rest + links * two_to(192)]);
    }
    for e in &w.exits {
        let first = e.from * two_to(88) + e.amount * two_to(24) + e.fee * two_to(8) + e.forced;
        let order = e.order * two_to(116) + e.nonce * two_to(132) + e.before * two_to(164);
        let packed = first + order + packed_link(&e.link) * two_to(228);
        out.extend([packed, e.asset * two_to(160) + e.recipient, e.key, e.owner]);
    }
    for f in &w.collects {
        let record = f.to * two_to(64) + f.amount + f.asset * two_to(92);
        let before = f.before * two_to(108) + f.nonce * two_to(172);
        out.extend([record + before + packed_link(&f.link) * two_to(204), f.key, f.owner]);
    }
    let mut previous = -fr(17);
    let mut gaps = Vec::new();
    for value in &w.touched {
        gaps.push(*value - previous - ONE);
        previous = *value;
    }
    let pack = |gaps: &[Fr]| gaps.iter().rev().fold(Fr::ZERO, |sum, gap| sum * two_to(28) + gap);
    out.extend(gaps.chunks(9).map(pack));
    out
}

#[test]
fn h_is_the_sponge_of_exactly_the_table() {
    let mut half = Scene::new();
    half.pay(1, 1, 2, 100, 0);
    for scene in [Scene::new(), half, Scene::everything()] {
        let elements = table(&scene);
        assert_eq!(elements.len(), 2 * 2 + 2 * 3 + 4 * 3 + 2 * 4 + 2 * 3 + 2);
        let h = poseidon::sponge(sponge_start(&shape()), &elements);
        assert_eq!(judge(&scene.honest()).outputs.h, h);
    }
}

type Change = fn(&mut BatchWitness, usize);

/// Every witness value that the table names, with the number of its slots.
const COLUMNS: [(&str, usize, Change); 57] = [
    ("O.index", 2, |w, i| flip(&mut w.opens[i].index)),
    ("O.asset", 2, |w, i| flip(&mut w.opens[i].asset)),
    ("O.owner", 2, |w, i| flip(&mut w.opens[i].owner)),
    ("O.key", 2, |w, i| w.opens[i].key += ONE),
    ("O.last", 2, |w, i| flip(&mut w.opens[i].last)),
    ("D.index", 2, |w, i| flip(&mut w.deposits[i].index)),
    ("D.amount", 2, |w, i| flip(&mut w.deposits[i].amount)),
    ("D.asset", 2, |w, i| flip(&mut w.deposits[i].asset)),
    ("D.key", 2, |w, i| w.deposits[i].key += ONE),
    ("D.owner", 2, |w, i| w.deposits[i].owner += ONE),
    ("D.before", 2, |w, i| flip(&mut w.deposits[i].before)),
    ("D.nonce", 2, |w, i| flip(&mut w.deposits[i].nonce)),
    ("D.first", 2, |w, i| flip(&mut w.deposits[i].link.first)),
    ("D.last", 2, |w, i| flip(&mut w.deposits[i].link.last)),
    ("D.gap", 2, |w, i| flip(&mut w.deposits[i].link.gap)),
    ("T.from", 4, |w, i| flip(&mut w.transfers[i].from)),
    ("T.to", 4, |w, i| flip(&mut w.transfers[i].to)),
    ("T.amount", 4, |w, i| flip(&mut w.transfers[i].amount)),
    ("T.fee", 4, |w, i| flip(&mut w.transfers[i].fee)),
    ("T.order", 4, |w, i| flip(&mut w.transfers[i].order)),
    ("T.nonce", 4, |w, i| flip(&mut w.transfers[i].nonce)),
    ("T.asset", 4, |w, i| flip(&mut w.transfers[i].asset)),
    ("T.key", 4, |w, i| w.transfers[i].key += ONE),
    ("T.owner", 4, |w, i| w.transfers[i].owner += ONE),
    ("T.before", 4, |w, i| flip(&mut w.transfers[i].before)),
    ("T.first", 4, |w, i| flip(&mut w.transfers[i].link.first)),
    ("T.last", 4, |w, i| flip(&mut w.transfers[i].link.last)),
    ("T.gap", 4, |w, i| flip(&mut w.transfers[i].link.gap)),
    ("T.payee_key", 4, |w, i| w.transfers[i].payee_key += ONE),
    ("T.payee_owner", 4, |w, i| w.transfers[i].payee_owner += ONE),
    ("T.payee_before", 4, |w, i| flip(&mut w.transfers[i].payee_before)),
    ("T.payee_nonce", 4, |w, i| flip(&mut w.transfers[i].payee_nonce)),
    ("T.payee_first", 4, |w, i| flip(&mut w.transfers[i].payee_link.first)),
    ("T.payee_last", 4, |w, i| flip(&mut w.transfers[i].payee_link.last)),
    ("T.payee_gap", 4, |w, i| flip(&mut w.transfers[i].payee_link.gap)),
    ("E.from", 2, |w, i| flip(&mut w.exits[i].from)),
    ("E.amount", 2, |w, i| flip(&mut w.exits[i].amount)),
    ("E.fee", 2, |w, i| flip(&mut w.exits[i].fee)),
    ("E.forced", 2, |w, i| flip(&mut w.exits[i].forced)),
    ("E.order", 2, |w, i| flip(&mut w.exits[i].order)),
    ("E.nonce", 2, |w, i| flip(&mut w.exits[i].nonce)),
    ("E.asset", 2, |w, i| flip(&mut w.exits[i].asset)),
    ("E.recipient", 2, |w, i| flip(&mut w.exits[i].recipient)),
    ("E.key", 2, |w, i| w.exits[i].key += ONE),
    ("E.owner", 2, |w, i| w.exits[i].owner += ONE),
    ("E.before", 2, |w, i| flip(&mut w.exits[i].before)),
    ("E.link", 2 * 3, |w, i| flip_link(&mut w.exits[i / 3].link, i % 3)),
    ("F.to", 2, |w, i| flip(&mut w.collects[i].to)),
    ("F.amount", 2, |w, i| flip(&mut w.collects[i].amount)),
    ("F.asset", 2, |w, i| flip(&mut w.collects[i].asset)),
    ("F.key", 2, |w, i| w.collects[i].key += ONE),
    ("F.owner", 2, |w, i| w.collects[i].owner += ONE),
    ("F.before", 2, |w, i| flip(&mut w.collects[i].before)),
    ("F.nonce", 2, |w, i| flip(&mut w.collects[i].nonce)),
    ("F.link", 2 * 3, |w, i| flip_link(&mut w.collects[i / 3].link, i % 3)),
    ("touched", 17, |w, i| w.touched[i] += ONE),
    ("T.owner, large", 4, |w, i| w.transfers[i].owner += two_to(200)),
];

fn flip_link(link: &mut LinkWitness, part: usize) {
    flip([&mut link.first, &mut link.last, &mut link.gap][part]);
}

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
