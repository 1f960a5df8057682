//! No wire is free but those that are absorbed or do nothing.
//!
//! Two checks, on gadgets and on the whole circuit. *Overwriting*: every wire, replaced by other
//! values, violates a constraint, unless it is multiplied by 0 in the only constraint that has it
//! (a hint for an inverse that is not needed there). *Propagation*: starting from the challenges,
//! `n`, `domain` and the raw absorbed wires, every other wire is the only unknown of some
//! constraint that is not constant in it, hence determined up to finitely many values (a bit
//! by `b·(1 − b) = 0`). A few wires that are the only unknowns of constraints whose gradients have
//! full rank on them count as well: a table's entry by its three equations, a key's y by the curve
//! equation. What propagation cannot reach must be such a hint. An under-constrained gadget
//! fails this even if every single overwrite is noticed. *Rank*: the gradients of the constraints have
//! full rank on the wires that are not known, so that several cannot move together either.
//!
//! *Finitely many* leaves a signature's prover a choice of digits: two strings for some h, two or
//! three for S. That is allowed because nothing outside the signature sees them, which a third
//! check shows; that every choice gives the same R8 is shown with the gadget.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_circuits::builder::{Builder, INPUT_COUNT, Num};
use kerros_circuits::gadgets::bits::{is_nonzero, nonzero_if, number, range, select};
use kerros_circuits::gadgets::curve::{Edwards, Montgomery, montgomery};
use kerros_circuits::gadgets::eddsa::{SignatureWitness, verify_if};
use kerros_circuits::gadgets::field::{fee_value, point};
use kerros_circuits::gadgets::poseidon;
use kerros_circuits::gadgets::table::Table;
use kerros_protocol::eddsa::{BASE8, PrivateKey, challenge};
use std::collections::BTreeSet;
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

/// Both checks on a gadget; gives how many idle hints it has.
fn idle_hints(b: &Builder, inputs: &[usize]) -> usize {
    let system = System::new(b.constraints(), b.assignment());
    let known: BTreeSet<usize> = inputs.iter().copied().chain(1..INPUT_COUNT).collect();
    let open = system.undetermined(&known);
    let free = open.iter().find(|wire| !system.is_idle_hint(**wire));
    assert_eq!(free, None, "free, of {} that are open", open.len());
    let overwritable = system.overwritable();
    for wire in &overwritable {
        let idle = system.is_idle_hint(*wire);
        assert!(idle || known.contains(wire), "wire {wire} can be overwritten");
    }
    // Nor can several move together.
    assert_eq!(system.free_directions(&known), open.len(), "directions that are free");
    open.len()
}

fn inputs<const N: usize>(b: &mut Builder, values: [Fr; N]) -> ([Num; N], Vec<usize>) {
    let wires = values.map(|value| b.wire(value));
    (wires, (INPUT_COUNT..INPUT_COUNT + N).collect())
}

#[test]
fn the_bit_gadgets_have_no_free_wire_but_the_hint_of_zero() {
    for (value, hints) in [(0u64, 1), (1, 0), (77, 0)] {
        let mut b = Builder::recording();
        let ([wire], known) = inputs(&mut b, [fr(value)]);
        is_nonzero(&mut b, &wire);
        assert_eq!(idle_hints(&b, &known), hints, "is_nonzero({value}): inverse of 0");
    }
    for (value, condition, hints) in [(0u64, 0u64, 1), (5, 0, 0), (5, 1, 0)] {
        let mut b = Builder::recording();
        let ([wire, condition], known) = inputs(&mut b, [fr(value), fr(condition)]);
        nonzero_if(&mut b, &wire, &condition);
        assert_eq!(idle_hints(&b, &known), hints, "nonzero_if({value}): inverse of 0");
    }
    for value in [0u64, 1, 255] {
        let mut b = Builder::recording();
        let ([wire], known) = inputs(&mut b, [fr(value)]);
        range(&mut b, &wire, 8);
        assert_eq!(idle_hints(&b, &known), 0);
        let mut b = Builder::recording();
        let ([on, off, choice], known) = inputs(&mut b, [fr(value), fr(9), fr(value & 1)]);
        select(&mut b, &choice, &on, &off);
        assert_eq!(idle_hints(&b, &known), 0);
    }
}

