//! Eight elements of one of BN254's fields side by side: five registers of eight limbs of 52 bits.
//!
//! An element is kept as the integer of arkworks' Montgomery form, `a · 2^256 mod p`, only cut into
//! other limbs; but [`mul`] divides by `2^260`. Whoever multiplies accounts for the `2^-4`
//! (`addition` does, at no cost), so that points need no conversion.
//!
//! Integers are reduced lazily. Bounds are given as multiples of p, the field's modulus; both moduli
//! of BN254 share their first 126 bits, so `2^256 > 5.29 p` and `2^260 > 84.6 p` for either.
#![allow(clippy::needless_range_loop, reason = "an index runs over several arrays at once")]

mod wide;

pub use wide::{product, square};

use crate::lanes::{load, store};
pub use crate::modulus::{MASK, Modulus};
use crate::point::element;
use ark_bn254::Fq;
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// `QUOTIENTS[i] = ⌊i · 2^253 / p⌋`: how often p certainly fits into an integer whose bits from
/// 253 on are i.
const QUOTIENTS: [u64; 8] = [0, 0, 1, 1, 2, 3, 3, 4];

/// Eight integers in limbs of 52 bits: each limb below `2^52`, none negative.
#[derive(Clone, Copy)]
pub struct Elements<M = Fq>(pub(crate) [__m512i; 5], PhantomData<M>);

/// Eight sums of few [`Elements`]: limbs are signed and may exceed 52 bits by a few.
#[derive(Clone, Copy)]
pub struct Loose<M = Fq>(pub(crate) [__m512i; 5], PhantomData<M>);

/// The same word in all lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn all(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

/// `a·b / 2^260`, for `a·b <= 16 p²`; the result is below `1.2 p`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn mul<M: Modulus>(a: &Elements<M>, b: &Elements<M>) -> Elements<M> {
    let [product] = products([a], [b]);
    product.carry()
}

/// K products `a·b / 2^260`, each below `a·b / 2^260 + p`, in limbs below `2^57`.
///
/// A product is `(a·b + m·p) / 2^260`, where m makes the sum divisible. `a·b` comes first: then only
/// the reduction is a chain of dependent instructions, and a short one. Two products that do not
/// depend on each other hide it behind each other.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn products<M: Modulus, const K: usize>(
    a: [&Elements<M>; K],
    b: [&Elements<M>; K],
) -> [Loose<M>; K] {
    let zero = _mm512_setzero_si512();
    let mut sums = [[zero; 10]; K];
    for i in 0..5 {
        for j in 0..5 {
            for (sums, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                sums[i + j] = _mm512_madd52lo_epu64(sums[i + j], a.0[j], b.0[i]);
                sums[i + j + 1] = _mm512_madd52hi_epu64(sums[i + j + 1], a.0[j], b.0[i]);
            }
        }
    }
    for i in 0..5 {
        let m = sums.map(|sums| _mm512_madd52lo_epu64(zero, sums[i], all(M::NEGATED_INVERSE)));
        for j in 0..5 {
            for (sums, m) in sums.iter_mut().zip(m) {
                sums[i + j] = _mm512_madd52lo_epu64(sums[i + j], m, all(M::P[j]));
                sums[i + j + 1] = _mm512_madd52hi_epu64(sums[i + j + 1], m, all(M::P[j]));
            }
        }
        for sums in &mut sums {
            sums[i + 1] = _mm512_add_epi64(sums[i + 1], _mm512_srli_epi64::<52>(sums[i]));
        }
    }
    sums.map(|sums| Loose::new([sums[5], sums[6], sums[7], sums[8], sums[9]]))
}

