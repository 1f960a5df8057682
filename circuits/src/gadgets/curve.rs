//! Baby Jubjub in the circuit: complete Edwards formulas where a factor is free, Montgomery form
//! with an explicit proof of `x1 ≠ x2` in the long chains.
//!
//! Edwards: `a·x² + y² = 1 + d·x²y²` (circomlib coordinates); a is a square and d is not, so the
//! addition law is complete on all points of the curve. Montgomery: `v² = u³ + 168698·u² + u`,
//! `u = (1+y)/(1−y)`, `v = u/x` (Bernstein et al., Twisted Edwards Curves, 2008).

use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, MontFp};
use kerros_protocol::eddsa::{A, D, Point};

/// √a, so that `y² − a·x²` is one product.
const SQRT_A: Fr =
    MontFp!("7214280148105020021932206872019688659210616427216992810330019057549499971851");
/// Coefficient of `u²` in Montgomery form.
pub const MONTGOMERY_A: Fr = MontFp!("168698");

/// A point in Edwards coordinates.
#[derive(Clone)]
pub struct Edwards {
    /// x-coordinate.
    pub x: Num,
    /// y-coordinate.
    pub y: Num,
}

/// A point in Montgomery coordinates; never the neutral element.
#[derive(Clone)]
pub struct Montgomery {
    /// u-coordinate.
    pub u: Num,
    /// v-coordinate.
    pub v: Num,
}

/// Divides, with a wire `q` such that `q·denominator = numerator`. Determined only where the
/// denominator is not 0: the caller says why it is not.
fn quotient(b: &mut Builder, numerator: &Num, denominator: &Num) -> Num {
    let inverse = denominator.value.inverse().unwrap_or(Fr::ZERO);
    let q = b.wire(numerator.value * inverse);
    b.enforce(&q, denominator, numerator);
    q
}

impl Edwards {
    /// A constant point.
    pub fn constant(point: &Point) -> Self {
        Self { x: Num::constant(point.x), y: Num::constant(point.y) }
    }
    /// The curve equation: three constraints.
    pub fn enforce_on_curve(&self, b: &mut Builder) {
        let x2 = b.mul(&self.x, &self.x);
        let y2 = b.mul(&self.y, &self.y);
        let left = (&x2 * A).plus(&y2, Fr::ONE).plus(&Num::one(), -Fr::ONE);
        b.enforce(&(&x2 * D), &y2, &left);
    }
    /// `−self`.
    pub fn negated(&self) -> Self {
        Self { x: -&self.x, y: self.y.clone() }
    }
    /// `2·self`, complete on the curve: `1 ± d·(xy)²` is never 0 there. Five constraints.
    pub fn double(&self, b: &mut Builder) -> Self {
        let xy = b.mul(&self.x, &self.y);
        let square = b.mul(&xy, &xy);
        let scaled = &self.x * SQRT_A;
        let difference = b.mul(&(&self.y - &scaled), &(&self.y + &scaled));
        let x = quotient(b, &(&xy * Fr::from(2u64)), &(&(&square * D) + Fr::ONE));
        let y = quotient(b, &difference, &(&(&square * -D) + Fr::ONE));
        Self { x, y }
    }
    /// `self + other`, complete on the curve. Six constraints, three if `other` is constant.
    pub fn add(&self, b: &mut Builder, other: &Edwards) -> Self {
        let beta = b.mul(&self.x, &other.y);
        let gamma = b.mul(&self.y, &other.x);
        let left = (&self.x * -A).plus(&self.y, Fr::ONE);
        let delta = b.mul(&left, &(&other.x + &other.y));
        let tau = b.mul(&beta, &gamma);
        let x = quotient(b, &(&beta + &gamma), &(&(&tau * D) + Fr::ONE));
        let numerator = delta.plus(&beta, A).plus(&gamma, -Fr::ONE);
        let y = quotient(b, &numerator, &(&(&tau * -D) + Fr::ONE));
        Self { x, y }
    }
    /// Into Montgomery coordinates. Assumes that the point is on the curve and `x ≠ 0` (it is
    /// neither neutral nor (0, −1)); then `y ≠ 1` and both quotients are determined.
    pub fn to_montgomery(&self, b: &mut Builder) -> Montgomery {
        let u = quotient(b, &(&self.y + Fr::ONE), &(&Num::one() - &self.y));
        let v = quotient(b, &u, &self.x);
        Montgomery { u, v }
    }
}