#[test]
fn the_curve_gadgets_have_no_free_wire() {
    let times = |n: u64| BASE8.times(n.into());
    let mut b = Builder::recording();
    let (p, q) = (times(5), montgomery(&times(9)));
    let ([px, py, qu, qv], known) = inputs(&mut b, [p.x, p.y, q.0, q.1]);
    let (p, q) = (Edwards { x: px, y: py }, Montgomery { u: qu, v: qv });
    p.add_constant(&mut b, &times(3));
    let p = p.double_to_montgomery(&mut b);
    p.double(&mut b);
    p.double_add(&mut b, &q);
    p.add(&mut b, &q).to_edwards(&mut b);
    assert_eq!(idle_hints(&b, &known), 0);
}

#[test]
fn without_any_one_of_its_constraints_a_chain_can_move() {
    let [p, q] = [5u64, 9].map(|n| montgomery(&BASE8.times(n.into())));
    let mut b = Builder::recording();
    let ([pu, pv, qu, qv], known) = inputs(&mut b, [p.0, p.1, q.0, q.1]);
    let (p, q) = (Montgomery { u: pu, v: pv }, Montgomery { u: qu, v: qv });
    let sum = p.double(&mut b).double_add(&mut b, &q).add(&mut b, &p);
    let sum = sum.to_edwards(&mut b).add_constant(&mut b, &BASE8);
    poseidon::hash(&mut b, &[sum.x, sum.y]);
    let known: BTreeSet<usize> = known.iter().copied().chain(1..INPUT_COUNT).collect();
    let free = |constraints: &[_]| System::new(constraints, b.assignment()).free_directions(&known);
    assert_eq!(free(b.constraints()), 0);
    for left_out in 0..b.constraints().len() {
        let mut rest = b.constraints().to_vec();
        rest.remove(left_out);
        assert_eq!(free(&rest), 1);
        // Nor does one of the others written down twice replace it.
        rest.push(rest[left_out / 2].clone());
        assert_eq!(free(&rest), 1);
    }
}

#[test]
fn a_table_has_no_free_wire_and_a_part_of_it_has() {
    let table = Table::new(&BASE8);
    for digit in [1i8, -5, 9, -15] {
        let mut b = Builder::recording();
        let entry = table.choose(&mut b, digit);
        b.name("v", &entry.v);
        let system = System::new(b.constraints(), b.assignment());
        assert_eq!(system.undetermined(&(1..INPUT_COUNT).collect()), [0; 0]);
        // The sign is the caller's to tie down.
        assert_eq!(system.overwritable(), [b.names()[0].1 as usize]);
        // Without any one of the equations for u, t and w, all four wires are open.
        for left_out in 0..3 {
            let mut rest = b.constraints().to_vec();
            rest.remove(left_out);
            let system = System::new(&rest, b.assignment());
            assert_eq!(system.undetermined(&(1..INPUT_COUNT).collect()).len(), 4);
            assert_eq!(system.free_directions(&(1..INPUT_COUNT).collect()), 1);
            // Nor does one of the others written down twice replace it.
            rest.push(rest[left_out % 2].clone());
            let system = System::new(&rest, b.assignment());
            assert_eq!(system.undetermined(&(1..INPUT_COUNT).collect()).len(), 4);
        }
    }
}

/// How many wires of a gadget on these two points do not follow from them.
fn free_on(
    p: (Fr, Fr),
    q: (Fr, Fr),
    gadget: impl FnOnce(&mut Builder, Montgomery, Montgomery),
) -> usize {
    let mut b = Builder::recording();
    let ([pu, pv, qu, qv], known) = inputs(&mut b, [p.0, p.1, q.0, q.1]);
    gadget(&mut b, Montgomery { u: pu, v: pv }, Montgomery { u: qu, v: qv });
    let system = System::new(b.constraints(), b.assignment());
    system.undetermined(&known.iter().copied().chain(1..INPUT_COUNT).collect()).len()
}