impl<M: Modulus> Loose<M> {
    /// From limbs.
    #[inline]
    pub fn new(limbs: [__m512i; 5]) -> Self {
        Self(limbs, PhantomData)
    }
    /// Limb by limb.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn add(self, other: &Self) -> Self {
        let mut sum = self.0;
        for j in 0..5 {
            sum[j] = _mm512_add_epi64(sum[j], other.0[j]);
        }
        Self::new(sum)
    }
    /// Limb by limb.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn sub(self, other: &Self) -> Self {
        let mut difference = self.0;
        for j in 0..5 {
            difference[j] = _mm512_sub_epi64(difference[j], other.0[j]);
        }
        Self::new(difference)
    }
    /// Plus `N·p`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn plus_p<const N: u64>(self) -> Self {
        let mut sum = self.0;
        for j in 0..5 {
            sum[j] = _mm512_add_epi64(sum[j], all(N * M::P[j]));
        }
        Self::new(sum)
    }
    /// `p - a` in the lanes of `mask`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn negate(self, mask: __mmask8) -> Self {
        let mut limbs = self.0;
        for j in 0..5 {
            limbs[j] = _mm512_mask_sub_epi64(limbs[j], mask, all(M::P[j]), limbs[j]);
        }
        Self::new(limbs)
    }
    /// Four times.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn quadruple(self) -> Self {
        let mut limbs = self.0;
        for limb in &mut limbs {
            *limb = _mm512_slli_epi64::<2>(*limb);
        }
        Self::new(limbs)
    }
    /// The same integer in proper limbs. It must not be negative.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn carry(self) -> Elements<M> {
        let mut limbs = self.0;
        for j in 0..4 {
            limbs[j + 1] = _mm512_add_epi64(limbs[j + 1], _mm512_srai_epi64::<52>(limbs[j]));
            limbs[j] = _mm512_and_si512(limbs[j], all(MASK));
        }
        Elements::new(limbs)
    }
    /// An integer from `0.1 p` to `5.2 p` reduced below `1.646 p`.
    ///
    /// The bits from 253 on are taken before carries, which can make them wrong only for integers
    /// within a few `2^208` of a multiple of `2^253`; the table leaves more room than that.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn reduce(self) -> Elements<M> {
        let index = _mm512_srli_epi64::<45>(self.0[4]);
        let mut limbs = self.0;
        for j in 0..5 {
            let multiples = const_multiples(M::P[j]);
            let multiple = _mm512_permutexvar_epi64(index, load(&multiples));
            limbs[j] = _mm512_sub_epi64(limbs[j], multiple);
        }
        Self::new(limbs).carry()
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

