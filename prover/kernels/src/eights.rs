//! Eight elements between arkworks' memory and vectors, and reductions of what FFTs add up.

use crate::field::{Elements, Loose, MASK, Modulus, all};
use crate::lanes::{load, load_two, store, store_two};
use crate::modulus;
use std::arch::x86_64::*;

/// Eight elements with the integers of their Montgomery forms. They may exceed p, but are below
/// `2^256`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn gather<M: Modulus>(from: [&M; 8]) -> Elements<M> {
    let word = |lane: usize| from[lane].words();
    let pairs = [
        load_two(word(0), word(4)),
        load_two(word(1), word(5)),
        load_two(word(2), word(6)),
        load_two(word(3), word(7)),
    ];
    Elements::from_words(transpose(pairs))
}

/// Writes what [`gather`] reads.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn scatter<M: Modulus>(into: [&mut M; 8], elements: Elements<M>) {
    let [pair04, pair15, pair26, pair37] = transpose(elements.to_words());
    let [e0, e1, e2, e3, e4, e5, e6, e7] = into;
    store_two(e0.words_mut(), e4.words_mut(), pair04);
    store_two(e1.words_mut(), e5.words_mut(), pair15);
    store_two(e2.words_mut(), e6.words_mut(), pair26);
    store_two(e3.words_mut(), e7.words_mut(), pair37);
}

/// Elements 0 and 4, 1 and 5, 2 and 6, 3 and 7 to words 0, 1, 2, 3 of all, and back.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn transpose(rows: [__m512i; 4]) -> [__m512i; 4] {
    let even = load(&[0, 1, 8, 9, 4, 5, 12, 13]);
    let odd = load(&[2, 3, 10, 11, 6, 7, 14, 15]);
    let low01 = _mm512_unpacklo_epi64(rows[0], rows[1]);
    let high01 = _mm512_unpackhi_epi64(rows[0], rows[1]);
    let low23 = _mm512_unpacklo_epi64(rows[2], rows[3]);
    let high23 = _mm512_unpackhi_epi64(rows[2], rows[3]);
    [
        _mm512_permutex2var_epi64(low01, even, low23),
        _mm512_permutex2var_epi64(high01, even, high23),
        _mm512_permutex2var_epi64(low01, odd, low23),
        _mm512_permutex2var_epi64(high01, odd, high23),
    ]
}

/// A constant, times `2^260` so that [`crate::field::mul`] multiplies by it: the same in all lanes
/// (N = 1) or one per lane (N = 8).
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Factor<const N: usize>(pub [[u64; N]; 5]);

impl<const N: usize> Factor<N> {
    /// To be overwritten.
    pub const ZERO: Self = Self([[0; N]; 5]);

    /// The constants `elements`.
    pub fn new<M: Modulus>(elements: [M; N]) -> Self {
        let mut limbs = [[0; N]; 5];
        for (lane, element) in elements.into_iter().enumerate() {
            let scaled = element * M::from(16u64);
            for (row, limb) in limbs.iter_mut().zip(modulus::limbs(*scaled.words())) {
                row[lane] = limb;
            }
        }
        Self(limbs)
    }

    /// From what a multiplication gave.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn set<M: Modulus>(&mut self, elements: &Elements<M>) {
        for (row, limb) in self.0.iter_mut().zip(elements.0) {
            if let Ok(eight) = row.as_mut_slice().try_into() {
                store(eight, limb);
            }
        }
    }

    /// For multiplications.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn get<M: Modulus>(&self) -> Elements<M> {
        let mut limbs = [_mm512_setzero_si512(); 5];
        for (limb, row) in limbs.iter_mut().zip(&self.0) {
            *limb = match row.as_slice().try_into() {
                Ok(eight) => load(eight),
                Err(_) => all(row[0]),
            };
        }
        Elements::new(limbs)
    }
}