#[test]
fn montgomery_gadgets_are_free_exactly_at_the_points_that_their_callers_exclude() {
    let origin = (Fr::ZERO, Fr::ZERO);
    let [p, q] = [5u64, 9].map(|n| montgomery(&BASE8.times(n.into())));
    // Equal summands: slope, u and v. In verify_if that needs 2^j·offset = k·A + m·B8 with integers
    // that the witness shows: for a key whose holder knows its logarithm to B8 that is the
    // logarithm of the offset, which nobody knows.
    assert_eq!(free_on(p, p, |b, p, q| _ = p.add(b, &q)), 3);
    assert_eq!(free_on(p, q, |b, p, q| _ = p.add(b, &q)), 0);
    assert_eq!(free_on(p, q, |b, p, q| _ = p.double_add(b, &q)), 0);
    assert_eq!(free_on(origin, q, |b, p, q| _ = p.double_add(b, &q)), 0);
    // (0, 0), of order 2: the point at the end of verify_if is of the subgroup of order ℓ.
    assert_eq!(free_on(origin, q, |b, p, _| _ = p.to_edwards(b)), 1);
    assert_eq!(free_on(p, q, |b, p, _| _ = p.to_edwards(b)), 0);
}

#[test]
fn point_and_fee_have_no_free_wire() {
    for value in [0u64, 1, 0xffff, 0x1234] {
        let mut b = Builder::recording();
        let (_, bits) = number(&mut b, fr(value), 16);
        fee_value(&mut b, &bits);
        point(&mut b, &bits);
        assert_eq!(idle_hints(&b, &[]), 0);
    }
}

#[test]
fn poseidon_has_no_free_wire() {
    for inputs_len in [2, 4, 5] {
        let mut b = Builder::recording();
        let (wires, known) = inputs(&mut b, [3, 4, 5, 6, 7].map(fr));
        poseidon::hash(&mut b, &wires[..inputs_len]);
        let known = &known[..inputs_len];
        let system = System::new(b.constraints(), b.assignment());
        let known: BTreeSet<usize> = known.iter().copied().chain(1..INPUT_COUNT).collect();
        let unused = INPUT_COUNT + inputs_len..INPUT_COUNT + 5;
        let open = system.undetermined(&known);
        assert_eq!(system.free_directions(&known), open.len());
        assert_eq!(open, unused.collect::<Vec<_>>());
    }
}

#[test]
fn a_signature_has_no_free_wire() {
    for on in [true, false] {
        let secret = PrivateKey::from_bytes([3; 32]);
        let (key, message) = (secret.public_key(), fr(1000));
        let signature = secret.sign(message);
        let mut b = Builder::recording();
        let ([x, m, condition], known) = inputs(&mut b, [key.0.x, message, fr(on.into())]);
        let h = challenge(&signature.r8, &key.0, message);
        let witness = SignatureWitness { key_y: key.0.y, s: signature.s, h };
        let witness = if on { witness } else { SignatureWitness::masked() };
        verify_if(&mut b, &condition, &x, &m, &witness);
        // y, S and h follow up to finitely many values: their bits are boolean, y is on the curve.
        assert_eq!(idle_hints(&b, &known), 0, "masked: {}", !on);
    }
}

/// The other root of what is a root: y of a key, a digit, a sign, a slope. What follows is mended.
#[test]
fn a_wire_of_a_signature_negated_is_refused_though_all_that_follows_is_mended() {
    let honest = Scene::everything().honest();
    let assignment = judge(&honest).assignment;
    let [key_y, r8_y] = ["T[0].key_y", "T[0].r8_y"].map(wire);
    for wire in (key_y..key_y + 8).chain((key_y + 8..=r8_y).step_by(41)) {
        let value = -assignment[wire];
        if value != Fr::ZERO {
            let verdict = judge_overwritten(&honest, [(wire, value)], challenges);
            assert!(!verdict.satisfied(), "wire {wire}");
        }
    }
}

