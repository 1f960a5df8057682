//! Verdict: what the main chain would say of a witness.

use super::{challenges, compiled, shape};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use kerros_circuits::batch::{BatchWitness, Outputs, synthesize};
use kerros_circuits::builder::{Builder, Constraint, evaluate};
use kerros_protocol::commitment::point;
use kerros_protocol::encoding::fr_to_be;
use kerros_protocol::ledger::Ledger;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// A witness put through the circuit.
pub struct Verdict {
    pub violated: Vec<usize>,
    pub outputs: Outputs,
    pub beta: Fr,
    pub z: Fr,
    pub assignment: Vec<Fr>,
}

pub fn violations(constraints: &[Constraint], assignment: &[Fr]) -> Vec<usize> {
    let broken = |c: &Constraint| {
        let [a, b, c] = [&c.a, &c.b, &c.c].map(|terms| evaluate(terms, assignment));
        a * b != c
    };
    (0..constraints.len()).filter(|i| broken(&constraints[*i])).collect()
}

/// Challenges drawn after h, as they must be.
pub fn judge(witness: &BatchWitness) -> Verdict {
    judge_with(witness, challenges)
}

/// Challenges chosen by the caller: what a prover could do who knew them beforehand.
pub fn judge_with(witness: &BatchWitness, draw: impl FnOnce(Fr) -> (Fr, Fr)) -> Verdict {
    judge_overwritten(witness, [], draw)
}

/// Some variables are not what an honest builder makes them; what follows from them is.
pub fn judge_overwritten(
    witness: &BatchWitness,
    wires: impl IntoIterator<Item = (usize, Fr)>,
    draw: impl FnOnce(Fr) -> (Fr, Fr),
) -> Verdict {
    let mut b = Builder::witness_only();
    b.overwrite(wires);
    let mut drawn = (Fr::ZERO, Fr::ZERO);
    let outputs = synthesize(&mut b, &shape(), witness, |h| {
        drawn = draw(h);
        Ok::<_, Infallible>(drawn)
    });
    let outputs = match outputs {
        Ok(outputs) => outputs,
        Err(never) => match never {},
    };
    let assignment = b.into_assignment();
    assert_eq!(assignment.len(), compiled().variables, "one circuit for every witness");
    let violated = violations(&compiled().constraints, &assignment);
    Verdict { violated, outputs, beta: drawn.0, z: drawn.1, assignment }
}

impl Verdict {
    pub fn satisfied(&self) -> bool {
        self.violated.is_empty()
    }
    /// What the KZG equation says about A and Z: the accesses that are first open the state. An
    /// account opened twice passes here, because the pairing cannot see it (attack 4).
    pub fn opens(&self, before: &Ledger, witness: &BatchWitness) -> bool {
        let index = |i: Fr| i.into_bigint().0[0] as u32;
        let points: Vec<Fr> = firsts(witness).into_iter().map(|i| point(index(i))).collect();
        let distinct: BTreeSet<[u8; 32]> = points.iter().map(fr_to_be).collect();
        if distinct.len() != points.len() {
            return true;
        }
        let by_point = by_point(before);
        let (mut a, mut z_s) = (Fr::ZERO, Fr::ONE);
        for x in &points {
            let words = by_point.get(&fr_to_be(x)).map_or(Fr::ZERO, |w| combine(w, self.beta));
            a += words * x * (self.z - x).inverse().unwrap();
            z_s *= self.z - x;
        }
        (a, z_s) == (self.outputs.a, self.outputs.z_s)
    }
    /// What the KZG equation says about Δ: `after` differs from `before` as the circuit says.
    pub fn updates(&self, before: &Ledger, after: &Ledger) -> bool {
        let (old, new) = (by_point(before), by_point(after));
        let all: BTreeMap<_, _> = before_and_after(before, after);
        let zero = [Fr::ZERO; 3];
        let sum: Fr = all
            .into_iter()
            .map(|(bytes, x)| {
                let [o, n] = [&old, &new].map(|side| side.get(&bytes).unwrap_or(&zero));
                let change = combine(n, self.beta) - combine(o, self.beta);
                change * x * (self.z - x).inverse().unwrap()
            })
            .sum();
        sum == self.outputs.delta
    }
    /// Whether the main chain would take it.
    pub fn accepted(&self, before: &Ledger, witness: &BatchWitness) -> bool {
        self.satisfied() && self.opens(before, witness)
    }
}

fn combine(words: &[Fr; 3], beta: Fr) -> Fr {
    words[0] + beta * (words[1] + beta * words[2])
}

fn by_point(ledger: &Ledger) -> BTreeMap<[u8; 32], [Fr; 3]> {
    ledger.existing().map(|(i, a)| (fr_to_be(&point(i.get())), a.words())).collect()
}

fn before_and_after(before: &Ledger, after: &Ledger) -> BTreeMap<[u8; 32], Fr> {
    let indices = before.existing().chain(after.existing()).map(|(i, _)| point(i.get()));
    indices.map(|x| (fr_to_be(&x), x)).collect()
}

/// Indices of the accesses that are first in an account's path.
pub fn firsts(w: &BatchWitness) -> Vec<Fr> {
    let opens = w.opens.iter().filter(|o| o.index != Fr::ZERO).map(|o| o.index);
    let others = (w.deposits.iter().map(|d| (d.link, d.index)))
        .chain(w.transfers.iter().flat_map(|t| [(t.link, t.from), (t.payee_link, t.to)]))
        .chain(w.exits.iter().map(|e| (e.link, e.from)))
        .chain(w.collects.iter().map(|f| (f.link, f.to)));
    opens.chain(others.filter(|(link, _)| link.first == Fr::ONE).map(|(_, i)| i)).collect()
}
