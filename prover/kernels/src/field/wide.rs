//! Products before their reduction, so that sums of products are reduced once.

use super::{Elements, Loose, MASK, Modulus, all};
use ark_bn254::Fq;
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// Eight sums of few products: limbs are signed and stay below `2^58`.
#[derive(Clone, Copy)]
pub struct Wide<M = Fq>([__m512i; 10], PhantomData<M>);

/// `a·b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn product<M: Modulus>(a: &Elements<M>, b: &Elements<M>) -> Wide<M> {
    let mut sums = [_mm512_setzero_si512(); 10];
    for i in 0..5 {
        for j in 0..5 {
            sums[i + j] = _mm512_madd52lo_epu64(sums[i + j], a.0[j], b.0[i]);
            sums[i + j + 1] = _mm512_madd52hi_epu64(sums[i + j + 1], a.0[j], b.0[i]);
        }
    }
    Wide(sums, PhantomData)
}

/// `a²`: mixed products are computed once.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn square<M: Modulus>(a: &Elements<M>) -> Wide<M> {
    let mut sums = [_mm512_setzero_si512(); 10];
    for i in 0..5 {
        for j in i + 1..5 {
            sums[i + j] = _mm512_madd52lo_epu64(sums[i + j], a.0[j], a.0[i]);
            sums[i + j + 1] = _mm512_madd52hi_epu64(sums[i + j + 1], a.0[j], a.0[i]);
        }
    }
    for sum in &mut sums {
        *sum = _mm512_add_epi64(*sum, *sum);
    }
    for i in 0..5 {
        sums[2 * i] = _mm512_madd52lo_epu64(sums[2 * i], a.0[i], a.0[i]);
        sums[2 * i + 1] = _mm512_madd52hi_epu64(sums[2 * i + 1], a.0[i], a.0[i]);
    }
    Wide(sums, PhantomData)
}

impl<M: Modulus> Wide<M> {
    /// Limb by limb.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn sub(self, other: &Self) -> Self {
        let mut difference = self.0;
        for j in 0..10 {
            difference[j] = _mm512_sub_epi64(difference[j], other.0[j]);
        }
        Self(difference, PhantomData)
    }

    /// Divided by `2^260`, as by [`super::mul`]: from `w / 2^260` to `w / 2^260 + p`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub fn reduce(self) -> Loose<M> {
        let mut sums = self.0;
        for i in 0..5 {
            let m = _mm512_madd52lo_epu64(_mm512_setzero_si512(), sums[i], all(M::NEGATED_INVERSE));
            // The lowest limb becomes a multiple of 2^52: it is rounded up, not computed.
            let carry = _mm512_srai_epi64::<52>(_mm512_add_epi64(sums[i], all(MASK)));
            sums[i + 1] = _mm512_add_epi64(sums[i + 1], carry);
            for j in 1..5 {
                sums[i + j] = _mm512_madd52lo_epu64(sums[i + j], m, all(M::P[j]));
            }
            for j in 0..5 {
                sums[i + j + 1] = _mm512_madd52hi_epu64(sums[i + j + 1], m, all(M::P[j]));
            }
        }
        Loose::new([sums[5], sums[6], sums[7], sums[8], sums[9]])
    }
}
