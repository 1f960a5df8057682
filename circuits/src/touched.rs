//! The touched accounts: an ascending table that shows that no two first accesses have one index
//! (SPEC.md section 6).
//!
//! The table holds L + 1 integers: 0, the index of every first access, and `−1 − j` for every
//! access j that is not first. As integers that strictly ascend and end below n they are distinct,
//! so every account has one first access at the most, and index 0, taken by the 0, has none.

use crate::access::Access;
use crate::builder::{Builder, Num};
use crate::gadgets::bits::range;
use ark_bn254::Fr;
use ark_ff::Field;
use kerros_protocol::account::two_to;
use kerros_protocol::limits::{ACCESSES_MAX, INDEX_BITS};

/// Gaps that one absorbed element takes: 252 bits.
const GAPS_AN_ELEMENT: usize = 9;

/// What access `number` puts into the table if it is not first.
pub fn filler(number: usize) -> Fr {
    -Fr::from(number as u64 + 1)
}

/// The table.
pub struct Touched {
    values: Vec<Num>,
    gaps: Vec<Num>,
}

impl Touched {
    /// Makes the table, ascending from `−L` to below `n`. `witness` has L + 1 values.
    pub fn new(b: &mut Builder, witness: &[Fr], n: &Num) -> Self {
        b.part("touched accounts");
        let (mut values, mut gaps) = (Vec::new(), Vec::new());
        let mut previous = Num::constant(filler(witness.len() - 1));
        for value in witness {
            let value = b.wire(*value);
            let gap = &(&value - &previous) + -Fr::ONE;
            range(b, &gap, INDEX_BITS);
            previous = value.clone();
            values.push(value);
            gaps.push(gap);
        }
        range(b, &(&(n - &previous) + -Fr::ONE), INDEX_BITS);
        Self { values, gaps }
    }

    /// The gaps, nine an element.
    pub fn absorbed(&self) -> Vec<Num> {
        let pack = |gaps: &[Num]| {
            let shifts = (0..).step_by(INDEX_BITS as usize);
            let parts = gaps.iter().zip(shifts);
            parts.fold(Num::zero(), |sum, (gap, shift)| sum.plus(gap, two_to(shift)))
        };
        self.gaps.chunks(GAPS_AN_ELEMENT).map(pack).collect()
    }

    /// Requires that the table holds 0 and what each access puts into it, as multisets.
    pub fn enforce_of(&self, b: &mut Builder, z: &Num, accesses: &[Access]) {
        b.part("touched accounts");
        let mut put = z.clone();
        for (number, Access { link, index, .. }) in accesses.iter().enumerate() {
            let filler = filler(number);
            let value = &b.mul(&link.first, &(index + -filler)) + filler;
            put = b.mul(&put, &(z + &value));
        }
        let mut held = Num::one();
        for value in &self.values {
            held = b.mul(&held, &(z + value));
        }
        b.enforce_equal(&put, &held);
    }
}

const _: () = assert!(GAPS_AN_ELEMENT as u32 * INDEX_BITS < 254);
const _: () = assert!((ACCESSES_MAX as u64 + 1) << INDEX_BITS < 1 << 63, "no sum of gaps wraps");
