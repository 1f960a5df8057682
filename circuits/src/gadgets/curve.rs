//! Baby Jubjub in the circuit: a chain in Montgomery form, a complete Edwards addition at its end.
//!
//! Edwards: `a·x² + y² = 1 + d·x²y²` (circomlib coordinates); a is a square and d is not, so the
//! addition law is complete on all points of the curve. Montgomery: `v² = u³ + 168698·u² + u`,
//! `u = (1+y)/(1−y)`, `v = u/x` (Bernstein et al., Twisted Edwards Curves, 2008).
//!
//! Montgomery additions are incomplete. Of the exceptional cases only *equal* summands are
//! dangerous: `slope·0 = 0` leaves the slope, and with it the sum, to the prover. All others are
//! unsatisfiable. Who calls them says why nobody can bring equal summands about (SPEC.md section 6).

use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, MontFp};
use kerros_protocol::eddsa::{A, D, Point};

/// Coefficient of `u²` in Montgomery form.
pub const MONTGOMERY_A: Fr = MontFp!("168698");
const HALF: Fr =
    MontFp!("10944121435919637611123202872628637544274182200208017171849102093287904247809");

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
#[track_caller]
fn quotient(b: &mut Builder, numerator: &Num, denominator: &Num) -> Num {
    b.within(|b| {
        let inverse = b.inverse(denominator.value);
        let q = b.wire(numerator.value * inverse);
        b.enforce(&q, denominator, numerator);
        q
    })
}

impl Edwards {
    /// `2·self` in Montgomery form. Unsatisfiable off the curve and where `x = 0`, the neutral
    /// element and (0, −1); determined everywhere else. Seven constraints.
    ///
    /// With `α = 1/(1−y)` and `β = 1/(1+y)` the u of self is `2α − 1` and its inverse `2β − 1`, so
    /// that the curve equation reads `1/x² = u + 1/u + 168698`. Doubling goes by two 2-isogenies:
    /// `w = (u − 1/u)·x/2`, then `u' = w²` and `v' = w·(1/x² + (4 − 168698²)·x²)/4`.
    pub fn double_to_montgomery(&self, b: &mut Builder) -> Montgomery {
        let alpha = quotient(b, &Num::one(), &(&Num::one() - &self.y));
        let beta = quotient(b, &Num::one(), &(&self.y + Fr::ONE));
        let two = Fr::ONE.double();
        let square = b.mul(&self.x, &self.x);
        let inverse_square = &(&(&alpha + &beta) * two) + (MONTGOMERY_A - two);
        b.enforce(&square, &inverse_square, &Num::one());
        let w = b.mul(&(&alpha - &beta), &self.x);
        let u = b.mul(&w, &w);
        let factor = inverse_square.plus(&square, two.square() - MONTGOMERY_A.square());
        let v = b.mul(&w, &(&factor * HALF.square()));
        Montgomery { u, v }
    }
    /// `self + other`, complete on the curve. Three constraints.
    pub fn add_constant(&self, b: &mut Builder, other: &Point) -> Self {
        let (beta, gamma) = (&self.x * other.y, &self.y * other.x);
        let tau = b.mul(&beta, &gamma);
        let x = quotient(b, &(&beta + &gamma), &(&(&tau * D) + Fr::ONE));
        let numerator = (&self.y * other.y).plus(&self.x, -A * other.x);
        let y = quotient(b, &numerator, &(&(&tau * -D) + Fr::ONE));
        Self { x, y }
    }
}

