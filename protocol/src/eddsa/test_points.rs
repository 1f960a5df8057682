//! Points that the tests of this module share: random ones and those of low order.

use super::Point;
use ark_bn254::Fr;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{PrimeField, UniformRand};

/// Random points of the whole curve.
pub(super) fn curve_points(count: usize) -> Vec<Point> {
    let mut rng = rand::thread_rng();
    let found = std::iter::repeat_with(|| Point::with_x(Fr::rand(&mut rng))).flatten();
    found.take(count).collect()
}

/// `p + q` on arkworks' curve.
pub(super) fn plus(p: Point, q: Point) -> Point {
    Point::from_ark((p.to_ark().into_group() + q.to_ark()).into_affine())
}

/// `−p`.
pub(super) fn minus(p: Point) -> Point {
    Point { x: -p.x, y: p.y }
}

/// `ℓ·p`, also for p outside the subgroup.
pub(super) fn times_order(p: Point) -> Point {
    Point::from_ark(p.to_ark().mul_bigint(Scalar::MODULUS).into_affine())
}

/// The multiples 0 … 7 of a point of order 8.
pub(super) fn low_order_points() -> Vec<Point> {
    let generator = curve_points(200)
        .into_iter()
        .map(times_order)
        .find(|point| {
            let four = point.to_ark().mul_bigint([4u64]);
            four != ark_ed_on_bn254::EdwardsProjective::default()
        })
        .expect("half of all points have a multiple of order 8");
    let multiples = (0..8u64).map(|k| generator.to_ark().mul_bigint([k]).into_affine());
    multiples.map(Point::from_ark).collect()
}
