//! Batch proofs, commitments and points: canonical, on the curve, in the group; as arkworks says.

#![no_main]

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, PrimeField};
use kerros_fuzz::{bounded, canonical, choose};
use kerros_kernels::{PreparedG1, PreparedG2};
use kerros_protocol::commitment::Commitments;
use kerros_protocol::encoding::{
    Reader, fq_from_be, fr_from_be, fr_to_be, g1_from_be, g1_to_be, g2_from_be, g2_to_be,
};
use kerros_protocol::transcript::{BatchProof, z};
use libfuzzer_sys::fuzz_target;

/// The element if the integer is below the modulus, by another way.
fn plain<F: PrimeField>(bytes: &[u8]) -> Option<F> {
    let element = F::from_be_bytes_mod_order(bytes);
    (element.into_bigint().to_bytes_be() == bytes).then_some(element)
}

fn in_g1(point: &G1Affine) -> bool {
    point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve()
}
fn in_g2(point: &G2Affine) -> bool {
    // By the group's order, not by the endomorphism that the decoder uses.
    point.is_on_curve() && point.mul_bigint(Fr::MODULUS).into_affine_is_zero()
}
trait IsZero {
    fn into_affine_is_zero(self) -> bool;
}
impl IsZero for ark_bn254::G2Projective {
    fn into_affine_is_zero(self) -> bool {
        ark_ff::Zero::is_zero(&self)
    }
}

fn g1(bytes: &[u8; 64]) {
    let (x, y) = (plain::<Fq>(&bytes[..32]), plain::<Fq>(&bytes[32..]));
    let expected = match (x, y) {
        (Some(x), Some(y)) if bytes.iter().any(|byte| *byte != 0) => {
            Some(G1Affine::new_unchecked(x, y)).filter(in_g1)
        }
        (Some(_), Some(_)) => Some(G1Affine::identity()),
        _ => None,
    };
    let read = g1_from_be("point", bytes).ok();
    assert_eq!(read, expected);
    if let Some(point) = read {
        canonical(bytes, g1_to_be(&point));
        let prepared = PreparedG1::from(point);
        assert!(prepared.is_valid());
        assert_eq!(G1Affine::from(prepared), point);
    }
}

fn g2(bytes: &[u8; 128]) {
    let mut words = bytes.chunks(32).map(plain::<Fq>);
    let mut next = || words.next().expect("four words");
    let expected = match (next(), next(), next(), next()) {
        (Some(x1), Some(x0), Some(y1), Some(y0)) if bytes.iter().any(|byte| *byte != 0) => {
            let point = G2Affine::new_unchecked(Fq2::new(x0, x1), Fq2::new(y0, y1));
            Some(point).filter(in_g2)
        }
        (Some(_), Some(_), Some(_), Some(_)) => Some(G2Affine::identity()),
        _ => None,
    };
    let read = g2_from_be("point", bytes).ok();
    assert_eq!(read, expected);
    if let Some(point) = read {
        canonical(bytes, g2_to_be(&point));
        let prepared = PreparedG2::from(point);
        assert!(prepared.is_valid());
        assert_eq!(G2Affine::from(prepared), point);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 5) else { return };
    match kind {
        0 => {
            let Ok(proof) = bounded(rest, 4_096, 1, BatchProof::decode) else { return };
            canonical(rest, proof.encode());
            assert!([proof.q, proof.w, proof.groth16.a, proof.groth16.c].iter().all(in_g1));
            assert!(in_g2(&proof.groth16.b));
            proof.rho(&z(&proof.h, &proof.q));
        }
        1 => {
            let Some(bytes) = rest.first_chunk::<{ Commitments::LEN }>() else { return };
            let read = Commitments::take(&mut Reader::new(bytes));
            let Ok(commitments) = read else { return };
            canonical(bytes, commitments.to_be());
            assert!(commitments.0.iter().all(in_g1));
        }
        2 => {
            if let Some(bytes) = rest.first_chunk() {
                g1(bytes);
            }
        }
        3 => {
            if let Some(bytes) = rest.first_chunk() {
                g2(bytes);
            }
        }
        _ => {
            let Some(bytes) = rest.first_chunk::<32>() else { return };
            assert_eq!(fr_from_be("word", bytes).ok(), plain::<Fr>(bytes));
            assert_eq!(fq_from_be("word", bytes).ok(), plain::<Fq>(bytes));
            if let Ok(element) = fr_from_be("word", bytes) {
                canonical(bytes, fr_to_be(&element));
            }
        }
    }
});
