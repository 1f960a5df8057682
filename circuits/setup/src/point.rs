//! Points as snarkjs stores them: little-endian words of the Montgomery form, x before y, infinity all
//! zero. These are the kernels' prepared points byte by byte.
//!
//! What snarkjs hashes is another form, which `kerros_protocol::encoding` has: big-endian, in the
//! extension field c1 first, infinity all zero.

use crate::error::{FormatError, PointFault};
use ark_bn254::{g1, g2};
use ark_ec::AffineRepr;
use ark_ec::short_weierstrass::Affine;
use bytemuck::Pod;
use kerros_kernels::{PreparedG1, PreparedG2};
use rayon::prelude::*;
use std::io::{self, Write};

/// Both groups' points.
pub trait Point: AffineRepr {
    /// Its words.
    type Words: Pod + Send + Sync + From<Self> + Into<Self>;
    /// Bytes of a point.
    const LEN: usize = size_of::<Self::Words>();
    /// Whether the words are a point of the group, coordinates below p, or infinity.
    fn is_valid(words: &Self::Words) -> bool;
}

impl Point for Affine<g1::Config> {
    type Words = PreparedG1;
    fn is_valid(words: &PreparedG1) -> bool {
        words.is_valid()
    }
}

impl Point for Affine<g2::Config> {
    type Words = PreparedG2;
    fn is_valid(words: &PreparedG2) -> bool {
        words.is_valid()
    }
}

// Words are laid out as the file has them.
const _: () = assert!(cfg!(target_endian = "little"));

/// Decodes a point; `bytes` must be of its length.
pub fn decode<P: Point>(bytes: &[u8]) -> Result<P, PointFault> {
    let words: P::Words = bytemuck::pod_read_unaligned(bytes);
    if P::is_valid(&words) { Ok(words.into()) } else { Err(PointFault::Invalid) }
}

/// Decodes a point that may not be infinity; `bytes` must be of its length.
pub fn decode_finite<P: Point>(bytes: &[u8]) -> Result<P, PointFault> {
    match decode::<P>(bytes)? {
        point if point.is_zero() => Err(PointFault::Infinity),
        point => Ok(point),
    }
}

/// Decodes a list of points, on all processors.
pub fn decode_all<P: Point>(
    section: u32,
    what: &'static str,
    bytes: &[u8],
) -> Result<Vec<P>, FormatError> {
    let point = |(index, bytes)| {
        decode::<P>(bytes).map_err(|fault| FormatError::Point { section, what, index, fault })
    };
    bytes.par_chunks_exact(P::LEN).enumerate().map(point).collect()
}

/// Writes a point.
pub fn put<P: Point>(out: &mut impl Write, point: &P) -> io::Result<()> {
    out.write_all(bytemuck::bytes_of(&P::Words::from(*point)))
}
