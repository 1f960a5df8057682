//! A constraint matrix as a prover keeps it: rows of small terms, each coefficient stored once.
//!
//! A circuit of a million constraints uses some thousand different coefficients, most often 1 and −1. A
//! term is 8 bytes here and 40 in arkworks' form.

use crate::builder::Terms;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use ark_relations::gr1cs::Matrix;
use rayon::prelude::*;
use std::collections::HashMap;

/// Rows that one task multiplies.
const ROWS: usize = 1 << 12;
/// Places of 1 and −1 among the coefficients.
const ONE: u32 = 0;
const MINUS_ONE: u32 = 1;

/// `coefficients[coefficient] · variable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    variable: u32,
    coefficient: u32,
}

/// A, B or C of a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseMatrix {
    /// Where each row's terms end.
    ends: Vec<usize>,
    terms: Vec<Term>,
    /// All different; the first two are 1 and −1.
    coefficients: Vec<Fr>,
}

impl SparseMatrix {
    /// Of rows in order.
    pub fn new<'a>(rows: impl Iterator<Item = &'a Terms>) -> Self {
        let mut coefficients = vec![Fr::ONE, -Fr::ONE];
        let mut places: HashMap<Fr, u32> = HashMap::from([(Fr::ONE, ONE), (-Fr::ONE, MINUS_ONE)]);
        let (mut ends, mut terms) = (Vec::new(), Vec::new());
        for row in rows {
            for (variable, value) in row {
                let coefficient = *places.entry(*value).or_insert_with(|| {
                    coefficients.push(*value);
                    u32::try_from(coefficients.len() - 1).expect("fewer coefficients than terms")
                });
                terms.push(Term { variable: *variable, coefficient });
            }
            ends.push(terms.len());
        }
        terms.shrink_to_fit();
        Self { ends, terms, coefficients }
    }
    /// Number of rows: constraints.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }
    fn row(&self, i: usize) -> &[Term] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.terms[start..self.ends[i]]
    }
    /// The matrix times a full assignment, padded with zeros to `len` values. `len` must be at least
    /// the number of rows, and the assignment must have every variable.
    pub fn product(&self, assignment: &[Fr], len: usize) -> Vec<Fr> {
        let mut values = vec![Fr::ZERO; len];
        values[..self.rows()].par_chunks_mut(ROWS).enumerate().for_each(|(chunk, values)| {
            for (i, value) in values.iter_mut().enumerate() {
                for term in self.row(chunk * ROWS + i) {
                    let variable = assignment[term.variable as usize];
                    match term.coefficient {
                        ONE => *value += variable,
                        MINUS_ONE => *value -= variable,
                        other => *value += variable * self.coefficients[other as usize],
                    }
                }
            }
        });
        values
    }
    /// As arkworks' prover takes it.
    pub fn to_arkworks(&self) -> Matrix<Fr> {
        let value =
            |term: &Term| (self.coefficients[term.coefficient as usize], term.variable as usize);
        (0..self.rows()).map(|i| self.row(i).iter().map(value).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::evaluate;
    use crate::groth16::Compiled;
    use kerros_protocol::batch::Shape;

    #[test]
    fn a_product_is_each_row_evaluated() {
        let compiled = Compiled::new(&Shape::new([1, 1, 1, 1, 1]).expect("a shape"));
        let mut value = Fr::from(3u64);
        let assignment: Vec<Fr> = (0..compiled.variables)
            .map(|_| {
                value.square_in_place();
                value
            })
            .collect();
        let rows = compiled.constraints.len();
        let matrix = SparseMatrix::new(compiled.constraints.iter().map(|c| &c.a));
        let product = matrix.product(&assignment, rows + 3);
        assert_eq!(product.len(), rows + 3);
        assert_eq!(product[rows..], [Fr::ZERO; 3]);
        for (constraint, value) in compiled.constraints.iter().zip(&product) {
            assert_eq!(evaluate(&constraint.a, &assignment), *value);
        }
        let theirs = matrix.to_arkworks();
        for (constraint, row) in compiled.constraints.iter().zip(&theirs) {
            let row: Terms = row.iter().map(|(c, v)| (*v as u32, *c)).collect();
            assert_eq!(row, constraint.a);
        }
    }
}
