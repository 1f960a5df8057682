//! Eight elements of BN254's base field side by side: five registers of eight limbs of 52 bits.
//!
//! An element is kept as the integer of arkworks' Montgomery form, `a · 2^256 mod p`, only cut into
//! other limbs; but [`mul`] divides by `2^260`. Whoever multiplies accounts for the `2^-4`
//! (`addition` does, at no cost), so that points need no conversion.
//!
//! Integers are reduced lazily. Bounds are given as multiples of p; `2^256 > 5.29 p` and
//! `2^260 > 84.6 p`.
#![allow(clippy::needless_range_loop, reason = "an index runs over several arrays at once")]

mod wide;

pub use wide::{product, square};

use crate::lanes::{load, store};
use crate::point::element;
use ark_bn254::Fq;
use ark_ff::{AdditiveGroup, PrimeField};
use std::arch::x86_64::*;

const MASK: u64 = (1 << 52) - 1;
const P: [u64; 5] = limbs(Fq::MODULUS.0);
/// `-1/p mod 2^52`.
const NEGATED_INVERSE: u64 = {
    let mut inverse = 1u64;
    let mut i = 0;
    while i < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(P[0].wrapping_mul(inverse)));
        i += 1;
    }
    inverse.wrapping_neg() & MASK
};
/// `QUOTIENTS[i] = ⌊i · 2^253 / p⌋`: how often p certainly fits into an integer whose bits from
/// 253 on are i.
const QUOTIENTS: [u64; 8] = [0, 0, 1, 1, 2, 3, 3, 4];

const fn limbs(w: [u64; 4]) -> [u64; 5] {
    [
        w[0] & MASK,
        (w[0] >> 52 | w[1] << 12) & MASK,
        (w[1] >> 40 | w[2] << 24) & MASK,
        (w[2] >> 28 | w[3] << 36) & MASK,
        w[3] >> 16,
    ]
}

/// Eight integers in limbs of 52 bits: each limb below `2^52`, none negative.
#[derive(Clone, Copy)]
pub struct Elements([__m512i; 5]);

/// Eight sums of few [`Elements`]: limbs are signed and may exceed 52 bits by a few.
#[derive(Clone, Copy)]
pub struct Loose([__m512i; 5]);

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn all(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

/// `a·b / 2^260`, for `a·b <= 16 p²`; the result is below `1.2 p`.
///
/// `(a·b + m·p) / 2^260 < a·b / 2^260 + p`, where m makes the sum divisible. The whole product comes
/// first: then only the reduction is a chain of dependent instructions, and a short one.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn mul(a: &Elements, b: &Elements) -> Elements {
    let zero = _mm512_setzero_si512();
    let mut sums = [zero; 10];
    for i in 0..5 {
        for j in 0..5 {
            sums[i + j] = _mm512_madd52lo_epu64(sums[i + j], a.0[j], b.0[i]);
            sums[i + j + 1] = _mm512_madd52hi_epu64(sums[i + j + 1], a.0[j], b.0[i]);
        }
    }
    for i in 0..5 {
        let m = _mm512_madd52lo_epu64(zero, sums[i], all(NEGATED_INVERSE));
        for j in 0..5 {
            sums[i + j] = _mm512_madd52lo_epu64(sums[i + j], m, all(P[j]));
            sums[i + j + 1] = _mm512_madd52hi_epu64(sums[i + j + 1], m, all(P[j]));
        }
        sums[i + 1] = _mm512_add_epi64(sums[i + 1], _mm512_srli_epi64::<52>(sums[i]));
    }
    Loose([sums[5], sums[6], sums[7], sums[8], sums[9]]).carry()
}