impl Montgomery {
    /// Into Edwards coordinates. Assumes a point on the curve that is not (0, 0): then `v ≠ 0`,
    /// and `u ≠ −1` because `u = −1` lies on no point of this curve.
    pub fn to_edwards(&self, b: &mut Builder) -> Edwards {
        let x = quotient(b, &self.u, &self.v);
        let y = quotient(b, &(&self.u + -Fr::ONE), &(&self.u + Fr::ONE));
        Edwards { x, y }
    }
    /// `2·self`. At (0, 0) nothing satisfies it; elsewhere on the curve `v ≠ 0`. Four constraints.
    pub fn double(&self, b: &mut Builder) -> Self {
        let square = b.mul(&self.u, &self.u);
        let numerator = (&square * Fr::from(3u64)).plus(&self.u, MONTGOMERY_A.double());
        let slope = quotient(b, &(&numerator + Fr::ONE), &self.v.clone().plus(&self.v, Fr::ONE));
        self.third(b, &slope, self)
    }
    /// `self + other`; satisfied by nothing if `u1 = u2`, so an exceptional case can never be used
    /// to make up a sum. Four constraints.
    pub fn add(&self, b: &mut Builder, other: &Montgomery) -> Self {
        let difference = &other.u - &self.u;
        let inverse = b.wire(difference.value.inverse().unwrap_or(Fr::ZERO));
        b.enforce(&difference, &inverse, &Num::one());
        let slope = b.mul(&(&other.v - &self.v), &inverse);
        self.third(b, &slope, other)
    }
    fn third(&self, b: &mut Builder, slope: &Num, other: &Montgomery) -> Self {
        let sum = (&self.u + &other.u).plus(&Num::one(), MONTGOMERY_A);
        let u = b.wire(slope.value.square() - sum.value);
        b.enforce(slope, slope, &(&u + &sum));
        let v = b.wire(slope.value * (self.u.value - u.value) - self.v.value);
        b.enforce(slope, &(&self.u - &u), &(&v + &self.v));
        Self { u, v }
    }
}

/// Montgomery coordinates of a point with `x ≠ 0`, natively.
pub fn montgomery(point: &Point) -> (Fr, Fr) {
    let denominator = (Fr::ONE - point.y).inverse().expect("y = 1 only where x = 0");
    let u = (Fr::ONE + point.y) * denominator;
    (u, u * point.x.inverse().expect("x is not 0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::first_violated;
    use ark_ed_on_bn254::Fr as Scalar;
    use kerros_protocol::eddsa::BASE8;

    fn wires(b: &mut Builder, point: &Point) -> Edwards {
        Edwards { x: b.wire(point.x), y: b.wire(point.y) }
    }
    fn times(n: u64) -> Point {
        BASE8.times(Scalar::from(n))
    }
    fn value(point: &Edwards) -> Point {
        Point::new(point.x.value, point.y.value).expect("on the curve")
    }

    #[test]
    fn both_forms_agree_with_native_arithmetic() {
        let mut b = Builder::recording();
        let (p, q) = (wires(&mut b, &times(5)), wires(&mut b, &times(9)));
        p.enforce_on_curve(&mut b);
        assert_eq!(value(&p.add(&mut b, &q)), times(14));
        assert_eq!(value(&p.add(&mut b, &p)), times(10));
        assert_eq!(value(&p.double(&mut b)), times(10));
        let (pm, qm) = (p.to_montgomery(&mut b), q.to_montgomery(&mut b));
        assert_eq!((pm.u.value, pm.v.value), montgomery(&times(5)));
        let sum = pm.add(&mut b, &qm).to_edwards(&mut b);
        assert_eq!(value(&sum), times(14));
        let double = pm.double(&mut b).to_edwards(&mut b);
        assert_eq!(value(&double), times(10));
        assert_eq!(first_violated(b.constraints(), b.assignment()), None);
    }

    #[test]
    fn a_montgomery_addition_of_equal_or_opposite_points_is_unsatisfiable() {
        for other in [times(5), Point { x: -times(5).x, y: times(5).y }] {
            let mut b = Builder::recording();
            let p = wires(&mut b, &times(5)).to_montgomery(&mut b);
            let q = wires(&mut b, &other).to_montgomery(&mut b);
            p.add(&mut b, &q);
            assert!(first_violated(b.constraints(), b.assignment()).is_some());
        }
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut b = Builder::recording();
        let p = times(5);
        let off = Edwards { x: b.wire(p.x), y: b.wire(p.y + Fr::ONE) };
        off.enforce_on_curve(&mut b);
        assert!(first_violated(b.constraints(), b.assignment()).is_some());
    }
}
