//! The table of constraints per part and per transfer.

use crate::batch::{BatchWitness, synthesize};
use crate::builder::Builder;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::batch::Shape;
use serde::Serialize;
use std::convert::Infallible;
use std::fmt;

/// Constraints of one part of the circuit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartReport {
    /// Name of the part.
    pub part: String,
    /// Constraints at this shape.
    pub constraints: usize,
    /// Constraints that one more transfer adds: the slope between two sizes.
    pub per_transfer: f64,
}

/// Constraints of a shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// O,D,T,E,F.
    pub shape: String,
    /// All constraints.
    pub constraints_total: usize,
    /// Slope between this shape and one with 144 more transfers, everything included.
    pub constraints_per_transfer: f64,
    /// Wires, public inputs and the constant one included.
    pub variables: usize,
    /// By part.
    pub parts: Vec<PartReport>,
}

fn counted(shape: &Shape) -> Builder {
    let mut b = Builder::witness_only();
    let witness = BatchWitness::empty(shape, 4, Fr::ZERO);
    let challenges = |_| Ok::<_, Infallible>((Fr::from(7u64), Fr::ONE.double().double()));
    match synthesize(&mut b, shape, &witness, challenges) {
        Ok(_) => b,
        Err(never) => match never {},
    }
}

/// Counts a shape's constraints.
pub fn report(shape: &Shape) -> Report {
    // Nine accounts are one absorbed element, sixteen elements one permutation: the slope is exact.
    const MORE: u32 = 144;
    let larger = Shape { transfers: shape.transfers + MORE, ..*shape };
    let (b, larger) = (counted(shape), counted(&larger));
    let slope = |small: usize, large: usize| (large - small) as f64 / f64::from(MORE);
    let parts = b.parts().iter().map(|part| {
        let large = larger.parts().iter().find(|other| other.name == part.name);
        let large = large.map_or(part.constraints, |part| part.constraints);
        PartReport {
            part: part.name.to_owned(),
            constraints: part.constraints,
            per_transfer: slope(part.constraints, large),
        }
    });
    Report {
        shape: shape.to_string(),
        constraints_total: b.constraint_count(),
        constraints_per_transfer: slope(b.constraint_count(), larger.constraint_count()),
        variables: b.assignment().len(),
        parts: parts.collect(),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "shape O,D,T,E,F = {}", self.shape)?;
        writeln!(f, "{:<24} {:>12} {:>14}", "part", "constraints", "per transfer")?;
        for part in &self.parts {
            let PartReport { part, constraints, per_transfer } = part;
            writeln!(f, "{part:<24} {constraints:>12} {per_transfer:>14.1}")?;
        }
        let (total, slope) = (self.constraints_total, self.constraints_per_transfer);
        write!(f, "{:<24} {total:>12} {slope:>14.1}", "total")
    }
}
