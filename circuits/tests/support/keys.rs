//! Keys no wallet has.

use ark_bn254::Fr;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ed_on_bn254::{EdwardsAffine, EdwardsProjective, Fr as Scalar};
use ark_ff::{AdditiveGroup, Field, PrimeField};
use kerros_protocol::eddsa::{self, Point};

/// A point of order 8 in circomlib's coordinates.
pub fn point_of_order_eight() -> Point {
    (2u64..)
        .find_map(|y| {
            let candidate = EdwardsAffine::get_point_from_y_unchecked(y.into(), false)?;
            let torsion = EdwardsProjective::from(candidate).mul_bigint(Scalar::MODULUS);
            if torsion.double().double() == EdwardsProjective::default() {
                return None;
            }
            let affine = torsion.into_affine();
            // arkworks' x is √168700 times circomlib's.
            let x = affine.x * eddsa::A.sqrt().unwrap().inverse().unwrap();
            Some(Point::new(x, affine.y).unwrap())
        })
        .unwrap()
}

/// Sum of two points by the complete formula.
pub fn add(p: &Point, q: &Point) -> Point {
    let (beta, gamma) = (p.x * q.y, p.y * q.x);
    let tau = eddsa::D * beta * gamma;
    let x = (beta + gamma) / (Fr::ONE + tau);
    let y = (p.y * q.y - eddsa::A * p.x * q.x) / (Fr::ONE - tau);
    Point::new(x, y).unwrap()
}
