//! Fixed-width, big-endian encodings of field elements and curve points, and Keccak.
//!
//! Everything that reaches the main chain or the transcript is encoded here. Decoding is strict:
//! a 32-byte word that stands for an element of Fr must be below r, a coordinate below q, a point
//! on its curve (G2 also in its subgroup). This module knows nothing about batches.

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, BigInteger256, PrimeField, Zero};
use sha3::{Digest, Keccak256};
use thiserror::Error;

/// Why bytes from outside were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer bytes than the encoding needs.
    #[error("{what}: needs {need} bytes, {have} left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes left.
        have: usize,
    },
    /// Bytes left over behind a complete value.
    #[error("{what}: {extra} bytes left over")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// Bytes left over.
        extra: usize,
    },
    /// A word that is not below the modulus of its field.
    #[error("{what}: not below the field's modulus")]
    NotCanonical {
        /// What was being read.
        what: &'static str,
    },
    /// Coordinates that are not a point of the curve (or, in G2, of its subgroup).
    #[error("{what}: not a point of the group")]
    NotOnCurve {
        /// What was being read.
        what: &'static str,
    },
    /// A number outside its documented range.
    #[error("{what}: {value} is outside {min}..={max}")]
    OutOfRange {
        /// What was being read.
        what: &'static str,
        /// The value found.
        value: u64,
        /// Least allowed value.
        min: u64,
        /// Greatest allowed value.
        max: u64,
    },
    /// Magic or version bytes that this build does not know.
    #[error("{what}: unknown format or version")]
    UnknownFormat {
        /// What was being read.
        what: &'static str,
    },
    /// A digest that does not match its contents.
    #[error("{what}: digest does not match the contents")]
    Digest {
        /// What was being read.
        what: &'static str,
    },
}

/// A checked reader over a byte slice; every `take_*` names what it reads for the error.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    /// The bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
    /// Takes `len` bytes.
    pub fn take(&mut self, what: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Short {
            what,
            need: len,
            have: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(head)
    }
    /// Takes a fixed array.
    pub fn take_array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let mut out = [0u8; N];
        out.copy_from_slice(self.take(what, N)?);
        Ok(out)
    }
    /// Takes one byte.
    pub fn take_u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.take_array::<1>(what)?[0])
    }
    /// Takes a flag, 0 or 1.
    pub fn take_flag(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.take_u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::OutOfRange { what, value: value.into(), min: 0, max: 1 }),
        }
    }
    /// Takes a big-endian u16.
    pub fn take_u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.take_array(what)?))
    }
    /// Takes a big-endian u32.
    pub fn take_u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.take_array(what)?))
    }
    /// Takes a big-endian u64.
    pub fn take_u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.take_array(what)?))
    }
    /// Takes a canonical element of Fr, 32 bytes big-endian.
    pub fn take_fr(&mut self, what: &'static str) -> Result<Fr, DecodeError> {
        fr_from_be(what, &self.take_array(what)?)
    }
    /// Takes a G1 point, x‖y, (0,0) for infinity.
    pub fn take_g1(&mut self, what: &'static str) -> Result<G1Affine, DecodeError> {
        g1_from_be(what, &self.take_array(what)?)
    }
    /// Takes a G2 point in EIP-197 order.
    pub fn take_g2(&mut self, what: &'static str) -> Result<G2Affine, DecodeError> {
        g2_from_be(what, &self.take_array(what)?)
    }
    /// Requires that nothing is left.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing { what, extra }),
        }
    }
}

/// Keccak-256 of the concatenation of `parts`.
pub fn keccak256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// `keccak(..) mod r`: the 256-bit big-endian digest reduced modulo r (SPEC.md section 1).
pub fn keccak_to_fr(parts: &[&[u8]]) -> Fr {
    Fr::from_be_bytes_mod_order(&keccak256(parts))
}

/// 32 bytes, big-endian.
pub fn fr_to_be(value: &Fr) -> [u8; 32] {
    be32(value.into_bigint())
}

/// 32 bytes, big-endian, of a base field element.
pub fn fq_to_be(value: &Fq) -> [u8; 32] {
    be32(value.into_bigint())
}

fn be32(value: impl BigInteger) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(&value.to_bytes_be());
    out
}

fn bigint_from_be(bytes: &[u8; 32]) -> BigInteger256 {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.rchunks_exact(8)) {
        *limb = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    }
    BigInteger256::new(limbs)
}

/// Decodes 32 big-endian bytes; refuses values not below r.
pub fn fr_from_be(what: &'static str, bytes: &[u8; 32]) -> Result<Fr, DecodeError> {
    // None for what is not below r.
    Fr::from_bigint(bigint_from_be(bytes)).ok_or(DecodeError::NotCanonical { what })
}

/// Decodes 32 big-endian bytes; refuses values not below q.
pub fn fq_from_be(what: &'static str, bytes: &[u8; 32]) -> Result<Fq, DecodeError> {
    // None for what is not below q.
    Fq::from_bigint(bigint_from_be(bytes)).ok_or(DecodeError::NotCanonical { what })
}

/// x‖y, big-endian; infinity is (0, 0) as in EIP-196.
pub fn g1_to_be(point: &G1Affine) -> [u8; 64] {
    let mut out = [0u8; 64];
    if let Some((x, y)) = point.xy() {
        out[..32].copy_from_slice(&fq_to_be(&x));
        out[32..].copy_from_slice(&fq_to_be(&y));
    }
    out
}

