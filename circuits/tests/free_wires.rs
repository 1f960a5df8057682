//! No wire is free but those that are absorbed or do nothing.
//!
//! Two checks, on gadgets and on the whole circuit. *Overwriting*: every wire, replaced by other
//! values, violates a constraint, unless it is multiplied by 0 in the only constraint that has it
//! (a hint for an inverse that is not needed there). *Propagation*: starting from the challenges,
//! `n`, `domain` and the raw absorbed wires, every other wire is the only unknown of some
//! constraint that is not constant in it, hence determined up to finitely many values (a bit by
//! `b·(1 − b) = 0`, a key's y by the curve equation). What propagation cannot reach must be
//! such a hint. An under-constrained gadget fails this even if every single overwrite is noticed.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use kerros_circuits::builder::{Builder, Constraint, INPUT_COUNT, Num, Terms, evaluate};
use kerros_circuits::gadgets::bits::{at_most, is_nonzero, nonzero_if, number, range, select};
use kerros_circuits::gadgets::curve::Edwards;
use kerros_circuits::gadgets::eddsa::{SignatureWitness, verify_if};
use kerros_circuits::gadgets::field::{fee_value, point};
use kerros_circuits::gadgets::poseidon;
use kerros_protocol::eddsa::{BASE8, PrivateKey, challenge};
use std::collections::BTreeSet;
use support::*;

const ONE: Fr = <Fr as Field>::ONE;

struct System<'a> {
    constraints: &'a [Constraint],
    assignment: &'a [Fr],
    sides: Vec<[Fr; 3]>,
    uses: Vec<Vec<u32>>,
}

fn coefficient(terms: &Terms, wire: u32) -> Fr {
    terms.binary_search_by_key(&wire, |(w, _)| *w).map_or(Fr::ZERO, |at| terms[at].1)
}

impl<'a> System<'a> {
    fn new(constraints: &'a [Constraint], assignment: &'a [Fr]) -> Self {
        let side = |c: &Constraint| [&c.a, &c.b, &c.c].map(|terms| evaluate(terms, assignment));
        let sides: Vec<[Fr; 3]> = constraints.iter().map(side).collect();
        assert!(sides.iter().all(|[a, b, c]| *a * b == *c), "the honest assignment satisfies");
        let mut uses = vec![Vec::new(); assignment.len()];
        for (number, c) in constraints.iter().enumerate() {
            let wires: BTreeSet<u32> =
                [&c.a, &c.b, &c.c].into_iter().flatten().map(|(wire, _)| *wire).collect();
            wires.into_iter().for_each(|wire| uses[wire as usize].push(number as u32));
        }
        Self { constraints, assignment, sides, uses }
    }
    /// Whether some constraint notices `wire` taking `value`.
    fn notices(&self, wire: usize, value: Fr) -> bool {
        let change = value - self.assignment[wire];
        self.uses[wire].iter().any(|number| {
            let constraint = &self.constraints[*number as usize];
            let [a, b, c] = self.sides[*number as usize];
            let moved = |terms| change * coefficient(terms, wire as u32);
            let (da, db, dc) = (moved(&constraint.a), moved(&constraint.b), moved(&constraint.c));
            (a + da) * (b + db) != c + dc
        })
    }
    /// Wires that can take one of the values unnoticed.
    fn overwritable(&self) -> Vec<usize> {
        (INPUT_COUNT..self.assignment.len())
            .filter(|wire| {
                let old = self.assignment[*wire];
                let random = Fr::from_be_bytes_mod_order(&[*wire as u8 ^ 0xa5; 32]);
                let values = [old + ONE, old - ONE, Fr::ZERO, ONE, -old, old.double(), random];
                values.iter().any(|value| *value != old && !self.notices(*wire, *value))
            })
            .collect()
    }
    /// A wire that influences nothing: in one constraint only, and multiplied by 0 there.
    fn is_idle_hint(&self, wire: usize) -> bool {
        let [number] = self.uses[wire][..] else { return false };
        let (constraint, [a, b, _]) =
            (&self.constraints[number as usize], self.sides[number as usize]);
        let on = |terms: &Terms| coefficient(terms, wire as u32) != Fr::ZERO;
        let idle_a = !on(&constraint.a) || b == Fr::ZERO;
        let idle_b = !on(&constraint.b) || a == Fr::ZERO;
        idle_a && idle_b && !on(&constraint.c)
    }
    /// Wires that do not follow from the `known` ones.
    fn undetermined(&self, known: &BTreeSet<usize>) -> Vec<usize> {
        let mut known: Vec<bool> = (0..self.assignment.len()).map(|w| known.contains(&w)).collect();
        known[0] = true;
        loop {
            let mut progress = false;
            for (constraint, [a, b, _]) in self.constraints.iter().zip(&self.sides) {
                let open = |terms: &Terms| terms.iter().any(|(w, _)| !known[*w as usize]);
                let (open_a, open_b) = (open(&constraint.a), open(&constraint.b));
                // A factor that is known to be 0 hides the other one.
                let hides_b = !open_a && *a == Fr::ZERO;
                let hides_a = !open_b && *b == Fr::ZERO;
                let mut unknown: Option<u32> = None;
                let mut several = false;
                for (terms, hidden) in
                    [(&constraint.a, hides_a), (&constraint.b, hides_b), (&constraint.c, false)]
                {
                    for (wire, _) in terms.iter().filter(|(w, _)| !hidden && !known[*w as usize]) {
                        several |= unknown.is_some_and(|other| other != *wire);
                        unknown = Some(*wire);
                    }
                }
                let Some(wire) = unknown.filter(|_| !several) else { continue };
                let derivative = coefficient(&constraint.a, wire) * b
                    + coefficient(&constraint.b, wire) * a
                    - coefficient(&constraint.c, wire);
                // A double root has no derivative: f·(active − f) = 0 in an unused slot.
                let square = coefficient(&constraint.a, wire) * coefficient(&constraint.b, wire);
                if derivative != Fr::ZERO || square != Fr::ZERO {
                    known[wire as usize] = true;
                    progress = true;
                }
            }
            if !progress {
                return (0..known.len()).filter(|wire| !known[*wire]).collect();
            }
        }
    }
}

