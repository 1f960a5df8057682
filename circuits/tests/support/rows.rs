//! Finding rows.

use super::{composite, fr};
use ark_bn254::Fr;
use ark_ff::{Field, PrimeField};
use kerros_circuits::batch::BatchWitness;
use kerros_circuits::ledger::RowWitness;

/// Position of the row with this composite.
pub fn row_at(w: &BatchWitness, index: u64, class: u64, t: u64, side: u64) -> usize {
    let composite = fr(composite(index, class, t, side));
    w.rows.iter().position(|row| row.flags[0] == Fr::ONE && row.composite == composite).unwrap()
}

/// Takes the active rows out, for [`place`].
pub fn active_rows(w: &BatchWitness) -> Vec<(u64, RowWitness)> {
    let active = w.rows.iter().filter(|row| row.flags[0] == Fr::ONE);
    active.map(|row| (row.composite.into_bigint().0[0], *row)).collect()
}
