//! The binding rule: what h absorbs, and why nothing else needs to be absorbed.
//!
//! β and z are drawn after h, so whatever enters an identity at β or z must be fixed by h or be a
//! function of what is, by constraints without β and z. The table below goes over every column; as code it
//! is `support/columns.rs`, from which `adversary` takes each column and solves for it. That what is not
//! absorbed follows from what is, `free_wires` shows.
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

mod adversary;
mod harms;
mod identities;
mod lattice;
#[path = "../support/mod.rs"]
mod support;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use kerros_circuits::batch::BatchWitness;
use kerros_protocol::account::two_to;
use kerros_protocol::batch::Authorisation;
use kerros_protocol::eddsa::challenge;
use kerros_protocol::encoding::fr_to_be;
use std::collections::BTreeSet;
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

#[test]
fn h_is_the_sponge_of_exactly_the_table() {
    let mut half = Scene::new();
    half.pay(1, 1, 2, 100, 0);
    for scene in [Scene::new(), half, Scene::everything()] {
        let w = scene.honest();
        assert_eq!(elements(&w).len(), 2 * 2 + 2 * 3 + 4 * 3 + 2 * 4 + 2 * 3 + 2);
        assert_eq!(judge(&w).outputs.h, sponge_without(&w, &[]));
        // A signature's own hash is that of R8, key and message.
        for (t, Authorisation { public_key, signature, .. }) in
            w.transfers.iter().zip(&scene.transfers)
        {
            assert_eq!(t.signature.h, challenge(&signature.r8, &public_key.0, message(t)));
        }
    }
}

/// Another value of the same width: the lowest bit changes.
fn flip(value: &mut Fr) {
    match value.into_bigint().0[0] & 1 {
        0 => *value += ONE,
        _ => *value -= ONE,
    }
}

#[test]
fn every_column_of_the_table_changes_h() {
    let honest = Scene::everything().honest();
    let h = judge(&honest).outputs.h;
    let mut seen = BTreeSet::from([fr_to_be(&h)]);
    for column in columns() {
        let wide = column.bits == FIELD;
        for step in [ONE, two_to(200)].into_iter().take(1 + usize::from(wide)) {
            let mut w = honest.clone();
            match wide || column.section == "touched" {
                true => *cell(&mut w, &column) += step,
                false => flip(cell(&mut w, &column)),
            }
            let new = assignment_only(&w)[1];
            assert_ne!(new, h, "{column}");
            // Two different changes give two different h: no two columns share a place.
            assert!(seen.insert(fr_to_be(&new)), "{column} gives an h that another change gives");
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