/// Decodes x‖y, (0, 0) for infinity; refuses coordinates not below q and points off the curve.
pub fn g1_from_be(what: &'static str, bytes: &[u8; 64]) -> Result<G1Affine, DecodeError> {
    let mut reader = Reader::new(bytes);
    let x = fq_from_be(what, &reader.take_array(what)?)?;
    let y = fq_from_be(what, &reader.take_array(what)?)?;
    if x.is_zero() && y.is_zero() {
        return Ok(G1Affine::identity());
    }
    let point = G1Affine::new_unchecked(x, y);
    // G1 of BN254 has cofactor 1: on the curve means in the group.
    if point.is_on_curve() { Ok(point) } else { Err(DecodeError::NotOnCurve { what }) }
}

/// EIP-197 order: x.c1‖x.c0‖y.c1‖y.c0, big-endian; infinity is all zero.
pub fn g2_to_be(point: &G2Affine) -> [u8; 128] {
    let mut out = [0u8; 128];
    if let Some((x, y)) = point.xy() {
        for (slot, value) in out.chunks_exact_mut(32).zip([x.c1, x.c0, y.c1, y.c0]) {
            slot.copy_from_slice(&fq_to_be(&value));
        }
    }
    out
}

/// Decodes EIP-197 order; checks range, curve and subgroup.
pub fn g2_from_be(what: &'static str, bytes: &[u8; 128]) -> Result<G2Affine, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut next = || fq_from_be(what, &reader.take_array(what)?);
    let (x1, x0, y1, y0) = (next()?, next()?, next()?, next()?);
    let (x, y) = (Fq2::new(x0, x1), Fq2::new(y0, y1));
    if x.is_zero() && y.is_zero() {
        return Ok(G2Affine::identity());
    }
    let point = G2Affine::new_unchecked(x, y);
    if point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve() {
        Ok(point)
    } else {
        Err(DecodeError::NotOnCurve { what })
    }
}

/// A 20-byte big-endian integer as a field element.
pub fn fr_from_bytes20(bytes: &[u8; 20]) -> Fr {
    Fr::from_be_bytes_mod_order(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{AdditiveGroup, Field};

    #[test]
    fn a_word_equal_to_the_modulus_is_refused() {
        let modulus: [u8; 32] = Fr::MODULUS.to_bytes_be().try_into().expect("32 bytes");
        assert_eq!(fr_from_be("x", &modulus), Err(DecodeError::NotCanonical { what: "x" }));
        let last = -Fr::ONE;
        assert_eq!(fr_from_be("x", &fr_to_be(&last)), Ok(last));
        assert_eq!(fr_from_be("x", &[0; 32]), Ok(Fr::ZERO));
        let modulus: [u8; 32] = Fq::MODULUS.to_bytes_be().try_into().expect("32 bytes");
        assert_eq!(fq_from_be("x", &modulus), Err(DecodeError::NotCanonical { what: "x" }));
        assert_eq!(fq_from_be("x", &[0xff; 32]), Err(DecodeError::NotCanonical { what: "x" }));
        let last = -Fq::ONE;
        assert_eq!(fq_from_be("x", &fq_to_be(&last)), Ok(last));
    }

    #[test]
    fn points_round_trip_and_points_off_the_curve_are_refused() {
        let g1 = G1Affine::generator();
        assert_eq!(g1_from_be("g1", &g1_to_be(&g1)), Ok(g1));
        let inf = G1Affine::identity();
        assert_eq!(g1_from_be("g1", &g1_to_be(&inf)), Ok(inf));
        let mut bad = g1_to_be(&g1);
        bad[63] ^= 1;
        assert!(matches!(g1_from_be("g1", &bad), Err(DecodeError::NotOnCurve { .. })));
        let g2 = G2Affine::generator();
        assert_eq!(g2_from_be("g2", &g2_to_be(&g2)), Ok(g2));
        let mut bad = g2_to_be(&g2);
        bad[127] ^= 1;
        assert!(matches!(g2_from_be("g2", &bad), Err(DecodeError::NotOnCurve { .. })));
    }

    #[test]
    fn a_point_with_one_coordinate_0_is_not_infinity() {
        for at in [31, 63] {
            let mut bytes = [0; 64];
            bytes[at] = 1;
            assert!(matches!(g1_from_be("g1", &bytes), Err(DecodeError::NotOnCurve { .. })));
        }
        for at in [63, 127] {
            let mut bytes = [0; 128];
            bytes[at] = 1;
            assert!(matches!(g2_from_be("g2", &bytes), Err(DecodeError::NotOnCurve { .. })));
        }
        assert_eq!(g2_from_be("g2", &[0; 128]), Ok(G2Affine::identity()));
    }

    #[test]
    fn a_point_of_the_twist_outside_the_group_is_refused() {
        let of = |x: u64| G2Affine::get_point_from_x_unchecked(Fq2::from(x), false);
        let stray = (1..).find_map(of).expect("half of all x have a point");
        assert!(stray.is_on_curve() && !stray.is_in_correct_subgroup_assuming_on_curve());
        let refused = DecodeError::NotOnCurve { what: "g2" };
        assert_eq!(g2_from_be("g2", &g2_to_be(&stray)), Err(refused));
    }
}
