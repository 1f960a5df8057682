//! The KZG side of a proof: quotient Q and opening W (SPEC.md section 5).
//!
//! All polynomials live as values on the domain; vectors named `*_at` are in the order of account
//! indices, FFTs run in the order of powers of ω. Cost: a handful of FFTs of size n and one MSM
//! each over the allocated accounts (Q is zero on no particular set, so over n).

use crate::basis::Basis;
use ark_bn254::{Fr, G1Affine};
use ark_ff::{AdditiveGroup, Field};
use ark_poly::univariate::DensePolynomial;
use ark_poly::{DenseUVPolynomial, EvaluationDomain};
use kerros_protocol::account::{Account, AccountIndex};
use kerros_protocol::commitment::{bit_reverse, evaluation_domain, point};
use kerros_protocol::ledger::Ledger;
use rayon::prelude::*;

/// F = f_0 + β·f_1 + β²·f_2 by index, n values.
fn combined(ledger: &Ledger, beta: Fr) -> Vec<Fr> {
    let mut values: Vec<Fr> =
        ledger.accounts().par_iter().map(|account| account.combine(beta)).collect();
    values.resize(ledger.size() as usize, Fr::ZERO);
    values
}

fn permuted(values: &[Fr], k: u8) -> Vec<Fr> {
    (0..values.len()).into_par_iter().map(|i| values[bit_reverse(i, k)]).collect()
}

/// `Π (X − x)` over the points.
fn vanishing(points: &[Fr]) -> DensePolynomial<Fr> {
    match points {
        [] => DensePolynomial::from_coefficients_vec(vec![Fr::ONE]),
        [x] => DensePolynomial::from_coefficients_vec(vec![-*x, Fr::ONE]),
        _ => {
            let (left, right) = points.split_at(points.len() / 2);
            let (left, right) = rayon::join(|| vanishing(left), || vanishing(right));
            &left * &right
        }
    }
}

/// Q with its values, kept for W.
pub struct Quotient {
    /// `[Q(τ)]_1`.
    pub commitment: G1Affine,
    combined_at: Vec<Fr>,
    quotient_at: Vec<Fr>,
}

/// `Q = (F − Σ_S o_i·L_i)/Z_S` for the ledger before the batch.
pub fn quotient(
    before: &Ledger,
    touched: &[(AccountIndex, Account)],
    beta: Fr,
    basis: &dyn Basis,
) -> Quotient {
    let k = before.k();
    let combined_at = combined(before, beta);
    // F − Σ o_i·L_i has the value 0 on S and F's value elsewhere.
    let mut rest = combined_at.clone();
    for (index, _) in touched {
        rest[index.position()] = Fr::ZERO;
    }
    let mut values = permuted(&rest, k);
    drop(rest);
    basis.ifft(&mut values);
    basis.coset_fft(&mut values);
    let points: Vec<Fr> = touched.iter().map(|(index, _)| point(index.get())).collect();
    // At most n − 1 points: index 0 is never used, so Z_S has at most n coefficients.
    let mut divisor = vanishing(&points).coeffs;
    basis.coset_fft(&mut divisor);
    basis.invert(&mut divisor);
    values.par_iter_mut().zip(&divisor).for_each(|(value, inverse)| *value *= inverse);
    drop(divisor);
    basis.coset_ifft(&mut values);
    basis.fft(&mut values);
    let quotient_at = permuted(&values, k);
    let commitment = basis.commit(&quotient_at);
    Quotient { commitment, combined_at, quotient_at }
}

/// The circuit's outputs that the opening speaks about.
pub struct Claims {
    /// A.
    pub a: Fr,
    /// Δ.
    pub delta: Fr,
    /// Z.
    pub z_s: Fr,
}

/// `W = (F + γ(F' − F) − Z·Q − c(A + γΔ))/(X − z)`.
pub fn opening(
    quotient: &Quotient,
    after: &Ledger,
    touched: &[(AccountIndex, Account)],
    (beta, z, gamma): (Fr, Fr, Fr),
    claims: &Claims,
    basis: &dyn Basis,
) -> G1Affine {
    let k = after.k();
    let n = Fr::from(u64::from(after.size()));
    let c =
        (z.pow([u64::from(after.size())]) - Fr::ONE) * n.inverse().expect("n is a power of two");
    let constant = c * (claims.a + gamma * claims.delta);
    let mut values: Vec<Fr> = quotient
        .combined_at
        .par_iter()
        .zip(&quotient.quotient_at)
        .map(|(f, q)| *f - claims.z_s * q - constant)
        .collect();
    for (index, account) in touched {
        let change = after.get(*index).combine(beta) - account.combine(beta);
        values[index.position()] += gamma * change;
    }
    let elements: Vec<Fr> = evaluation_domain(k).elements().collect();
    let mut distance: Vec<Fr> = permuted(&elements, k).into_iter().map(|x| x - z).collect();
    basis.invert(&mut distance);
    values.par_iter_mut().zip(&distance).for_each(|(value, inverse)| *value *= inverse);
    basis.commit(&values)
}