impl Loose {
    /// Limb by limb.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn add(self, other: &Self) -> Self {
        let mut sum = self.0;
        for j in 0..5 {
            sum[j] = _mm512_add_epi64(sum[j], other.0[j]);
        }
        Self(sum)
    }
    /// Limb by limb.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn sub(self, other: &Self) -> Self {
        let mut difference = self.0;
        for j in 0..5 {
            difference[j] = _mm512_sub_epi64(difference[j], other.0[j]);
        }
        Self(difference)
    }
    /// Plus `N·p`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn plus_p<const N: u64>(self) -> Self {
        let mut sum = self.0;
        for j in 0..5 {
            sum[j] = _mm512_add_epi64(sum[j], all(N * P[j]));
        }
        Self(sum)
    }
    /// `p - a` in the lanes of `mask`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn negate(self, mask: __mmask8) -> Self {
        let mut limbs = self.0;
        for j in 0..5 {
            limbs[j] = _mm512_mask_sub_epi64(limbs[j], mask, all(P[j]), limbs[j]);
        }
        Self(limbs)
    }
    /// Four times.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn quadruple(self) -> Self {
        let mut limbs = self.0;
        for limb in &mut limbs {
            *limb = _mm512_slli_epi64::<2>(*limb);
        }
        Self(limbs)
    }
    /// The same integer in proper limbs. It must not be negative.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn carry(self) -> Elements {
        let mut limbs = self.0;
        for j in 0..4 {
            limbs[j + 1] = _mm512_add_epi64(limbs[j + 1], _mm512_srai_epi64::<52>(limbs[j]));
            limbs[j] = _mm512_and_si512(limbs[j], all(MASK));
        }
        Elements(limbs)
    }
    /// An integer from `0.1 p` to `5.2 p` reduced below `1.646 p`.
    ///
    /// The bits from 253 on are taken before carries, which can make them wrong only for integers
    /// within a few `2^208` of a multiple of `2^253`; the table leaves more room than that.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn reduce(self) -> Elements {
        let index = _mm512_srli_epi64::<45>(self.0[4]);
        let mut limbs = self.0;
        for j in 0..5 {
            let multiples = const_multiples(P[j]);
            let multiple = _mm512_permutexvar_epi64(index, load(&multiples));
            limbs[j] = _mm512_sub_epi64(limbs[j], multiple);
        }
        Self(limbs).carry()
    }
}

#[inline]
const fn const_multiples(limb: u64) -> [u64; 8] {
    let mut multiples = QUOTIENTS;
    let mut i = 0;
    while i < 8 {
        multiples[i] *= limb;
        i += 1;
    }
    multiples
}