impl<M: Modulus> Loose<M> {
    /// The element 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn zero() -> Self {
        Self::new([_mm512_setzero_si512(); 5])
    }

    /// An integer from 0 to `64 p` reduced below `1.6 p`. The last limb must not be negative.
    ///
    /// `84 · ⌊a / 2^208⌋ / 2^52` is less than `a / p` by at most 0.8 % of it, and never more
    /// than a/p because that difference exceeds what carries still add to the last limb.
    /// Subtracting is adding a multiple of `2^260 - p` and dropping all bits from 260 on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn settle(self) -> Elements<M> {
        let zero = _mm512_setzero_si512();
        let mut limbs = self.0;
        let quotient = _mm512_madd52hi_epu64(zero, limbs[4], all(84));
        let negated = const { opposite(M::P) };
        for j in 0..5 {
            limbs[j] = _mm512_madd52lo_epu64(limbs[j], quotient, all(negated[j]));
        }
        for j in 0..4 {
            limbs[j + 1] = _mm512_madd52hi_epu64(limbs[j + 1], quotient, all(negated[j]));
        }
        let mut limbs = Self::new(limbs).carry().0;
        limbs[4] = _mm512_and_si512(limbs[4], all(MASK));
        Elements::new(limbs)
    }
}

/// `2^260 - p`.
const fn opposite(p: [u64; 5]) -> [u64; 5] {
    // p is odd: the lowest limb of the complement does not overflow when 1 is added.
    [(p[0] ^ MASK) + 1, p[1] ^ MASK, p[2] ^ MASK, p[3] ^ MASK, p[4] ^ MASK]
}

impl<M: Modulus> Elements<M> {
    /// Lanes whose integer is 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn which_are_zero(&self) -> __mmask8 {
        let bits = self.0.into_iter().reduce(|a, b| _mm512_or_si512(a, b));
        bits.map_or(0, |bits| _mm512_testn_epi64_mask(bits, bits))
    }

    /// Those of `other` in the lanes of `mask`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn replaced(self, mask: __mmask8, other: &Self) -> Self {
        let mut limbs = self.0;
        for (limb, other) in limbs.iter_mut().zip(other.0) {
            *limb = _mm512_mask_blend_epi64(mask, *limb, other);
        }
        Self::new(limbs)
    }

    /// An integer below `2 p` reduced below p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn canonical(self) -> Self {
        let mut difference = self.0;
        for (limb, p) in difference.iter_mut().zip(M::P) {
            *limb = _mm512_sub_epi64(*limb, all(p));
        }
        let difference = Loose::<M>::new(difference).carry().0;
        let negative = _mm512_cmplt_epi64_mask(difference[4], _mm512_setzero_si512());
        Self::new(difference).replaced(negative, &self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::{on_lanes, samples};
    use ark_bn254::Fr;
    use ark_ff::{AdditiveGroup, Field};

    #[test]
    fn settling_and_reducing_keep_the_element_from_0_to_64_p() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            for sample in samples::<Fr>() {
                // Limbs that differ from the proper ones by large carries, either way.
                let mut carries = [all(0); 5];
                carries[1] = all(1 << 61);
                carries[2] = all((1u64 << 9).wrapping_neg());
                let carries = Loose::<Fr>::new(carries);
                let packed = Elements::pack(&[sample; 8]).loose();
                for mut loose in [packed, packed.add(&carries), packed.sub(&carries)] {
                    for multiple in 0..64 {
                        // An integer near 0 whose last limb is negative never occurs.
                        let mut last = [0; 8];
                        store(&mut last, loose.0[4]);
                        if last[0] <= MASK {
                            let settled = loose.settle();
                            assert_eq!(settled.unpack(), [sample; 8], "{multiple} p");
                            store(&mut last, settled.0[4]);
                            assert!(last[0] <= Fr::P[4] * 8 / 5, "{multiple} p");
                            let mut reduced = [Fr::ZERO; 8];
                            scatter(reduced.each_mut(), settled.canonical());
                            assert!(reduced == [sample; 8], "{multiple} p");
                        }
                        loose = loose.plus_p::<1>();
                    }
                }
            }
        }
        on_lanes(test);
    }

    #[test]
    fn integers_around_p_are_reduced() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            for sample in samples::<Fr>() {
                for loose in [
                    Elements::pack(&[sample; 8]).loose(),
                    Elements::pack(&[sample; 8]).loose().plus_p::<1>(),
                ] {
                    let mut reduced = [Fr::ONE; 8];
                    scatter(reduced.each_mut(), loose.carry().canonical());
                    assert!(reduced == [sample; 8]);
                }
            }
        }
        on_lanes(test);
    }

    #[test]
    fn what_is_scattered_was_gathered() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            for eight in samples::<Fr>().as_chunks::<8>().0 {
                let mut copy = [Fr::ZERO; 8];
                let gathered = gather(eight.each_ref());
                assert_eq!(gathered.unpack(), *eight);
                scatter(copy.each_mut(), gathered);
                assert_eq!(copy, *eight);
            }
        }
        on_lanes(test);
    }
}