impl Montgomery {
    /// A constant point with `x ≠ 0`.
    pub fn constant(point: &Point) -> Self {
        let (u, v) = montgomery(point);
        Self { u: Num::constant(u), v: Num::constant(v) }
    }
    /// `−self`.
    pub fn negated(&self) -> Self {
        Self { u: self.u.clone(), v: -&self.v }
    }
    /// Into Edwards coordinates. `u = −1` lies on no point of this curve; at (0, 0) x is free: the
    /// caller says why the point is not that one.
    pub fn to_edwards(&self, b: &mut Builder) -> Edwards {
        let x = quotient(b, &self.u, &self.v);
        let y = quotient(b, &(&self.u + -Fr::ONE), &(&self.u + Fr::ONE));
        Edwards { x, y }
    }
    /// `2·self`. At (0, 0) nothing satisfies it; elsewhere on the curve `v ≠ 0`. Four constraints.
    pub fn double(&self, b: &mut Builder) -> Self {
        let square = b.mul(&self.u, &self.u);
        let numerator = (&square * Fr::from(3u64)).plus(&self.u, MONTGOMERY_A.double());
        let slope = quotient(b, &(&numerator + Fr::ONE), &(&self.v * Fr::ONE.double()));
        let u = third_u(b, &slope, &self.u, &self.u);
        self.third(b, &slope, u)
    }
    /// `self + other`. Three constraints. Equal summands leave the sum free; opposite ones are
    /// unsatisfiable, because `slope·0 = −2v` has no solution where `v ≠ 0`.
    #[track_caller]
    pub fn add(&self, b: &mut Builder, other: &Montgomery) -> Self {
        b.within(|b| {
            let slope = chord(b, self, other);
            let u = third_u(b, &slope, &self.u, &other.u);
            self.third(b, &slope, u)
        })
    }
    /// `2·self + other`, as `(self + other) + self` without the v in between. Five constraints.
    ///
    /// The first addition is that of [`Montgomery::add`]. If it is not exceptional, the second is
    /// determined wherever it is satisfiable: `u(self) = u(self + other)` means
    /// `other = −2·self`, as other is not neutral, and then `0 = 2v` has no solution; v is not 0
    /// there, or other would be neutral.
    pub fn double_add(&self, b: &mut Builder, other: &Montgomery) -> Self {
        let first = chord(b, self, other);
        let middle = third_u(b, &first, &self.u, &other.u);
        // v of the middle is first·(u − middle) − v, so the slopes have the sum 2v/(u − middle).
        let slopes = quotient(b, &(&self.v * Fr::ONE.double()), &(&self.u - &middle));
        let second = &slopes - &first;
        let u = third_u(b, &second, &self.u, &middle);
        self.third(b, &second, u)
    }
    /// The point at `u` on the line through self, mirrored.
    #[track_caller]
    fn third(&self, b: &mut Builder, slope: &Num, u: Num) -> Self {
        b.within(|b| {
            let v = b.wire(slope.value * (self.u.value - u.value) - self.v.value);
            b.enforce(slope, &(&self.u - &u), &(&v + &self.v));
            Self { u, v }
        })
    }
}

/// The slope of the line through two points.
#[track_caller]
fn chord(b: &mut Builder, p: &Montgomery, q: &Montgomery) -> Num {
    b.within(|b| quotient(b, &(&q.v - &p.v), &(&q.u - &p.u)))
}

