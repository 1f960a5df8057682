//! The door to the vector code, and its memory accesses: the only unsafe code of this crate.
//!
//! A [`Lanes`] exists only on a processor that has AVX-512 IFMA, so its methods may call functions
//! that need it. Inside such functions the intrinsics are safe, except those that take pointers;
//! these are wrapped here and take references.
#![allow(unsafe_code, reason = "intrinsics that take pointers, and calls that need AVX-512")]

use crate::addition::{self, Scratch};
use crate::elementwise;
use crate::kernel::{Kernel, Sum};
use crate::passes::{self, Coset, Order, Scale};
use crate::point::{Prepared, PreparedG1, PreparedG2};
use ark_bn254::Fr;
use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm256_storeu_si256,
    _mm512_castsi256_si512, _mm512_castsi512_si256, _mm512_extracti64x4_epi64, _mm512_inserti64x4,
    _mm512_loadu_si512, _mm512_storeu_si512,
};

/// Shows that this processor has AVX-512 IFMA.
#[derive(Clone, Copy)]
pub struct Lanes(());

impl Lanes {
    /// `None` on a processor without it.
    pub fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        has.then_some(Self(()))
    }

    /// Runs a test's function that enables the same features.
    #[cfg(test)]
    pub fn run<T>(self, f: unsafe fn() -> T) -> T {
        // SAFETY: `detect` saw both features; the callers pass functions that need nothing else.
        unsafe { f() }
    }
}

impl Kernel<PreparedG1> for Lanes {
    type Scratch = Scratch<PreparedG1, 1>;

    fn add_all(
        self,
        from: &[PreparedG1],
        into: &mut [PreparedG1],
        sums: &[Sum],
        scratch: &mut Self::Scratch,
    ) {
        // SAFETY: `detect` saw both features that `addition::add_all` enables.
        unsafe { addition::add_all(from, into, sums, scratch) }
    }
}

impl Kernel<PreparedG2> for Lanes {
    type Scratch = Scratch<PreparedG2, 2>;

    fn add_all(
        self,
        from: &[PreparedG2],
        into: &mut [PreparedG2],
        sums: &[Sum],
        scratch: &mut Self::Scratch,
    ) {
        // SAFETY: `detect` saw both features that `addition::add_all` enables.
        unsafe { addition::add_all(from, into, sums, scratch) }
    }
}

impl Lanes {
    /// See [`elementwise::invert`].
    pub fn invert(self, elements: &mut [[Fr; 16]], scratch: &mut Vec<elementwise::Step>) {
        // SAFETY: `detect` saw both features that the function enables.
        unsafe { elementwise::invert(elements, scratch) }
    }

    /// See [`elementwise::multiply_steps`].
    pub fn multiply(self, left: &mut [[Fr; 16]], right: &[[Fr; 16]]) {
        // SAFETY: `detect` saw both features that the function enables.
        unsafe { elementwise::multiply_steps(left, right) }
    }

    /// See [`passes::columns_first`].
    pub fn columns_first(
        self,
        tile: &mut [&mut [Fr]],
        order: &Order,
        scratch: &mut passes::Scratch,
    ) {
        // SAFETY: `detect` saw both features that the function enables.
        unsafe { passes::columns_first(tile, order, scratch) }
    }

    /// See [`passes::rows_last`].
    pub fn rows_last(
        self,
        rows: &[Fr],
        out: &mut [&mut [Fr]],
        order: &Order,
        group: usize,
        scale: Option<&Scale>,
        scratch: &mut passes::Scratch,
    ) {
        // SAFETY: `detect` saw both features that the function enables.
        unsafe { passes::rows_last(rows, out, order, group, scale, scratch) }
    }

    /// See [`passes::rows_between`].
    pub fn rows_between(
        self,
        rows: [&mut [Fr]; 3],
        inverse: &Order,
        coset: &Coset,
        group: usize,
        scratch: &mut passes::Scratch,
    ) {
        // SAFETY: `detect` saw both features that the function enables.
        unsafe { passes::rows_between(rows, inverse, coset, group, scratch) }
    }

    /// See [`passes::columns_between`].
    pub fn columns_between(
        self,
        tile: &mut [&mut [Fr]],
        others: [&[Fr]; 2],
        tables: (&Order, &Coset),
        first: usize,
        scratch: &mut passes::Scratch,
    ) {
        // SAFETY: `detect` saw both features that the function enables.
        unsafe { passes::columns_between(tile, others, tables, first, scratch) }
    }
}

/// Four words in each half.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn load_two(low: &[u64; 4], high: &[u64; 4]) -> __m512i {
    // SAFETY: the references cover the 32 bytes read each; the instructions need no alignment.
    let (low, high) = unsafe {
        (_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast()))
    };
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

/// Four words of each half.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn store_two(low: &mut [u64; 4], high: &mut [u64; 4], vector: __m512i) {
    // SAFETY: the references cover the 32 bytes written each; the instructions need no alignment.
    unsafe {
        _mm256_storeu_si256(low.as_mut_ptr().cast(), _mm512_castsi512_si256(vector));
        _mm256_storeu_si256(high.as_mut_ptr().cast(), _mm512_extracti64x4_epi64::<1>(vector));
    }
}

/// Eight words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: the reference covers the 64 bytes read; the instruction needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Eight words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn store(words: &mut [u64; 8], vector: __m512i) {
    // SAFETY: the reference covers the 64 bytes written; the instruction needs no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

/// Asks for a point's cache lines ahead of their use.
#[inline]
pub fn prefetch<P: Prepared>(point: &P) {
    for line in point.lines() {
        // SAFETY: a prefetch reads nothing that the program sees, and the reference is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
}
