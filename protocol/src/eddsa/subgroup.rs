//! Which points have low order, and which lie in the subgroup of order ℓ, without multiplying.
//!
//! The curve has 8ℓ points; a is a square and d is none, so the points of order dividing 8 form a
//! cyclic group ⟨T⟩, and a point is in the subgroup iff it is eight times some point. As Fr holds
//! the eighth roots of unity, the reduced Tate pairing `P ↦ f_{8,T}(P)^((r−1)/8)` is a
//! non-degenerate map from E/8E: it is 1 iff P is in 8E (Koshelev, "Subgroup membership testing on
//! elliptic curves via the Tate pairing", J. Cryptographic Engineering 13, 2023; ePrint 2022/037).
//!
//! Miller's function, on the Montgomery form `v² = u³ + 168698u² + u` with `u = (1 + y)/(1 − y)`,
//! `v = u/x`, where 4T = (0, 0) and 2T = (1, c), c² = 168700: with l_1 and l_2 the tangents at T
//! and 2T, `f = l_1^4·l_2^2 / ((u − 1)^4·u)`. Clearing denominators modulo eighth powers with
//! `1 − y² = x²(a − d·y²)` leaves, for g = a − d·y²,
//!
//! `f ~ g^7·L_2^2·(2y·L_1)^4`, `L_1 = (1 + y) − x(α + β·y)`, `L_2 = (1 + y)(1 − c·x)`.
//!
//! Its zeros are multiples of T, which are told apart by their coordinates beforehand.

use super::residues::{is_eighth_power, sqrt_of_ratio};
use super::{A, D, Point};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use std::sync::OnceLock;

/// What the test needs of the point T of order 8.
struct Torsion {
    /// T's y; the four points of order 8 are (±x, ±y).
    y: Fr,
    /// Root of 168700 such that 2T = (1, c) on the Montgomery form.
    c: Fr,
    /// `v_T + λ(1 − u_T)`, λ the slope of the tangent at T.
    alpha: Fr,
    /// `−v_T + λ(1 + u_T)`.
    beta: Fr,
}

fn torsion() -> &'static Torsion {
    static TORSION: OnceLock<Torsion> = OnceLock::new();
    TORSION.get_or_init(|| {
        let root = |numerator, denominator| {
            sqrt_of_ratio(numerator, denominator).expect("the curve has points of order 8")
        };
        // 2T has y = 0, so y_T² = a·x_T² and d/a·y_T^4 − 2y_T² + 1 = 0: y_T² = (a ± √(a(a−d)))/d.
        let middle = root(A * (A - D), Fr::ONE);
        let y = sqrt_of_ratio(A + middle, D).unwrap_or_else(|| root(A - middle, D));
        let x = root(y.square(), A);
        let u = (Fr::ONE + y) / (Fr::ONE - y);
        let v = u / x;
        // On v² = u³ + m·u² + u: slope (3u² + 2m·u + 1)/(2v), and v_2T from the tangent at u = 1.
        let m = Fr::from(168698u64);
        let slope = (u.square() * Fr::from(3u64) + u * m.double() + Fr::ONE) / v.double();
        let c = slope * (u - Fr::ONE) - v;
        Torsion { y, c, alpha: v + slope * (Fr::ONE - u), beta: slope * (Fr::ONE + u) - v }
    })
}

impl Point {
    /// Whether `8·self` is the neutral element: y is 1, −1, 0 or that of a point of order 8, and y
    /// fixes x but for its sign.
    pub fn has_low_order(&self) -> bool {
        let eighth = torsion().y;
        self.y.square() == Fr::ONE || self.y == Fr::ZERO || self.y == eighth || self.y == -eighth
    }

    /// Whether `ℓ·self` is the neutral element.
    pub fn is_in_subgroup(&self) -> bool {
        if self.has_low_order() {
            return self.x == Fr::ZERO && self.y == Fr::ONE;
        }
        let (Self { x, y }, torsion) = (self, torsion());
        let above = Fr::ONE + y;
        let g = A - D * y.square();
        let first = above - *x * (torsion.alpha + torsion.beta * y);
        let second = above * (Fr::ONE - torsion.c * x);
        // g^7·L_2²·(2y·L_1)^4 = g·(g·L_2·(g·2y·L_1)²)².
        let inner = (g * y.double() * first).square();
        is_eighth_power((g * second * inner).square() * g)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_points::{curve_points, low_order_points, plus, times_order};
    use super::*;

    #[test]
    fn the_eight_points_of_low_order_and_no_others_are_recognised() {
        let low = low_order_points();
        let mut ys: Vec<_> = low.iter().map(|point| (point.x, point.y)).collect();
        ys.sort();
        ys.dedup();
        assert_eq!(ys.len(), 8);
        for point in low {
            assert!(Point::new(point.x, point.y).is_ok());
            assert!(point.has_low_order() && point.times_eight().is_none());
            assert_eq!(point.is_in_subgroup(), point.x == Fr::ZERO && point.y == Fr::ONE);
        }
        assert!(curve_points(200).iter().all(|point| !point.has_low_order()));
    }

    #[test]
    fn the_subgroup_test_agrees_with_multiplication_by_the_order() {
        let neutral = Point { x: Fr::ZERO, y: Fr::ONE };
        let (mut inside, mut outside) = (0, 0);
        for point in curve_points(300) {
            let eight = point.times_eight().expect("not of low order");
            assert!(eight.is_in_subgroup());
            for torsion in low_order_points() {
                for candidate in [plus(point, torsion), plus(eight, torsion)] {
                    let member = times_order(candidate) == neutral;
                    assert_eq!(candidate.is_in_subgroup(), member);
                    if member { inside += 1 } else { outside += 1 }
                }
            }
        }
        assert!(inside >= 600 && outside >= 4_000, "{inside} inside, {outside} outside");
    }
}
