//! Wires and rank-1 constraints: the one place where both are made.
//!
//! A [`Builder`] records constraints (for setup, key loading and tests) or only computes wire
//! values (for proving): the circuit is the same code either way. Variable 0 is the constant one,
//! then come the public inputs, then the wires in the order they are made. Nothing here knows what
//! a batch is.

use crate::sites::Sites;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, Zero};
use kerros_protocol::transcript::PUBLIC_INPUTS;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Add, Mul, Neg, Sub};
use std::panic::Location;

/// Number of variables before the first wire: the constant one and the public inputs.
pub const INPUT_COUNT: usize = PUBLIC_INPUTS.len() + 1;

/// A linear combination `Σ coefficient·variable`; merged and sorted only when a constraint is made.
pub type Terms = Vec<(u32, Fr)>;

/// `a·b = c` over sorted, merged linear combinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Left factor.
    pub a: Terms,
    /// Right factor.
    pub b: Terms,
    /// Product.
    pub c: Terms,
}

/// A value with the linear combination that it stands for (empty when not recording).
#[derive(Debug, Clone)]
pub struct Num {
    /// The value in this assignment.
    pub value: Fr,
    terms: Terms,
    offset: Fr,
    constant: bool,
}

impl Num {
    /// The constant `value`; costs nothing.
    pub fn constant(value: Fr) -> Self {
        Self { value, terms: Vec::new(), offset: value, constant: true }
    }
    /// Zero.
    pub fn zero() -> Self {
        Self::constant(Fr::ZERO)
    }
    /// One.
    pub fn one() -> Self {
        Self::constant(Fr::ONE)
    }
    /// Whether the value is fixed by the circuit.
    pub fn is_constant(&self) -> bool {
        self.constant
    }
    /// `self + factor·other`.
    pub fn plus(mut self, other: &Num, factor: Fr) -> Self {
        self.value += other.value * factor;
        self.offset += other.offset * factor;
        self.terms.extend(other.terms.iter().map(|(v, c)| (*v, *c * factor)));
        self.constant &= other.constant;
        self
    }
    /// `Σ 2^i·bits[i]`.
    pub fn from_bits(bits: &[Num]) -> Self {
        let mut weight = Fr::ONE;
        let mut sum = Num::zero();
        for bit in bits {
            sum = sum.plus(bit, weight);
            weight.double_in_place();
        }
        sum
    }
    /// Sum of all.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Num>) -> Self {
        parts.into_iter().fold(Num::zero(), |sum, part| sum.plus(part, Fr::ONE))
    }
    /// The combination of `values` with constant `coefficients`, plus a constant.
    pub fn dot(values: &[Num], coefficients: &[Fr], constant: Fr) -> Self {
        let pairs = values.iter().zip(coefficients);
        pairs.fold(Num::constant(constant), |sum, (value, c)| sum.plus(value, *c))
    }
}

impl Add for &Num {
    type Output = Num;
    fn add(self, other: &Num) -> Num {
        self.clone().plus(other, Fr::ONE)
    }
}

impl Sub for &Num {
    type Output = Num;
    fn sub(self, other: &Num) -> Num {
        self.clone().plus(other, -Fr::ONE)
    }
}

impl Neg for &Num {
    type Output = Num;
    fn neg(self) -> Num {
        self * -Fr::ONE
    }
}

impl Mul<Fr> for &Num {
    type Output = Num;
    fn mul(self, factor: Fr) -> Num {
        Num::zero().plus(self, factor)
    }
}

impl Add<Fr> for &Num {
    type Output = Num;
    fn add(self, constant: Fr) -> Num {
        let mut out = self.clone();
        out.value += constant;
        out.offset += constant;
        out
    }
}

/// Constraints made under one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What the constraints are for.
    pub name: &'static str,
    /// How many there are.
    pub constraints: usize,
}

