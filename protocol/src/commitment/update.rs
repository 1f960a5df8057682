//! What a batch adds to a commitment: a sum of multiples of few points by mostly short scalars.
//!
//! A batch changes a word of an account by a little: a payer's by `2^64 − amount − fee`, a payee's by
//! its amount. Written in signed digits such a change has two digits that are not 0, not as many as
//! a scalar has windows, and a column that does not change has none. One thread is enough
//! for that; sums over whole ledgers are in `whole`.
//!
//! Not constant in time: what it adds up is published.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{AdditiveGroup, BigInteger, BigInteger256, PrimeField, Zero};

/// Bits of a scalar's magnitude, rounded up; a carry out of the last window stays below this.
const BITS: usize = 256;

/// Bits of a window: the more points, the more buckets are worth their summing up.
fn window(points: usize) -> usize {
    let log = points.max(1).ilog2() as usize;
    log.saturating_sub(2).clamp(3, 12)
}

/// Sign and magnitude: of `v` and `v − r` the one that is nearer to 0.
fn shortest(scalar: &Fr) -> (bool, BigInteger256) {
    let (positive, negative) = (scalar.into_bigint(), (-*scalar).into_bigint());
    if negative < positive { (true, negative) } else { (false, positive) }
}

/// Digits of a scalar in base `2^width`, each in `−2^(width−1) … 2^(width−1)`, least first.
fn digits(scalar: &Fr, width: usize) -> impl Iterator<Item = i32> {
    let (negative, magnitude) = shortest(scalar);
    let (base, half, mut carry) = (1i32 << width, 1i32 << (width - 1), 0);
    (0..BITS.div_ceil(width)).map(move |window| {
        let mut digit = carry;
        for bit in 0..width {
            digit += i32::from(magnitude.get_bit(window * width + bit)) << bit;
        }
        carry = i32::from(digit > half);
        digit -= carry * base;
        if negative { -digit } else { digit }
    })
}

/// One digit that is not 0.
#[derive(Clone, Copy)]
struct Part {
    point: usize,
    digit: i32,
}

/// `Σ scalar_i · points[i]` over the given (i, scalar).
pub(super) fn sum(points: &[G1Affine], terms: impl Iterator<Item = (usize, Fr)>) -> G1Projective {
    let terms: Vec<_> = terms.filter(|(_, scalar)| !scalar.is_zero()).collect();
    let width = window(terms.len());
    let mut windows = vec![Vec::new(); BITS.div_ceil(width)];
    for (point, scalar) in &terms {
        for (window, digit) in windows.iter_mut().zip(digits(scalar, width)) {
            if digit != 0 {
                window.push(Part { point: *point, digit });
            }
        }
    }
    let mut total = G1Projective::zero();
    let mut buckets = Vec::new();
    for parts in windows.iter().rev() {
        for _ in 0..width {
            total.double_in_place();
        }
        total += window_sum(points, parts, &mut buckets);
    }
    total
}

/// `Σ digit · point` of one window. `buckets` is only memory, empty before and after.
fn window_sum(
    points: &[G1Affine],
    parts: &[Part],
    buckets: &mut Vec<G1Projective>,
) -> G1Projective {
    let greatest = parts.iter().map(|part| part.digit.unsigned_abs() as usize).max();
    buckets.resize(greatest.unwrap_or(0), G1Projective::zero());
    for Part { point, digit } in parts {
        let bucket = &mut buckets[digit.unsigned_abs() as usize - 1];
        if *digit > 0 {
            *bucket += points[*point];
        } else {
            *bucket -= points[*point];
        }
    }
    // Bucket d counts d times: each running sum from above is added once.
    let (mut running, mut sum) = (G1Projective::zero(), G1Projective::zero());
    for bucket in buckets.drain(..).rev() {
        running += bucket;
        sum += running;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::{AffineRepr, CurveGroup};
    use ark_ff::{Field, UniformRand};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn value(digits: impl Iterator<Item = i32>, width: usize) -> Fr {
        let (mut value, mut weight) = (Fr::ZERO, Fr::ONE);
        for digit in digits {
            value += weight * Fr::from(digit);
            weight *= Fr::from(1u64 << width);
        }
        value
    }

    #[test]
    fn digits_are_the_scalar_at_its_edges() {
        let rng = &mut StdRng::seed_from_u64(1);
        let two = |bits: u64| Fr::from(2u64).pow([bits]);
        let half = -Fr::ONE / Fr::from(2u64);
        let mut scalars =
            vec![Fr::ZERO, Fr::ONE, -Fr::ONE, half, half + Fr::ONE, two(253), -two(253)];
        for bits in [2, 3, 7, 8, 11, 12, 63, 64, 96, 112, 128, 160] {
            scalars.extend([two(bits), two(bits) - Fr::ONE, -two(bits), Fr::ONE - two(bits)]);
        }
        scalars.extend((0..20).map(|_| Fr::rand(rng)));
        for scalar in scalars {
            for width in 3..=12 {
                let bound = 1u32 << (width - 1);
                assert!(digits(&scalar, width).all(|digit| digit.unsigned_abs() <= bound));
                assert_eq!(value(digits(&scalar, width), width), scalar, "width {width}");
            }
        }
    }

    #[test]
    fn a_payment_has_two_digits() {
        let payer = Fr::from(2u64).pow([64]) - Fr::from(100u64);
        assert_eq!(digits(&payer, 8).filter(|digit| *digit != 0).count(), 2);
    }

    #[test]
    fn a_sum_is_that_of_its_terms_one_by_one() {
        let rng = &mut StdRng::seed_from_u64(2);
        for count in [0, 1, 2, 40, 300] {
            let mut points: Vec<G1Affine> = (0..count).map(|_| G1Affine::rand(rng)).collect();
            if count > 2 {
                // Equal, opposite and neutral points meet in one bucket.
                points[1] = points[0];
                points[2] = -points[0];
                points[3] = G1Affine::zero();
            }
            let small = |i: usize| match i % 4 {
                0 => Fr::from(i as u64 % 8),
                1 => -Fr::from(7u64),
                2 => Fr::from(2u64).pow([64]) - Fr::from(i as u64),
                _ => Fr::from(i as u64).square().square().inverse().unwrap_or(Fr::ZERO),
            };
            let terms: Vec<_> = (0..count).map(|i| (i, small(i))).collect();
            let slowly: G1Projective = terms.iter().map(|(i, scalar)| points[*i] * scalar).sum();
            let sum = sum(&points, terms.into_iter());
            assert_eq!(sum.into_affine(), slowly.into_affine(), "{count} terms");
        }
    }
}
