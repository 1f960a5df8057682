//! Posting: the multiset of journal entries equals the multiset of ledger rows, and fees are
//! conserved (SPEC.md section 6).
//!
//! Everything compared here was absorbed into h before β and z were drawn, or is determined by what
//! was: otherwise a prover could solve these identities instead of obeying them.

use crate::builder::{Builder, Num};
use crate::journal::{Entry, FeeTerm};
use crate::ledger::Row;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};

/// `1` where inactive, else `z + composite + β·x + β²·amount + … + β⁷·owner`.
fn factor(b: &mut Builder, beta: &Num, z: &Num, active: &Num, columns: [&Num; 8]) -> Num {
    let mut sum = Num::zero();
    for (place, column) in columns.into_iter().rev().enumerate() {
        sum = if place == 0 { column.clone() } else { &b.mul(&sum, beta) + column };
    }
    let masked = b.mul(active, &(&(&sum + z) + -Fr::ONE));
    &masked + Fr::ONE
}

/// Requires that both multisets are equal, by a grand product at z.
pub fn enforce_posted(b: &mut Builder, beta: &Num, z: &Num, entries: &[Entry], rows: &[Row]) {
    b.part("posting");
    let mut journal = Num::one();
    for entry in entries {
        let Entry { active, composite, x, amount, flags, asset, nonce, key, owner } = entry;
        let columns = [composite, x, amount, flags, asset, nonce, key, owner];
        let factor = factor(b, beta, z, active, columns);
        journal = b.mul(&journal, &factor);
    }
    let mut ledger = Num::one();
    for row in rows {
        let amount = &row.after - &row.before;
        let nonce = b.mul(&row.bump, &row.nonce);
        let key = b.mul(&row.names_key, &row.key);
        let owner = b.mul(&row.names_owner, &row.owner);
        let flags = row.flags();
        let columns = [&row.composite, &row.x, &amount, &flags, &row.asset, &nonce, &key, &owner];
        let factor = factor(b, beta, z, &row.active, columns);
        ledger = b.mul(&ledger, &factor);
    }
    b.enforce_equal(&journal, &ledger);
}

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
