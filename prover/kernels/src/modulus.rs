//! The two fields of BN254 and their moduli in limbs of 52 bits.

use ark_bn254::{Fq, Fr};
use ark_ff::{BigInt, PrimeField};

/// All bits of a limb.
pub const MASK: u64 = (1 << 52) - 1;

/// A field whose modulus the vector code can work with.
pub trait Modulus: PrimeField<BigInt = BigInt<4>> {
    /// p in limbs.
    const P: [u64; 5] = limbs(Self::MODULUS.0);
    /// `-1/p mod 2^52`.
    const NEGATED_INVERSE: u64 = negated_inverse(Self::P[0]);
    /// The integer of the Montgomery form.
    fn words(&self) -> &[u64; 4];
    /// To replace the integer, which must be below p in the end.
    fn words_mut(&mut self) -> &mut [u64; 4];
}

impl Modulus for Fq {
    fn words(&self) -> &[u64; 4] {
        &self.0.0
    }
    fn words_mut(&mut self) -> &mut [u64; 4] {
        &mut self.0.0
    }
}

impl Modulus for Fr {
    fn words(&self) -> &[u64; 4] {
        &self.0.0
    }
    fn words_mut(&mut self) -> &mut [u64; 4] {
        &mut self.0.0
    }
}

/// The bounds in this file need no more than this of a modulus.
const _: () = assert!(
    Fq::MODULUS.0[3] == Fr::MODULUS.0[3] && Fq::MODULUS.0[2] >> 2 == Fr::MODULUS.0[2] >> 2,
    "126 bits are the same"
);

const fn negated_inverse(odd: u64) -> u64 {
    let mut inverse = 1u64;
    let mut i = 0;
    while i < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        i += 1;
    }
    inverse.wrapping_neg() & MASK
}

/// Words cut into limbs.
pub const fn limbs(w: [u64; 4]) -> [u64; 5] {
    [
        w[0] & MASK,
        (w[0] >> 52 | w[1] << 12) & MASK,
        (w[1] >> 40 | w[2] << 24) & MASK,
        (w[2] >> 28 | w[3] << 36) & MASK,
        w[3] >> 16,
    ]
}