/// Both checks on a gadget; gives how many idle hints it has.
fn idle_hints(b: &Builder, inputs: &[usize]) -> usize {
    let system = System::new(b.constraints(), b.assignment());
    let known: BTreeSet<usize> = inputs.iter().copied().chain(1..INPUT_COUNT).collect();
    let open = system.undetermined(&known);
    assert!(open.iter().all(|wire| system.is_idle_hint(*wire)), "free: {open:?}");
    let overwritable = system.overwritable();
    for wire in &overwritable {
        let idle = system.is_idle_hint(*wire);
        assert!(idle || known.contains(wire), "wire {wire} can be overwritten");
    }
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
        let (_, bits) = number(&mut b, fr(value), 8);
        at_most(&mut b, &bits, &ark_ff::BigInteger256::from(0b1011_0010u64 | value));
        let bits: Vec<usize> = (INPUT_COUNT..INPUT_COUNT + 8).collect();
        assert_eq!(idle_hints(&b, &bits), 0, "another bit is another number");
        let mut b = Builder::recording();
        let ([on, off, choice], known) = inputs(&mut b, [fr(value), fr(9), fr(value & 1)]);
        select(&mut b, &choice, &on, &off);
        assert_eq!(idle_hints(&b, &known), 0);
    }
}

#[test]
fn at_most_has_no_free_wire_for_the_bounds_it_is_used_with() {
    use ark_ed_on_bn254::Fr as Scalar;
    for (modulus, width) in [(Scalar::MODULUS, 251), (Fr::MODULUS, 254)] {
        for value in [fr(0), fr(12345), Fr::from(Scalar::MODULUS) - fr(1)] {
            let mut b = Builder::recording();
            let bits = kerros_circuits::gadgets::bits::raw_bits(&mut b, value, width);
            let mut bound = modulus;
            bound.0[0] -= 1;
            at_most(&mut b, &bits, &bound);
            let bits: Vec<usize> = (INPUT_COUNT..INPUT_COUNT + width as usize).collect();
            assert_eq!(idle_hints(&b, &bits), 0);
        }
    }
}

