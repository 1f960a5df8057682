//! One element of BN254's base field in four words, or one of its quadratic extension, without
//! branches that depend on it, which cost more than the arithmetic.
//!
//! Integers are arkworks' Montgomery forms, but only reduced below `2 p`; `2^256 > 5.29 p`.

#![allow(clippy::needless_range_loop, reason = "an index runs over several arrays at once")]

use crate::point::element;
use ark_bn254::{Fq, FqConfig};
use ark_ff::{MontConfig, PrimeField};

const P: [u64; 4] = Fq::MODULUS.0;
/// `2 p`.
const P2: [u64; 4] =
    [P[0] << 1, P[1] << 1 | P[0] >> 63, P[2] << 1 | P[1] >> 63, P[3] << 1 | P[2] >> 63];
/// `-1/p mod 2^64`.
const NEGATED_INVERSE: u64 = <FqConfig as MontConfig<4>>::INV;

/// An integer below `2 p`.
pub type Words = [u64; 4];

/// `a·b / 2^256`: `4 p² / 2^256 + p < 2 p`, and all integers between stay below `3 p`.
#[inline(always)]
fn mul_words(a: &Words, b: &Words) -> Words {
    let mut sum = [0; 4];
    for b in b {
        let (low, mut carry) = mul_add(a[0], *b, sum[0], 0);
        let m = low.wrapping_mul(NEGATED_INVERSE);
        let (_, mut carry_p) = mul_add(m, P[0], low, 0);
        for j in 1..4 {
            let (word, next) = mul_add(a[j], *b, sum[j], carry);
            carry = next;
            (sum[j - 1], carry_p) = mul_add(m, P[j], word, carry_p);
        }
        sum[3] = carry.wrapping_add(carry_p);
    }
    sum
}

/// `a·b + c + d` as its low and its high word.
#[inline(always)]
fn mul_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    // At most (2^64 - 1)² + 2 (2^64 - 1) < 2^128.
    let product = u128::from(a).wrapping_mul(u128::from(b));
    let sum = product.wrapping_add(u128::from(c)).wrapping_add(u128::from(d));
    (sum as u64, (sum >> 64) as u64)
}

/// `a + b` modulo `2^256`.
#[inline(always)]
fn add_wrapping(a: &Words, b: &Words) -> Words {
    let (mut sum, mut carry) = ([0; 4], 0);
    for j in 0..4 {
        let wide = u128::from(a[j]).wrapping_add(u128::from(b[j])).wrapping_add(carry);
        sum[j] = wide as u64;
        carry = wide >> 64;
    }
    sum
}

/// `a - b` modulo `2^256`, and all bits set if that is not `a - b`.
#[inline(always)]
fn sub_wrapping(a: &Words, b: &Words) -> (Words, u64) {
    let (mut difference, mut borrow) = ([0; 4], false);
    for j in 0..4 {
        let (word, first) = a[j].overflowing_sub(b[j]);
        let (word, second) = word.overflowing_sub(u64::from(borrow));
        difference[j] = word;
        borrow = first | second;
    }
    (difference, u64::from(borrow).wrapping_neg())
}

#[inline(always)]
fn add_words(a: &Words, b: &Words) -> Words {
    let (reduced, below) = sub_wrapping(&add_wrapping(a, b), &P2);
    add_wrapping(&reduced, &P2.map(|word| word & below))
}

#[inline(always)]
fn sub_words(a: &Words, b: &Words) -> Words {
    let (difference, below) = sub_wrapping(a, b);
    add_wrapping(&difference, &P2.map(|word| word & below))
}

/// A coordinate: its coefficient, or both with `u² = -1`.
#[derive(Clone, Copy)]
pub struct Coordinate<const D: usize>(pub [Words; D]);

impl<const D: usize> Coordinate<D> {
    /// Divided by `2^256`; two coefficients by Karatsuba.
    #[inline(always)]
    pub fn mul(&self, other: &Self) -> Self {
        let (a, b, mut out) = (&self.0, &other.0, self.0);
        if D == 1 {
            out[0] = mul_words(&a[0], &b[0]);
            return Self(out);
        }
        let (low, high) = (mul_words(&a[0], &b[0]), mul_words(&a[1], &b[1]));
        let all = mul_words(&add_words(&a[0], &a[1]), &add_words(&b[0], &b[1]));
        out[0] = sub_words(&low, &high);
        out[1] = sub_words(&sub_words(&all, &low), &high);
        Self(out)
    }

