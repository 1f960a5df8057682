//! Bits: range checks by decomposition, flags, selection.

use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, BigInteger, Field, PrimeField};
use kerros_protocol::account::two_to;

/// A wire that is 0 or 1.
#[track_caller]
pub fn boolean(b: &mut Builder, value: Fr) -> Num {
    b.within(|b| {
        let bit = b.wire(value);
        b.enforce(&bit, &(&Num::one() - &bit), &Num::zero());
        bit
    })
}

/// A number made of `width` bits: in `[0, 2^width)` by construction, width ≤ 253. Only the low
/// bits of `value` are used; if it does not fit, whatever else is tied to the number fails.
#[track_caller]
pub fn number(b: &mut Builder, value: Fr, width: u32) -> (Num, Vec<Num>) {
    b.within(|b| {
        assert!(width < Fr::MODULUS_BIT_SIZE, "{width} bits may wrap");
        let value = value.into_bigint();
        let bits: Vec<Num> =
            (0..width as usize).map(|i| boolean(b, Fr::from(value.get_bit(i)))).collect();
        (Num::from_bits(&bits), bits)
    })
}

/// `value ∈ [0, 2^width)`, `1 ≤ width ≤ 253`. The top bit is what the lower ones leave: no wire.
#[track_caller]
pub fn range(b: &mut Builder, value: &Num, width: u32) {
    b.within(|b| {
        let (low, _) = number(b, value.value, width - 1);
        let unit = two_to(width - 1).inverse().expect("a power of two is not 0");
        let top = &(value - &low) * unit;
        b.enforce(&top, &(&Num::one() - &top), &Num::zero());
    })
}

/// 1 if `value ≠ 0`, else 0: a boolean that the value determines.
#[track_caller]
pub fn is_nonzero(b: &mut Builder, value: &Num) -> Num {
    b.within(|b| {
        let inverse = value.value.inverse();
        let flag = b.wire(if inverse.is_some() { Fr::ONE } else { Fr::ZERO });
        let inverse = b.wire(inverse.unwrap_or(Fr::ZERO));
        b.enforce(value, &inverse, &flag);
        b.enforce(&(&Num::one() - &flag), value, &Num::zero());
        flag
    })
}

/// `value ≠ 0` where the boolean `condition` is 1; says nothing where it is 0.
#[track_caller]
pub fn nonzero_if(b: &mut Builder, value: &Num, condition: &Num) {
    b.within(|b| {
        let inverse = value.value.inverse().unwrap_or(Fr::ZERO) * condition.value;
        let inverse = b.wire(inverse);
        b.enforce(value, &inverse, condition);
    })
}

/// `on` where the boolean `condition` is 1, else `off`.
#[track_caller]
pub fn select(b: &mut Builder, condition: &Num, on: &Num, off: &Num) -> Num {
    b.within(|b| &b.mul(condition, &(on - off)) + off)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::first_violated;
    use ark_ff::Zero;

    fn holds(b: &Builder) -> bool {
        first_violated(b.constraints(), b.assignment()).is_none()
    }

    #[test]
    fn range_accepts_its_ends_and_refuses_what_lies_outside() {
        for (value, good) in [
            (Fr::ZERO, true),
            (Fr::from(255u64), true),
            (Fr::from(256u64), false),
            (-Fr::ONE, false),
        ] {
            let mut b = Builder::recording();
            let wire = b.wire(value);
            range(&mut b, &wire, 8);
            assert_eq!(holds(&b), good, "{value}");
        }
    }

    #[test]
    fn a_bit_overwritten_with_two_is_refused() {
        let mut b = Builder::recording();
        let wire = b.wire(Fr::from(4u64));
        range(&mut b, &wire, 3);
        let mut assignment = b.assignment().to_vec();
        let first_bit = assignment.len() - 2;
        // 4 = 2·2 + 0 with "bits" (0→0, 1→2, the top one→0): the boolean does not hold.
        assignment[first_bit + 1] = Fr::from(2u64);
        assert!(first_violated(b.constraints(), &assignment).is_some());
        // 8 = 4·2: neither does a top bit of 2.
        let mut assignment = b.assignment().to_vec();
        assignment[first_bit - 1] = Fr::from(8u64);
        assert!(first_violated(b.constraints(), &assignment).is_some());
    }

    #[test]
    fn the_nonzero_flag_is_determined() {
        for value in [Fr::ZERO, Fr::ONE, -Fr::ONE] {
            let mut b = Builder::recording();
            let wire = b.wire(value);
            let flag = is_nonzero(&mut b, &wire);
            assert!(holds(&b));
            assert_eq!(flag.value.is_zero(), value.is_zero());
            let mut assignment = b.assignment().to_vec();
            let position = assignment.len() - 2;
            assignment[position] = Fr::ONE - assignment[position];
            assert!(first_violated(b.constraints(), &assignment).is_some());
            assignment[position + 1] = Fr::from(7u64);
            assert!(first_violated(b.constraints(), &assignment).is_some());
        }
    }
}