impl<M: Modulus> Elements<M> {
    /// From proper limbs.
    #[inline]
    pub fn new(limbs: [__m512i; 5]) -> Self {
        Self(limbs, PhantomData)
    }
    /// The integer 1 in all lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn ones() -> Self {
        let zero = _mm512_setzero_si512();
        Self::new([all(1), zero, zero, zero, zero])
    }
    /// The integer 0 in all lanes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn zeros() -> Self {
        Self::new([_mm512_setzero_si512(); 5])
    }
    /// For sums.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn loose(&self) -> Loose<M> {
        Loose::new(self.0)
    }
    /// Lanes whose integer may be p, 2p or 3p: all that are, and hardly any other.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn may_be_multiple_of_p(&self) -> __mmask8 {
        _mm512_cmpeq_epi64_mask(self.0[0], all(M::P[0]))
            | _mm512_cmpeq_epi64_mask(self.0[0], all((2 * M::P[0]) & MASK))
            | _mm512_cmpeq_epi64_mask(self.0[0], all((3 * M::P[0]) & MASK))
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
        Self::new([
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
    pub fn pack(elements: &[M; 8]) -> Self {
        let mut words = [[0; 8]; 4];
        for (lane, element) in elements.iter().enumerate() {
            for (row, word) in words.iter_mut().zip(*element.words()) {
                row[lane] = word;
            }
        }
        Self::from_words([load(&words[0]), load(&words[1]), load(&words[2]), load(&words[3])])
    }
    /// The elements whose Montgomery forms are congruent to the integers, which must be below
    /// `2^256`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn unpack(&self) -> [M; 8] {
        let mut words = [[0; 8]; 4];
        for (row, register) in words.iter_mut().zip(self.to_words()) {
            store(row, register);
        }
        let mut elements = [M::ZERO; 8];
        for (lane, out) in elements.iter_mut().enumerate() {
            *out = element([words[0][lane], words[1][lane], words[2][lane], words[3][lane]]);
        }
        elements
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::lanes::Lanes;
    use ark_bn254::Fr;
    use ark_ff::{BigInt, BigInteger};

    /// Elements whose Montgomery forms are the extreme integers, and random ones.
    pub fn samples<M: Modulus>() -> Vec<M> {
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
            let mut integer = M::MODULUS;
            integer.sub_with_borrow(&BigInt::from(below));
            integers.push(integer);
        }
        let mut samples: Vec<M> = integers.into_iter().map(|integer| element(integer.0)).collect();
        samples.extend([M::ONE, -M::ONE]);
        samples.extend((0..47).map(|_| M::rand(&mut rng)));
        samples
    }

    /// Calls `f` with eights such that every sample meets every other.
    fn pairs<M: Modulus>(mut f: impl FnMut([M; 8], [M; 8])) {
        let samples = samples::<M>();
        let count = samples.len();
        for shift in 0..count {
            for first in (0..count).step_by(8) {
                let left = std::array::from_fn(|lane| samples[(first + lane) % count]);
                let right = std::array::from_fn(|lane| samples[(first + lane + shift) % count]);
                f(left, right);
            }
        }
    }

    pub fn on_lanes(f: unsafe fn()) {
        match Lanes::detect() {
            Some(lanes) => lanes.run(f),
            None => println!("not run: this processor has no AVX-512 IFMA"),
        }
    }

    #[test]
    fn products_of_loose_operands_are_those_of_arkworks_and_stay_small() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test<M: Modulus>() {
            let sixteenth = M::from(16u64).inverse().expect("16 is not 0");
            pairs::<M>(|a, b| {
                let expected: [M; 8] = std::array::from_fn(|i| a[i] * b[i] * sixteenth);
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
                assert!(top.iter().all(|limb| *limb <= M::P[4] + M::P[4] / 5), "below 1.2 p");
            });
        }
        on_lanes(test::<Fq>);
        on_lanes(test::<Fr>);
    }

    #[test]
    fn sums_differences_and_opposites_are_those_of_arkworks() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test<M: Modulus>() {
            pairs::<M>(|a, b| {
                let (x, y) = (Elements::pack(&a).loose(), Elements::pack(&b).loose());
                let each = |f: fn(M, M) -> M| std::array::from_fn(|i| f(a[i], b[i]));
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
        on_lanes(test::<Fq>);
        on_lanes(test::<Fr>);
    }

    #[test]
    fn reduction_keeps_the_element_and_its_bound() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test<M: Modulus>() {
            pairs::<M>(|a, b| {
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
                    assert!(top.iter().all(|top| *top < M::P[4] + M::P[4] / 3 * 2), "below 5/3 p");
                }
            });
        }
        on_lanes(test::<Fq>);
        on_lanes(test::<Fr>);
    }

    #[test]
    fn multiples_of_p_are_noticed() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test<M: Modulus>() {
            let zero = Elements::pack(&[M::ZERO; 8]).loose();
            let mixed = |lane: usize| if lane < 3 { M::ZERO } else { M::ONE };
            let mixed = Elements::pack(&std::array::from_fn(mixed));
            for multiple in [zero.plus_p::<1>(), zero.plus_p::<2>(), zero.plus_p::<3>()] {
                assert_eq!(multiple.carry().may_be_multiple_of_p(), 0xff);
                assert_eq!(multiple.add(&mixed.loose()).carry().may_be_multiple_of_p(), 7);
            }
            assert_eq!(mixed.may_be_zero(), 7);
        }
        on_lanes(test::<Fq>);
        on_lanes(test::<Fr>);
    }
}
