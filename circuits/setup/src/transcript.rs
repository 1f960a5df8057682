//! What snarkjs hashes of a ceremony, in its encoding of points ("U": big-endian, the imaginary
//! part of a coordinate first, zeroes for infinity).

use ark_bn254::{Fq, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, PrimeField};

fn put(out: &mut [u8], coordinates: &[Fq]) {
    for (bytes, coordinate) in out.chunks_exact_mut(32).zip(coordinates) {
        bytes.copy_from_slice(&coordinate.into_bigint().to_bytes_be());
    }
}

/// A point of G1 as it is hashed.
pub fn uncompressed_g1(point: &G1Affine) -> [u8; 64] {
    let mut out = [0; 64];
    if let Some((x, y)) = point.xy() {
        put(&mut out, &[x, y]);
    }
    out
}

/// A point of G2 as it is hashed.
pub fn uncompressed_g2(point: &G2Affine) -> [u8; 128] {
    let mut out = [0; 128];
    if let Some((x, y)) = point.xy() {
        put(&mut out, &[x.c1, x.c0, y.c1, y.c0]);
    }
    out
}