/// u of the third point of a line that meets the curve at `u1` and `u2`.
#[track_caller]
fn third_u(b: &mut Builder, slope: &Num, u1: &Num, u2: &Num) -> Num {
    b.within(|b| {
        let sum = &(u1 + u2) + MONTGOMERY_A;
        let u = b.wire(slope.value.square() - sum.value);
        b.enforce(slope, slope, &(&u + &sum));
        u
    })
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
    use crate::builder::{INPUT_COUNT, first_violated};
    use ark_ed_on_bn254::Fr as Scalar;
    use kerros_protocol::eddsa::BASE8;

    fn wires(b: &mut Builder, (u, v): (Fr, Fr)) -> Montgomery {
        Montgomery { u: b.wire(u), v: b.wire(v) }
    }
    fn times(n: u64) -> Point {
        BASE8.times(Scalar::from(n))
    }
    fn value(point: &Montgomery) -> (Fr, Fr) {
        (point.u.value, point.v.value)
    }
    fn negated((u, v): (Fr, Fr)) -> (Fr, Fr) {
        (u, -v)
    }
    fn doubled(point: &Point) -> (Builder, Montgomery) {
        let mut b = Builder::recording();
        let wires = Edwards { x: b.wire(point.x), y: b.wire(point.y) };
        let double = wires.double_to_montgomery(&mut b);
        (b, double)
    }
    fn holds(b: &Builder) -> bool {
        first_violated(b.constraints(), b.assignment()).is_none()
    }

    #[test]
    fn the_formulas_agree_with_native_arithmetic_at_the_known_cost() {
        assert_eq!(HALF.double(), Fr::ONE);
        let mut b = Builder::recording();
        let [p, q] = [5, 9].map(|n| wires(&mut b, montgomery(&times(n))));
        let mut before = 0;
        let mut cost = |b: &Builder| {
            b.constraint_count() - std::mem::replace(&mut before, b.constraint_count())
        };
        assert_eq!(value(&p.add(&mut b, &q)), montgomery(&times(14)));
        assert_eq!(cost(&b), 3);
        assert_eq!(value(&p.double(&mut b)), montgomery(&times(10)));
        assert_eq!(cost(&b), 4);
        assert_eq!(value(&p.double_add(&mut b, &q)), montgomery(&times(19)));
        assert_eq!(cost(&b), 5);
        assert_eq!(value(&q.negated().double_add(&mut b, &p)), negated(montgomery(&times(13))));
        assert_eq!(cost(&b), 5);
        let edwards = p.to_edwards(&mut b);
        assert_eq!((edwards.x.value, edwards.y.value), (times(5).x, times(5).y));
        assert_eq!(cost(&b), 2);
        // Complete: also for equal and for opposite summands.
        for n in [5u64, 9] {
            let sum = edwards.add_constant(&mut b, &times(n));
            assert_eq!((sum.x.value, sum.y.value), (times(5 + n).x, times(5 + n).y));
            assert_eq!(cost(&b), 3);
        }
        let minus = Point { x: -times(5).x, y: times(5).y };
        let sum = edwards.add_constant(&mut b, &minus);
        assert_eq!((sum.x.value, sum.y.value), (Fr::ZERO, Fr::ONE));
        assert!(holds(&b));
        for n in [1u64, 5, 77] {
            let (b, double) = doubled(&times(n));
            assert_eq!(value(&double), montgomery(&times(2 * n)));
            assert_eq!(b.constraint_count(), 7);
            assert!(holds(&b));
        }
    }

    /// Whether the wires of a gadget can be mended by another value of one of them.
    fn mendable(b: &Builder, wire: usize, values: &[Fr]) -> bool {
        values.iter().any(|value| {
            let mut assignment = b.assignment().to_vec();
            assignment[wire] = *value;
            first_violated(b.constraints(), &assignment).is_none()
        })
    }

    #[test]
    fn doubling_refuses_points_off_the_curve_and_points_without_x() {
        let p = times(5);
        let (one, zero) = (Fr::ONE, Fr::ZERO);
        let off = [(p.x, p.y + one), (p.x + one, p.y), (p.x, zero), (p.x, one), (p.x, -one)];
        for (x, y) in off.into_iter().chain([(zero, one), (zero, -one), (zero, p.y)]) {
            let (b, _) = doubled(&Point { x, y });
            assert!(!holds(&b));
            // α, β and x² follow from x and y: nothing mends the curve equation.
            for wire in INPUT_COUNT + 2..INPUT_COUNT + 5 {
                assert!(!mendable(&b, wire, &[zero, one, -one, Fr::from(99u64)]));
            }
        }
    }

    #[test]
    fn equal_summands_leave_the_slope_free() {
        // This is the assumption: SPEC.md section 6 says why equal summands cannot be brought about.
        let p = montgomery(&times(5));
        for slope in [Fr::ZERO, Fr::ONE, Fr::from(99u64)] {
            let mut b = Builder::recording();
            let [one, two] = [p, p].map(|p| wires(&mut b, p));
            one.add(&mut b, &two);
            let mut assignment = b.assignment().to_vec();
            let u = slope.square() - MONTGOMERY_A - p.0.double();
            let at = INPUT_COUNT + 4;
            assignment[at..at + 3].copy_from_slice(&[slope, u, slope * (p.0 - u) - p.1]);
            assert_eq!(first_violated(b.constraints(), &assignment), None);
        }
    }

    #[test]
    fn no_other_exceptional_case_is_satisfiable() {
        let p = montgomery(&times(5));
        let slopes = [Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::from(99u64), p.1];
        // Opposite summands, in both gadgets: slope·0 = −2v.
        for gadget in [Montgomery::add, Montgomery::double_add] {
            let mut b = Builder::recording();
            let [one, two] = [p, negated(p)].map(|p| wires(&mut b, p));
            gadget(&one, &mut b, &two);
            for slope in slopes {
                let mut assignment = b.assignment().to_vec();
                assignment[INPUT_COUNT + 4] = slope;
                assert_eq!(first_violated(b.constraints(), &assignment), Some(0));
            }
        }
        // 2p + (−2p): the sum of the slopes times 0 is 2v.
        let mut b = Builder::recording();
        let [one, two] = [p, negated(montgomery(&times(10)))].map(|p| wires(&mut b, p));
        one.double_add(&mut b, &two);
        for slopes in slopes {
            let mut assignment = b.assignment().to_vec();
            assignment[INPUT_COUNT + 6] = slopes;
            assert_eq!(first_violated(b.constraints(), &assignment), Some(2));
        }
        // The point of order 2 has no double; 2·(0, 0) + q = q is no exception.
        let mut b = Builder::recording();
        let origin = wires(&mut b, (Fr::ZERO, Fr::ZERO));
        origin.double(&mut b);
        for slope in slopes {
            let mut assignment = b.assignment().to_vec();
            assignment[INPUT_COUNT + 3] = slope;
            assert_eq!(first_violated(b.constraints(), &assignment), Some(1));
        }
        let mut b = Builder::recording();
        let [origin, q] = [(Fr::ZERO, Fr::ZERO), p].map(|p| wires(&mut b, p));
        assert_eq!(value(&origin.double_add(&mut b, &q)), p);
        assert!(holds(&b));
    }
}
