//! Fees are conserved: per asset, what is paid is collected (SPEC.md section 6).
//!
//! Amounts and assets were absorbed into h before β was drawn, or are determined by what was.

use crate::builder::{Builder, Num};
use crate::journal::FeeTerm;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};

/// Requires `Σ fee/(β+asset) = Σ collected/(β+asset)`: per asset, what is paid is collected.
pub fn enforce_fees(b: &mut Builder, beta: &Num, fees: &[FeeTerm], collected: &[FeeTerm]) {
    b.part("fees");
    let mut sum = Num::zero();
    for (sign, terms) in [(Fr::ONE, fees), (-Fr::ONE, collected)] {
        for term in terms {
            // β + asset is 0 with negligible probability only; then a nonzero amount cannot be met.
            let denominator = beta + &term.asset;
            let inverse = denominator.value.inverse().unwrap_or(Fr::ZERO);
            let share = b.wire(term.amount.value * inverse);
            b.enforce(&share, &denominator, &term.amount);
            sum = sum.plus(&share, sign);
        }
    }
    b.enforce_zero(&sum);
}