impl Elements {
    /// The integer 1 in all lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn ones() -> Self {
        let zero = _mm512_setzero_si512();
        Self([all(1), zero, zero, zero, zero])
    }
    /// The integer 0 in all lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn zeros() -> Self {
        Self([_mm512_setzero_si512(); 5])
    }
    /// For sums.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn loose(&self) -> Loose {
        Loose(self.0)
    }
    /// Lanes whose integer may be p, 2p or 3p: all that are, and hardly any other.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn may_be_multiple_of_p(&self) -> __mmask8 {
        _mm512_cmpeq_epi64_mask(self.0[0], all(P[0]))
            | _mm512_cmpeq_epi64_mask(self.0[0], all((2 * P[0]) & MASK))
            | _mm512_cmpeq_epi64_mask(self.0[0], all((3 * P[0]) & MASK))
    }
    /// Lanes whose integer may be zero: all that are, and hardly any other.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn may_be_zero(&self) -> __mmask8 {
        _mm512_testn_epi64_mask(self.0[0], self.0[0])
    }
    /// From four registers of words.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn from_words(w: [__m512i; 4]) -> Self {
        let mask = all(MASK);
        let middle1 = _mm512_or_si512(_mm512_srli_epi64::<52>(w[0]), _mm512_slli_epi64::<12>(w[1]));
        let middle2 = _mm512_or_si512(_mm512_srli_epi64::<40>(w[1]), _mm512_slli_epi64::<24>(w[2]));
        let middle3 = _mm512_or_si512(_mm512_srli_epi64::<28>(w[2]), _mm512_slli_epi64::<36>(w[3]));
        Self([
            _mm512_and_si512(w[0], mask),
            _mm512_and_si512(middle1, mask),
            _mm512_and_si512(middle2, mask),
            _mm512_and_si512(middle3, mask),
            _mm512_srli_epi64::<16>(w[3]),
        ])
    }
    /// Four registers of words; the integers must be below `2^256`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn to_words(self) -> [__m512i; 4] {
        let l = self.0;
        [
            _mm512_or_si512(l[0], _mm512_slli_epi64::<52>(l[1])),
            _mm512_or_si512(_mm512_srli_epi64::<12>(l[1]), _mm512_slli_epi64::<40>(l[2])),
            _mm512_or_si512(_mm512_srli_epi64::<24>(l[2]), _mm512_slli_epi64::<28>(l[3])),
            _mm512_or_si512(_mm512_srli_epi64::<36>(l[3]), _mm512_slli_epi64::<16>(l[4])),
        ]
    }
    /// The integers of eight elements' Montgomery forms.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn pack(elements: &[Fq; 8]) -> Self {
        let mut words = [[0; 8]; 4];
        for (lane, element) in elements.iter().enumerate() {
            for (row, word) in words.iter_mut().zip(element.0.0) {
                row[lane] = word;
            }
        }
        Self::from_words([load(&words[0]), load(&words[1]), load(&words[2]), load(&words[3])])
    }
    /// The elements whose Montgomery forms are congruent to the integers, which must be below
    /// `2^256`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn unpack(&self) -> [Fq; 8] {
        let mut words = [[0; 8]; 4];
        for (row, register) in words.iter_mut().zip(self.to_words()) {
            store(row, register);
        }
        let mut elements = [Fq::ZERO; 8];
        for (lane, out) in elements.iter_mut().enumerate() {
            *out = element([words[0][lane], words[1][lane], words[2][lane], words[3][lane]]);
        }
        elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Lanes;
    use ark_ff::{BigInt, BigInteger, Field, UniformRand};

    /// Elements whose Montgomery forms are the extreme integers, and random ones.
    fn samples() -> Vec<Fq> {
        let mut rng = rand::thread_rng();
        let mut integers: Vec<BigInt<4>> = vec![BigInt::from(0u64), BigInt::from(1u64)];
        for bits in [51, 52, 53, 103, 104, 155, 156, 208, 252, 253] {
            let mut power = BigInt::from(1u64);
            power <<= bits;
            integers.push(power);
            power.sub_with_borrow(&BigInt::from(1u64));
            integers.push(power);
        }
        for below in 1..4u64 {
            let mut integer = Fq::MODULUS;
            integer.sub_with_borrow(&BigInt::from(below));
            integers.push(integer);
        }
        let mut samples: Vec<Fq> = integers.into_iter().map(Fq::new_unchecked).collect();
        samples.extend([Fq::ONE, -Fq::ONE]);
        samples.extend((0..47).map(|_| Fq::rand(&mut rng)));
        samples
    }

    /// Calls `f` with eights such that every sample meets every other.
    fn pairs(mut f: impl FnMut([Fq; 8], [Fq; 8])) {
        let samples = samples();
        let count = samples.len();
        for shift in 0..count {
            for first in (0..count).step_by(8) {
                let left = std::array::from_fn(|lane| samples[(first + lane) % count]);
                let right = std::array::from_fn(|lane| samples[(first + lane + shift) % count]);
                f(left, right);
            }
        }
    }

    fn on_lanes(f: unsafe fn()) {
        match Lanes::detect() {
            Some(lanes) => lanes.run(f),
            None => println!("not run: this processor has no AVX-512 IFMA"),
        }
    }

    #[test]
    fn products_of_loose_operands_are_those_of_arkworks_and_stay_small() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            let sixteenth = Fq::from(16u64).inverse().expect("16 is not 0");
            pairs(|a, b| {
                let expected: [Fq; 8] = std::array::from_fn(|i| a[i] * b[i] * sixteenth);
                let (x, y) = (Elements::pack(&a), Elements::pack(&b));
                assert_eq!(mul(&x, &y).unpack(), expected);
                let squares = a.map(|a| a * a * sixteenth);
                assert_eq!(square(&x).reduce().carry().unpack(), squares);
                let differences = std::array::from_fn(|i| expected[i] - squares[i]);
                let wide = super::product(&x, &y).sub(&square(&x)).reduce().plus_p::<1>();
                assert_eq!(wide.carry().unpack(), differences);
                // The largest operands that `addition` multiplies: 14.6 p by 1.1 p.
                let large = x.loose().plus_p::<13>().carry();
                let product = mul(&large, &y);
                assert_eq!(super::product(&large, &y).reduce().carry().unpack(), expected);
                assert_eq!(product.unpack(), expected);
                // Below 1.2 p: 6/5 p minus the integer is not negative.
                let limb = |limbs: [__m512i; 5], j: usize| {
                    let mut words = [0; 8];
                    store(&mut words, limbs[j]);
                    words
                };
                for j in 0..5 {
                    assert!(limb(product.0, j).iter().all(|limb| *limb <= MASK), "limb {j}");
                }
                let top = limb(product.0, 4);
                assert!(top.iter().all(|limb| *limb <= P[4] + P[4] / 5), "below 1.2 p");
            });
        }
        on_lanes(test);
    }

    #[test]
    fn sums_differences_and_opposites_are_those_of_arkworks() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            pairs(|a, b| {
                let (x, y) = (Elements::pack(&a).loose(), Elements::pack(&b).loose());
                let each = |f: fn(Fq, Fq) -> Fq| std::array::from_fn(|i| f(a[i], b[i]));
                assert_eq!(x.add(&y).carry().unpack(), each(|a, b| a + b));
                assert_eq!(x.sub(&y).plus_p::<1>().carry().unpack(), each(|a, b| a - b));
                let expected = std::array::from_fn(|i| if i % 2 == 0 { a[i] } else { -a[i] });
                assert_eq!(x.negate(0b1010_1010).carry().unpack(), expected);
                let fours = x.quadruple().carry();
                assert_eq!(
                    fours.loose().plus_p::<1>().reduce().unpack(),
                    a.map(|a| a.double().double())
                );
            });
        }
        on_lanes(test);
    }

    #[test]
    fn reduction_keeps_the_element_and_its_bound() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            pairs(|a, b| {
                // From p to 5 p, with limbs that borrow and carry.
                let (x, y) = (Elements::pack(&a).loose(), Elements::pack(&b).loose());
                for (loose, expected) in [
                    (x.plus_p::<1>(), a),
                    (x.plus_p::<4>(), a),
                    (x.sub(&y).plus_p::<2>(), std::array::from_fn(|i| a[i] - b[i])),
                    (x.sub(&y).sub(&y).plus_p::<4>(), std::array::from_fn(|i| a[i] - b[i] - b[i])),
                ] {
                    let reduced = loose.reduce();
                    assert_eq!(reduced.unpack(), expected);
                    let mut top = [0; 8];
                    store(&mut top, reduced.0[4]);
                    assert!(top.iter().all(|top| *top < P[4] + P[4] / 3 * 2), "below 5/3 p");
                }
            });
        }
        on_lanes(test);
    }

    #[test]
    fn multiples_of_p_are_noticed() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            let zero = Elements::pack(&[Fq::ZERO; 8]).loose();
            let mixed = |lane: usize| if lane < 3 { Fq::ZERO } else { Fq::ONE };
            let mixed = Elements::pack(&std::array::from_fn(mixed));
            for multiple in [zero.plus_p::<1>(), zero.plus_p::<2>(), zero.plus_p::<3>()] {
                assert_eq!(multiple.carry().may_be_multiple_of_p(), 0xff);
                assert_eq!(multiple.add(&mixed.loose()).carry().may_be_multiple_of_p(), 7);
            }
            assert_eq!(mixed.may_be_zero(), 7);
        }
        on_lanes(test);
    }
}