    /// Divided by `2^256`.
    #[inline(always)]
    pub fn square(&self) -> Self {
        let (a, mut out) = (&self.0, self.0);
        if D == 1 {
            out[0] = mul_words(&a[0], &a[0]);
            return Self(out);
        }
        out[0] = mul_words(&add_words(&a[0], &a[1]), &sub_words(&a[0], &a[1]));
        out[1] = mul_words(&add_words(&a[0], &a[0]), &a[1]);
        Self(out)
    }

    /// `self - other`.
    #[inline(always)]
    pub fn sub(&self, other: &Self) -> Self {
        let mut out = self.0;
        for d in 0..D {
            out[d] = sub_words(&out[d], &other.0[d]);
        }
        Self(out)
    }

    /// `-self` if the sign is 1.
    #[inline(always)]
    pub fn signed(&self, sign: u32) -> Self {
        let mask = u64::from(sign).wrapping_neg();
        let mut out = self.0;
        for words in &mut out {
            let opposite = sub_words(&[0; 4], words);
            for j in 0..4 {
                words[j] ^= (words[j] ^ opposite[j]) & mask;
            }
        }
        Self(out)
    }

    /// Whether this may be 0: always if it is, hardly ever otherwise.
    #[inline(always)]
    pub fn may_be_zero(&self) -> bool {
        self.0.iter().all(|words| words[0] == 0 || words[0] == P[0])
    }

    /// The coefficients' elements.
    pub fn elements(&self) -> impl Iterator<Item = Fq> {
        self.0.iter().map(|words| element(*words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fq2;
    use ark_ff::{AdditiveGroup, Field, UniformRand};

    /// Extreme integers and random ones; those below `2^254` also with p added.
    fn samples() -> Vec<Words> {
        let mut samples = vec![[0; 4], [1, 0, 0, 0], [u64::MAX, 0, 0, 0], [0, 0, 0, 1 << 61]];
        samples.push(sub_wrapping(&P, &[1, 0, 0, 0]).0);
        samples.extend((0..12).map(|_| Fq::rand(&mut rand::thread_rng()).0.0));
        let above: Vec<Words> = samples.iter().map(|sample| add_wrapping(sample, &P)).collect();
        samples.extend(above);
        samples
    }

    #[test]
    fn coefficients_behave_as_those_of_arkworks_and_stay_below_twice_the_modulus() {
        let same = |result: Coordinate<1>, expected: Fq| {
            assert_eq!(result.elements().next(), Some(expected));
            assert_eq!(sub_wrapping(&result.0[0], &P2).1, u64::MAX, "below 2 p");
        };
        for a in samples() {
            let (x, p) = (Coordinate([a]), element::<Fq>(a));
            same(x.square(), p.square());
            same(x.signed(1), -p);
            same(x.signed(0), p);
            assert!(x.may_be_zero() || p != Fq::ZERO);
            for b in samples() {
                let (y, q) = (Coordinate([b]), element::<Fq>(b));
                same(x.mul(&y), p * q);
                same(x.sub(&y), p - q);
            }
        }
    }

    #[test]
    fn pairs_of_coefficients_behave_as_those_of_arkworks() {
        let samples = samples();
        let n = samples.len();
        let pair = |i: usize| Coordinate([samples[i % n], samples[i * i / n % n]]);
        let value = |x: &Coordinate<2>| Fq2::from_base_prime_field_elems(x.elements());
        let value = |x: &Coordinate<2>| value(x).expect("two coefficients");
        for i in 0..n * n {
            let (x, y) = (pair(i), pair(3 * i + 1));
            assert_eq!(value(&x.mul(&y)), value(&x) * value(&y));
            assert_eq!(value(&x.sub(&y)), value(&x) - value(&y));
            assert_eq!(value(&x.square()), value(&x).square());
            assert_eq!(value(&x.signed(1)), -value(&x));
        }
    }
}
