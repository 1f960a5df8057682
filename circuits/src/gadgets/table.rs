//! A small odd multiple of a constant point, chosen by the prover: four constraints for sixteen.

use super::curve::{MONTGOMERY_A, Montgomery, montgomery};
use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, Field};
use kerros_protocol::eddsa::Point;

/// 1, 3, … 15 up to signs, such that their sum is 0.
const MULTIPLES: [i8; 8] = [1, 3, -5, -7, -9, -11, 13, 15];

/// `(w + a·t + b·u)·(w + a'·t + b'·u) = c·w + d·t + e·u + f`.
struct Quadric {
    factors: [[Fr; 2]; 2],
    linear: [Fr; 4],
}

/// The eight points `n·base`, n in `MULTIPLES`, as the solutions (u, t) of three equations.
///
/// Since the sum of the points is neutral, a function on the curve has exactly them as zeros and
/// its only pole at the neutral element, of order 8: with `w = u²` it is
/// `F = w² + F1·t·w + F2·u·w + F3·u·t + F4·w + F5·t + F6·u + F7`. The curve itself is
/// `G = t² − u·w − 168698·w − u`. For every y there is one x such that the quadratic terms of
/// `F + y·G + x·(u² − w)` are a product, if `F1² − 4y` is a square. Two of these, for two y, and
/// `u·u = w` are the equations: together they say `G = 0` and `F = 0`.
pub struct Table {
    points: [(Fr, Fr); 8],
    quadrics: [Quadric; 2],
}

impl Table {
    /// The table of a point of the prime-order subgroup that is not neutral.
    pub fn new(base: &Point) -> Self {
        let points = MULTIPLES.map(|n| montgomery(&base.times(Scalar::from(n))));
        let f = function_with_zeros(&points);
        let mut quadrics = (1u64..).filter_map(|y| Quadric::new(&f, Fr::from(y)));
        let mut next = || quadrics.next().expect("every other y serves");
        Self { points, quadrics: [next(), next()] }
    }

    /// `digit·base` for an odd digit from −15 to 15: one of these sixteen points whatever the
    /// prover does. (u, t) is an entry of the table, and v is `±t`.
    pub fn choose(&self, b: &mut Builder, digit: i8) -> Montgomery {
        let position = usize::from(digit.unsigned_abs() / 2);
        let (u, t) = self.points[position];
        let (u, t) = (b.wire(u), b.wire(t));
        let w = b.mul(&u, &u);
        for Quadric { factors, linear } in &self.quadrics {
            let [one, two] = factors.map(|[a, b]| w.clone().plus(&t, a).plus(&u, b));
            let [c, d, e, f] = *linear;
            b.enforce(&one, &two, &(&(&w * c).plus(&t, d).plus(&u, e) + f));
        }
        let v = b.wire(if digit == MULTIPLES[position] { t.value } else { -t.value });
        b.enforce(&(&v - &t), &(&v + &t), &Num::zero());
        Montgomery { u, v }
    }
}

impl Quadric {
    /// `F + y·G + x·(u² − w)` with a product for its quadratic terms.
    fn new(&[f1, f2, f3, f4, f5, f6, f7]: &[Fr; 7], y: Fr) -> Option<Self> {
        // a + a' = F1 and a·a' = y; either root will do, and the smaller one is chosen.
        let root = (f1.square() - y.double().double()).sqrt()?;
        let root = root.min(-root);
        let half = Fr::ONE.double().inverse()?;
        let (a, other_a) = ((f1 + root) * half, (f1 - root) * half);
        // b + b' = F2 − y and a·b' + a'·b = F3; none if a = a'.
        let b = (a * (f2 - y) - f3) * root.inverse()?;
        let other_b = f2 - y - b;
        let x = b * other_b;
        let linear = [x + y * MONTGOMERY_A - f4, -f5, y - f6, -f7];
        Some(Self { factors: [[a, b], [other_a, other_b]], linear })
    }
}

