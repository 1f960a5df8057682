//! One account's opening against the commitments: what the escape hatch asks for (SPEC.md section 7).
//!
//! With `f = Σ δ^j·f_j` and y its value at x(i), the witness is `W = [(f(τ) − y)/(τ − x(i))]_1`. Needs
//! the accounts and the Lagrange points of their ledger's size, nobody's leave and no secret.

use super::{Commitments, bit_reverse, evaluation_domain, point, whole};
use crate::account::AccountIndex;
use crate::ledger::Ledger;
use crate::transcript;
use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Field, batch_inversion};
use ark_poly::EvaluationDomain;
use rayon::prelude::*;

/// What the contract's `escape` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Account.
    pub index: AccountIndex,
    /// Its words; all 0 if it does not exist.
    pub words: [Fr; 3],
    /// W.
    pub witness: G1Affine,
}

/// Opens account `index` of the ledger whose commitments these are; `lagrange` has the points of its
/// size. One sum over all `2^k` places.
///
/// # Panics
/// If the index is beyond the ledger, or there are too few points.
pub fn open(
    ledger: &Ledger,
    commitments: &Commitments,
    index: AccountIndex,
    lagrange: &[G1Affine],
) -> Opening {
    assert!(index.get() < ledger.size(), "index {index} beyond {}", ledger.size());
    let words = ledger.get(index).words();
    let delta = transcript::escape(commitments, index, &words);
    let (k, here, place) = (ledger.k(), point(index.get()), index.position());
    let value = ledger.get(index).combine(delta);
    let elements: Vec<Fr> = evaluation_domain(k).elements().collect();
    // x(m) − x(i); its inverse stays 0 at i.
    let mut quotient: Vec<Fr> =
        (0..elements.len()).into_par_iter().map(|m| elements[bit_reverse(m, k)] - here).collect();
    batch_inversion(&mut quotient);
    quotient.par_iter_mut().enumerate().for_each(|(m, inverse)| {
        let other = ledger.accounts().get(m).map_or(Fr::ZERO, |account| account.combine(delta));
        *inverse *= other - value;
    });
    // A polynomial of degree below n − 1 has Σ x(m)·q(x(m)) = 0 over the domain.
    let rest: Fr = (0..elements.len())
        .into_par_iter()
        .map(|m| elements[bit_reverse(m, k)] * quotient[m])
        .sum();
    quotient[place] = -rest * here.inverse().expect("a root of unity is not 0");
    let witness = whole::sum(lagrange, quotient.into_par_iter()).into_affine();
    Opening { index, words, witness }
}
