//! Scalars as signed digits: `s = Σ d_w · 2^(c·w)` with `|d_w| <= 2^(c-1)`.
//!
//! A constant with half a window in every window but the last is added to the scalar once; each
//! window's digit can then be read by itself, without a carry from the one below.

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};

/// Bits that the magnitude of a scalar can have: a scalar above `(r - 1)/2` is taken as negative.
const MAGNITUDE_BITS: u32 = Fr::MODULUS_BIT_SIZE - 1;

/// A digit; 16 bits hold those of windows up to [`Windows::BITS_MAX`].
pub type Digit = i16;

/// How many scalars have a magnitude of so many bits.
pub type Lengths = [usize; MAGNITUDE_BITS as usize + 1];

/// How scalars are cut.
#[derive(Clone, Copy)]
pub struct Windows {
    bits: u32,
    count: u32,
    /// For scalars taken as positive and as negative.
    offsets: [BigInt<4>; 2],
}

impl Windows {
    /// The widest window.
    pub const BITS_MAX: u32 = 16;

    /// Windows of c bits, 2 to [`Self::BITS_MAX`].
    pub fn new(bits: u32) -> Self {
        assert!((2..=Self::BITS_MAX).contains(&bits), "digits are kept in 16 bits");
        let count = (MAGNITUDE_BITS + 1).div_ceil(bits);
        let offset = |half: u64| {
            let mut offset = BigInt::from(0u64);
            for _ in 1..count {
                offset <<= bits;
                offset.add_with_carry(&BigInt::from(half));
            }
            offset
        };
        let half = 1 << (bits - 1);
        // A negative scalar's digits change sign: -2^(c-1) + 1 … 2^(c-1) become what fits.
        Self { bits, count, offsets: [offset(half), offset(half - 1)] }
    }

    /// The windows with the least work for scalars of which `lengths[b]` have b bits: an addition
    /// for each digit, and two for each bucket.
    pub fn for_lengths(lengths: &Lengths) -> Self {
        let work = |bits: &u32| {
            let windows = Self::new(*bits);
            let digits = |(length, count): (usize, &usize)| windows.needed(length as u32) * count;
            let longest = lengths.iter().rposition(|count| *count > 0).unwrap_or(0);
            lengths.iter().enumerate().map(digits).sum::<usize>()
                + windows.needed(longest as u32) * ((1 << bits) + WINDOW_OVERHEAD)
        };
        let bits = (2..=Self::BITS_MAX).min_by_key(work);
        Self::new(bits.expect("the range is not empty"))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Bits per window.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Buckets per window.
    pub fn buckets(&self) -> usize {
        1 << (self.bits - 1)
    }

    /// How many windows hold digits of a scalar whose magnitude has so many bits.
    pub fn needed(&self, bits: u32) -> usize {
        // From its highest bit but one on, a window may carry into the next.
        if bits == 0 { 0 } else { self.count().min(((bits + 1) / self.bits + 1) as usize) }
    }

    /// Calls `put(window, digit)` for the digits of a scalar below r that are not 0.
    pub fn split(&self, scalar: &BigInt<4>, mut put: impl FnMut(usize, Digit)) {
        let (negative, magnitude) = magnitude(scalar);
        let mut shifted = self.offsets[usize::from(negative)];
        shifted.add_with_carry(&magnitude);
        let half = (1 << (self.bits - 1)) - i32::from(negative);
        for window in 0..self.needed(magnitude.num_bits()) as u32 {
            let value = bits_at(&shifted, window * self.bits, self.bits);
            let digit = if window + 1 < self.count { value - half } else { value };
            if digit != 0 {
                let digit = if negative { -digit } else { digit };
                put(window as usize, Digit::try_from(digit).expect("a window has at most 16 bits"));
            }
        }
    }
}

/// A scalar's sign, if taken from `-(r - 1)/2` to `(r - 1)/2`, and magnitude.
pub fn magnitude(scalar: &BigInt<4>) -> (bool, BigInt<4>) {
    let mut opposite = Fr::MODULUS;
    opposite.sub_with_borrow(scalar);
    if opposite < *scalar { (true, opposite) } else { (false, *scalar) }
}

/// What a window costs beside its additions, counted in additions.
const WINDOW_OVERHEAD: usize = 4_000;

fn bits_at(integer: &BigInt<4>, from: u32, count: u32) -> i32 {
    let (word, shift) = ((from / 64) as usize, from % 64);
    let mut bits = integer.0[word] >> shift;
    if shift + count > 64 && word < 3 {
        bits |= integer.0[word + 1] << (64 - shift);
    }
    (bits & ((1 << count) - 1)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{AdditiveGroup, Field, UniformRand};

    #[test]
    fn digits_make_up_the_scalar_and_stay_in_range() {
        let mut rng = rand::thread_rng();
        let half = Fr::ONE / Fr::from(2u64);
        let mut scalars = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, half, half - Fr::ONE, -Fr::from(77u64)];
        scalars.extend((0..254).map(|i| Fr::from(2u64).pow([i])));
        scalars.extend((0..254).map(|i| -Fr::from(2u64).pow([i])));
        scalars.extend((0..200).map(|_| Fr::rand(&mut rng)));
        for bits in 2..=Windows::BITS_MAX {
            let windows = Windows::new(bits);
            for scalar in &scalars {
                let mut sum = Fr::ZERO;
                windows.split(&scalar.into_bigint(), |window, digit| {
                    assert!(usize::from(digit.unsigned_abs()) <= windows.buckets());
                    sum += Fr::from(digit) * Fr::from(2u64).pow([window as u64 * u64::from(bits)]);
                });
                assert_eq!(sum, *scalar, "{bits} bits");
            }
        }
    }
}