#[test]
fn at_most_refuses_the_modulus_itself_and_everything_above() {
    use ark_ed_on_bn254::Fr as Scalar;
    use ark_ff::{BigInteger, BigInteger256};
    // Bits set by hand, because a field element cannot be r or more.
    let accepts = |value: &BigInteger256, modulus: BigInteger256, width: usize| {
        let mut b = Builder::recording();
        let bits: Vec<Num> = (0..width)
            .map(|i| kerros_circuits::gadgets::bits::boolean(&mut b, fr(value.get_bit(i).into())))
            .collect();
        let mut bound = modulus;
        bound.0[0] -= 1;
        at_most(&mut b, &bits, &bound);
        violations(b.constraints(), b.assignment()).is_empty()
    };
    for (modulus, width) in [(Scalar::MODULUS, 251usize), (Fr::MODULUS, 254)] {
        let mut last = modulus;
        last.0[0] -= 1;
        assert!(accepts(&last, modulus, width) && accepts(&BigInteger256::zero(), modulus, width));
        assert!(!accepts(&modulus, modulus, width));
        // Every number that first exceeds the modulus at bit i.
        for i in (0..width).filter(|i| !last.get_bit(*i)) {
            let mut above = last;
            above.0[i / 64] |= 1 << (i % 64);
            assert!(!accepts(&above, modulus, width), "bit {i}");
            let low: Vec<bool> = (0..256).map(|j| j >= i && above.get_bit(j)).collect();
            assert!(!accepts(&BigInteger256::from_bits_le(&low), modulus, width), "bit {i}, low 0");
        }
        // Every number that first falls below it at bit i, with ones below.
        for i in (0..width).filter(|i| last.get_bit(*i)) {
            let below: Vec<bool> =
                (0..256).map(|j| if j > i { last.get_bit(j) } else { j < i }).collect();
            assert!(accepts(&BigInteger256::from_bits_le(&below), modulus, width), "bit {i}");
        }
    }
}

#[test]
fn the_curve_gadgets_have_no_free_wire() {
    let times = |n: u64| BASE8.times(n.into());
    let mut b = Builder::recording();
    let (p, q) = (times(5), times(9));
    let ([px, py, qx, qy], known) = inputs(&mut b, [p.x, p.y, q.x, q.y]);
    let (p, q) = (Edwards { x: px, y: py }, Edwards { x: qx, y: qy });
    p.enforce_on_curve(&mut b);
    p.add(&mut b, &q);
    p.double(&mut b);
    p.add(&mut b, &p);
    let (pm, qm) = (p.to_montgomery(&mut b), q.to_montgomery(&mut b));
    pm.double(&mut b);
    pm.add(&mut b, &qm).to_edwards(&mut b);
    assert_eq!(idle_hints(&b, &known), 0);
}

#[test]
fn montgomery_conversions_are_free_exactly_at_the_points_that_their_callers_exclude() {
    // (0, −1): u = 0 and x = 0, so v is anything; verify_if excludes it by 8A ≠ 0.
    let mut b = Builder::recording();
    let ([x, y], known) = inputs(&mut b, [Fr::ZERO, -ONE]);
    Edwards { x, y }.to_montgomery(&mut b);
    let system = System::new(b.constraints(), b.assignment());
    let known = known.iter().copied().chain(1..INPUT_COUNT).collect();
    assert_eq!(system.undetermined(&known).len(), 1);
    // (0, 0) on the way back: x = u/v is anything. In verify_if that needs
    // (2h+1)·(−4A) + offset + (S + surplus)·B8 to be the point of order 2: for a key whose holder
    // knows its logarithm to B8 that is the logarithm of the offset, which nobody knows.
    let mut b = Builder::recording();
    let ([u, v], known) = inputs(&mut b, [Fr::ZERO, Fr::ZERO]);
    kerros_circuits::gadgets::curve::Montgomery { u, v }.to_edwards(&mut b);
    let system = System::new(b.constraints(), b.assignment());
    let known = known.iter().copied().chain(1..INPUT_COUNT).collect();
    assert_eq!(system.undetermined(&known).len(), 1);
}

#[test]
fn doubling_the_montgomery_origin_is_unsatisfiable() {
    let mut b = Builder::recording();
    let ([u, v], _) = inputs(&mut b, [Fr::ZERO, Fr::ZERO]);
    kerros_circuits::gadgets::curve::Montgomery { u, v }.double(&mut b);
    // slope·0 = 1 has no solution, whatever the slope.
    let slope = INPUT_COUNT + 2;
    for value in [Fr::ZERO, ONE, fr(99)] {
        let mut assignment = b.assignment().to_vec();
        assignment[slope] = value;
        assert!(violations(b.constraints(), &assignment).contains(&1));
    }
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

/// Raw absorbed wires, by name, and those that the absorbed hash of a signature fixes: everything
/// else must follow from them.
fn raw_absorbed() -> BTreeSet<usize> {
    let mut names = Vec::new();
    for slot in 0..2 {
        names.extend([format!("O[{slot}].key"), format!("D[{slot}].key")]);
        names.extend([format!("D[{slot}].owner")]);
        names.extend([format!("E[{slot}].key"), format!("E[{slot}].owner")]);
        names.extend([format!("F[{slot}].key"), format!("F[{slot}].owner")]);
    }
    for slot in 0..4 {
        let wires = ["key", "owner", "payee_key", "payee_owner"];
        names.extend(wires.map(|n| format!("T[{slot}].{n}")));
    }
    names.iter().map(|name| wire(name)).collect()
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