#[test]
fn what_a_signature_leaves_to_its_prover_stays_inside_it() {
    let constraints = &compiled().constraints;
    for slot in ["T[0]", "T[1]", "T[2]", "T[3]", "E[0]", "E[1]"] {
        let [key_y, h, r8_x, r8_y] =
            ["key_y", "h", "r8_x", "r8_y"].map(|name| wire(&format!("{slot}.{name}")));
        // The gadget's wires, from the selected x of the key to R8, and those of its hash.
        let (first, hash) = (key_y - 1, r8_y + 321);
        let mut inner = 0;
        for c in constraints {
            let all = || [&c.a, &c.b, &c.c].into_iter().flatten().map(|(w, _)| *w as usize);
            let own = |w: &usize| (first..=r8_y).contains(w);
            if !all().any(|w| own(&w)) {
                continue;
            }
            assert!(all().all(|w| w <= hash), "{slot}: seen by something later");
            if all().any(|w| own(&w) && ![first, key_y, h, r8_x, r8_y].contains(&w)) {
                assert!(all().all(|w| w == 0 || own(&w)), "{slot}: a digit seen from outside");
                inner += 1;
            }
        }
        assert_eq!(inner, 255 + 1715 - 1, "{slot}: all but the selection of x");
    }
}

/// The binding table's values without a range, and of those the ones that the absorbed hash of a
/// signature fixes: everything else must follow from them.
fn raw_absorbed() -> BTreeSet<usize> {
    let free = columns().into_iter().filter(|column| column.bits == FIELD);
    free.map(|column| wire(&column.to_string())).collect()
}

fn scenes() -> Vec<Scene> {
    let mut half = Scene::new();
    half.open(6, 6, 1);
    half.pay(1, 1, 6, 100, 10);
    half.collect(2, 10);
    half.force(9, wallet(9).1);
    half.force(3, wallet(9).1);
    vec![Scene::new(), half, Scene::everything()]
}

#[test]
fn every_wire_of_the_circuit_follows_from_the_absorbed_ones() {
    for scene in scenes() {
        let assignment = judge(&scene.honest()).assignment;
        let system = System::new(&compiled().constraints, &assignment);
        let mut known = raw_absorbed();
        // β, z, n and domain; h, y, A, Δ and Z follow.
        known.extend([2, 3, 8, 9]);
        let open = system.undetermined(&known);
        for wire in &open {
            assert!(system.is_idle_hint(*wire), "wire {wire} is free and does something");
        }
        println!("{} idle hints of {} wires", open.len(), assignment.len());
        // To first order too, but for double roots: the flags of unused slots, f·(0 − f) = 0. Where
        // all slots are used there are none.
        let directions = system.free_directions(&known);
        assert!((open.len()..=open.len() + system.double_roots()).contains(&directions));
        // Without the raw wires much is open where something happens: the check has teeth.
        let without: BTreeSet<usize> = [2, 3, 8, 9].into();
        let more = system.undetermined(&without).len() - open.len();
        assert!(more > 100 || scene.data == Default::default(), "{more}");
    }
}

#[test]
fn every_wire_of_the_circuit_overwritten_is_noticed() {
    for scene in scenes() {
        let assignment = judge(&scene.honest()).assignment;
        let system = System::new(&compiled().constraints, &assignment);
        let overwritable = system.overwritable();
        for wire in &overwritable {
            assert!(system.is_idle_hint(*wire), "wire {wire} can be overwritten");
        }
        for (input, old) in assignment.iter().enumerate().take(INPUT_COUNT).skip(1) {
            for value in [*old + ONE, Fr::ZERO, -*old] {
                if value != *old {
                    // n may be another size as long as the indices fit.
                    let fits = input == 8 && value == *old + ONE;
                    // Where no account is touched there is nothing to weigh with β.
                    let idle = input == 2 && scene.data == Default::default();
                    assert!(fits || idle || system.notices(input, value), "public input {input}");
                }
            }
        }
        println!("{} idle hints of {} wires", overwritable.len(), assignment.len());
    }
}