/// Makes wires and constraints.
pub struct Builder {
    recording: bool,
    values: Vec<Fr>,
    constraints: Vec<Constraint>,
    count: usize,
    parts: Vec<Part>,
    part: usize,
    names: Vec<(String, u32)>,
    scope: String,
    /// Inverses that somebody foresees, in the order in which they will be asked for.
    foreseen: VecDeque<Fr>,
    sites: Sites,
    overwrites: BTreeMap<usize, Fr>,
}

impl Builder {
    /// A builder that records constraints and names.
    pub fn recording() -> Self {
        Self::new(true)
    }
    /// A builder that computes wire values only.
    pub fn witness_only() -> Self {
        Self::new(false)
    }
    fn new(recording: bool) -> Self {
        let mut values = vec![Fr::ZERO; INPUT_COUNT];
        values[0] = Fr::ONE;
        Self {
            recording,
            values,
            constraints: Vec::new(),
            count: 0,
            parts: Vec::new(),
            part: 0,
            names: Vec::new(),
            scope: String::new(),
            foreseen: VecDeque::new(),
            sites: Sites::default(),
            overwrites: BTreeMap::new(),
        }
    }
    /// Counts what follows under `name`; gives the label that was in force, for [`Builder::resume`].
    pub fn part(&mut self, name: &'static str) -> usize {
        let before = self.part;
        let found = self.parts.iter().position(|part| part.name == name);
        self.part = found.unwrap_or_else(|| {
            self.parts.push(Part { name, constraints: 0 });
            self.parts.len() - 1
        });
        before
    }
    /// Returns to a label given by [`Builder::part`].
    pub fn resume(&mut self, part: usize) {
        self.part = part;
    }
    /// Constraints by label, in the order the labels came first.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
    /// Prefix for the names that follow, e.g. `T[3].`.
    pub fn scope(&mut self, scope: impl FnOnce() -> String) {
        if self.recording {
            self.scope = scope();
        }
    }
    /// Names wire `num` for tests; `num` must be a single wire.
    pub fn name(&mut self, name: &str, num: &Num) {
        if self.recording
            && let [(variable, _)] = num.terms[..]
        {
            self.names.push((format!("{}{name}", self.scope), variable));
        }
    }
    /// The named wires: name and variable.
    pub fn names(&self) -> &[(String, u32)] {
        &self.names
    }
    /// A public input, 0-based as in [`PUBLIC_INPUTS`], with its value from now on.
    pub fn input(&mut self, position: usize, value: Fr) -> Num {
        let value = self.overwritten(position + 1, value);
        self.values[position + 1] = value;
        let variable = u32::try_from(position + 1).expect("few inputs");
        let terms = if self.recording { vec![(variable, Fr::ONE)] } else { Vec::new() };
        Num { value, terms, offset: Fr::ZERO, constant: false }
    }
    /// A new wire, free until constrained.
    pub fn wire(&mut self, value: Fr) -> Num {
        let variable = u32::try_from(self.values.len()).expect("circuits stay below 2^32 wires");
        let value = self.overwritten(self.values.len(), value);
        self.values.push(value);
        let terms = if self.recording { vec![(variable, Fr::ONE)] } else { Vec::new() };
        Num { value, terms, offset: Fr::ZERO, constant: false }
    }
    /// Whether constraints are recorded; else only values are computed.
    pub fn is_recording(&self) -> bool {
        self.recording
    }
    /// Announces inverses that [`Builder::inverse`] will be asked for, in this order; it may be asked
    /// for others between them. Many inverses at once cost little more than one.
    pub fn foresee(&mut self, inverses: impl IntoIterator<Item = Fr>) {
        self.foreseen = inverses.into_iter().collect();
    }
    /// Foreseen inverses that were not asked for yet.
    pub fn unused(&self) -> usize {
        self.foreseen.len()
    }
    /// `1/value`, or 0 for 0: foreseen, or computed.
    pub fn inverse(&mut self, value: Fr) -> Fr {
        match self.foreseen.front() {
            Some(inverse) if *inverse * value == Fr::ONE => {
                self.foreseen.pop_front().unwrap_or_default()
            }
            _ => value.inverse().unwrap_or(Fr::ZERO),
        }
    }
    /// The variables with these numbers take these values instead of the ones they are made with,
    /// and all that is computed from them follows: for tests of what the constraints refuse.
    pub fn overwrite(&mut self, wires: impl IntoIterator<Item = (usize, Fr)>) {
        self.overwrites.extend(wires);
    }
    fn overwritten(&mut self, variable: usize, value: Fr) -> Fr {
        if self.overwrites.is_empty() {
            return value;
        }
        self.overwrites.remove(&variable).unwrap_or(value)
    }
    /// Makes a gadget's constraints, which then count as made for the gadget's caller.
    #[track_caller]
    pub fn within<T>(&mut self, gadget: impl FnOnce(&mut Self) -> T) -> T {
        if !self.recording {
            return gadget(self);
        }
        let outer = self.sites.enter(Location::caller());
        let made = gadget(self);
        self.sites.leave(outer);
        made
    }
    /// Where the recorded constraints were made.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }
    /// `a·b = c`.
    #[track_caller]
    pub fn enforce(&mut self, a: &Num, b: &Num, c: &Num) {
        self.count += 1;
        if self.parts.is_empty() {
            self.part("other");
        }
        self.parts[self.part].constraints += 1;
        if self.recording {
            self.sites.push(Location::caller());
            self.constraints.push(Constraint { a: merged(a), b: merged(b), c: merged(c) });
        }
    }
    /// A wire for `a·b`: one constraint, none if a factor is constant.
    #[track_caller]
    pub fn mul(&mut self, a: &Num, b: &Num) -> Num {
        if a.constant {
            return b * a.value;
        }
        if b.constant {
            return a * b.value;
        }
        let product = self.wire(a.value * b.value);
        self.enforce(a, b, &product);
        product
    }
    /// `value = 0`.
    #[track_caller]
    pub fn enforce_zero(&mut self, value: &Num) {
        self.enforce(value, &Num::one(), &Num::zero());
    }
    /// `a = b`.
    #[track_caller]
    pub fn enforce_equal(&mut self, a: &Num, b: &Num) {
        self.enforce_zero(&(a - b));
    }
    /// Number of constraints so far.
    pub fn constraint_count(&self) -> usize {
        self.count
    }
    /// The recorded constraints.
    pub fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }
    /// The full assignment: one, public inputs, wires.
    pub fn assignment(&self) -> &[Fr] {
        &self.values
    }
    /// Takes the full assignment.
    pub fn into_assignment(self) -> Vec<Fr> {
        self.values
    }
    /// Takes constraints and parts.
    pub fn into_constraints(self) -> (Vec<Constraint>, Vec<Part>, usize) {
        (self.constraints, self.parts, self.values.len())
    }
}

fn merged(num: &Num) -> Terms {
    let mut sorted = num.terms.clone();
    sorted.push((0, num.offset));
    sorted.sort_by_key(|(variable, _)| *variable);
    let mut out: Terms = Vec::with_capacity(sorted.len());
    for (variable, coefficient) in sorted {
        match out.last_mut() {
            Some((last, sum)) if *last == variable => *sum += coefficient,
            _ => out.push((variable, coefficient)),
        }
    }
    out.retain(|(_, coefficient)| !coefficient.is_zero());
    out
}

/// Value of a linear combination under an assignment.
pub fn evaluate(terms: &[(u32, Fr)], assignment: &[Fr]) -> Fr {
    let one = Fr::ONE; // most coefficients are
    let term = |(v, c): &(u32, Fr)| {
        let value = assignment[*v as usize];
        if *c == one { value } else { value * c }
    };
    terms.iter().map(term).sum()
}

/// Number of the first constraint that an assignment violates, if any.
pub fn first_violated(constraints: &[Constraint], assignment: &[Fr]) -> Option<usize> {
    constraints.iter().position(|constraint| {
        let [a, b, c] =
            [&constraint.a, &constraint.b, &constraint.c].map(|terms| evaluate(terms, assignment));
        a * b != c
    })
}