/// F1 … F7 of the function that has these eight zeros (see [`Table`]), by elimination.
fn function_with_zeros(points: &[(Fr, Fr); 8]) -> [Fr; 7] {
    let mut rows = points.map(|(u, t)| {
        let w = u.square();
        [t * w, u * w, u * t, w, t, u, Fr::ONE, -w.square()]
    });
    for column in 0..7 {
        let at = (column..8).find(|row| rows[*row][column] != Fr::ZERO);
        rows.swap(column, at.expect("seven of the points determine the function"));
        let inverse = rows[column][column].inverse().expect("not 0");
        let pivot = rows[column].map(|entry| entry * inverse);
        rows[column] = pivot;
        for row in (0..8).filter(|row| *row != column) {
            let factor = rows[row][column];
            rows[row].iter_mut().zip(pivot).for_each(|(entry, p)| *entry -= factor * p);
        }
    }
    assert_eq!(rows[7][7], Fr::ZERO, "the sum of the points is not neutral");
    std::array::from_fn(|i| rows[i][7])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{INPUT_COUNT, first_violated};
    use ark_ff::UniformRand;
    use kerros_protocol::eddsa::BASE8;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn accepts(b: &Builder, wires: [Fr; 4]) -> Option<usize> {
        let mut assignment = b.assignment().to_vec();
        assignment[INPUT_COUNT..INPUT_COUNT + 4].copy_from_slice(&wires);
        first_violated(b.constraints(), &assignment)
    }

    #[test]
    fn a_table_gives_its_sixteen_points() {
        for base in [1u64, 16, 12345].map(|n| BASE8.times(n.into())) {
            let table = Table::new(&base);
            for digit in (-15..=15).step_by(2) {
                let mut b = Builder::recording();
                let entry = table.choose(&mut b, digit);
                let expected = montgomery(&base.times(Scalar::from(digit)));
                assert_eq!((entry.u.value, entry.v.value), expected);
                assert_eq!(b.constraint_count(), 4);
                assert_eq!(first_violated(b.constraints(), b.assignment()), None);
            }
        }
    }

    #[test]
    fn a_table_gives_no_other_point() {
        let table = Table::new(&BASE8);
        let mut b = Builder::recording();
        table.choose(&mut b, 1);
        for (position, (u, t)) in table.points.into_iter().enumerate() {
            let w = u.square();
            assert_eq!(accepts(&b, [u, t, w, t]), None);
            assert_eq!(accepts(&b, [u, t, w, -t]), None);
            // v is ±t and w is u²; t is the table's, not its negative.
            assert_eq!(accepts(&b, [u, t, w, Fr::ZERO]), Some(3));
            assert_eq!(accepts(&b, [u, t, w, t.double()]), Some(3));
            assert_eq!(accepts(&b, [u, t, w + Fr::ONE, t]), Some(0));
            assert_eq!(accepts(&b, [u, -t, w, t]), Some(1));
            let other = table.points[(position + 1) % 8];
            assert_eq!(accepts(&b, [u, other.1, w, other.1]), Some(1));
            assert_eq!(accepts(&b, [other.0, t, other.0.square(), t]), Some(1));
        }
        // Other points of the curve: other multiples, odd or even, the point of order 2, neighbours.
        for n in (0..40u64).filter(|n| *n == 0 || *n > 15 || n % 2 == 0) {
            let (u, t) = match n {
                0 => (Fr::ZERO, Fr::ZERO),
                n => montgomery(&BASE8.times(n.into())),
            };
            assert_eq!(accepts(&b, [u, t, u.square(), t]), Some(1));
            assert_eq!(accepts(&b, [u, -t, u.square(), t]), Some(1));
        }
    }

    #[test]
    fn the_equations_are_those_of_the_curve_and_of_the_function() {
        // At any u, t and w = u²: each equation is F + y·G, so both hold only where F = G = 0.
        let mut rng = StdRng::seed_from_u64(3);
        let table = Table::new(&BASE8);
        let f = function_with_zeros(&table.points);
        for _ in 0..20 {
            let [u, t] = [Fr::rand(&mut rng), Fr::rand(&mut rng)];
            let w = u.square();
            let terms = [t * w, u * w, u * t, w, t, u, Fr::ONE];
            let f = w.square() + f.iter().zip(terms).map(|(f, term)| *f * term).sum::<Fr>();
            let g = t.square() - u * w - MONTGOMERY_A * w - u;
            let mut ratios = table.quadrics.iter().map(|Quadric { factors, linear }| {
                let [one, two] = factors.map(|[a, b]| w + a * t + b * u);
                let [c, d, e, constant] = *linear;
                let y = (one * two - (c * w + d * t + e * u + constant) - f) / g;
                assert_eq!(y, factors[0][0] * factors[1][0], "y is a·a'");
                y
            });
            assert_ne!(ratios.next(), ratios.next());
        }
    }

    #[test]
    #[should_panic(expected = "the sum of the points is not neutral")]
    fn points_whose_sum_is_not_neutral_make_no_table() {
        function_with_zeros(
            &[1u64, 3, 5, 7, 9, 11, 13, 15].map(|n| montgomery(&BASE8.times(n.into()))),
        );
    }
}
