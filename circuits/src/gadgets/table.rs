//! A constant point, up to its sign, out of a table of four: three constraints.

use super::curve::{Montgomery, montgomery};
use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use kerros_protocol::eddsa::Point;

/// `a·u + b·t + c = 0`.
type Line = [Fr; 3];

/// Four points `(u, t)` of which no three lie on a line.
pub struct Table {
    points: [(Fr, Fr); 4],
    /// The lines 12, 34, 13 and 24. Each of the first two meets each of the others in exactly
    /// one point, and these are the four points.
    lines: [Line; 4],
}

fn line(p: (Fr, Fr), q: (Fr, Fr)) -> Line {
    [p.1 - q.1, q.0 - p.0, p.0 * q.1 - q.0 * p.1]
}

impl Table {
    /// A table of points with `x ≠ 0`; three of them, with any signs, must not have the sum 0: in
    /// Montgomery form they would be on a line.
    pub fn new(points: [Point; 4]) -> Self {
        let points = points.map(|point| montgomery(&point));
        let [p, q, r, s] = points;
        for [first, second, (u, t)] in [[p, q, r], [p, q, s], [p, r, s], [q, r, s]] {
            let [a, b, c] = line(first, second);
            assert!(a * u + b * t + c != Fr::ZERO, "three points of a table on a line");
        }
        Self { points, lines: [line(p, q), line(r, s), line(p, r), line(q, s)] }
    }

    /// The entry at `position`, negated or not: a choice of the prover, and one of eight points
    /// whatever the prover does. `(u, t)` is on a line of either pair, and v is `±t`.
    pub fn choose(&self, b: &mut Builder, position: usize, negative: bool) -> Montgomery {
        let (u, t) = self.points[position];
        let (u, t) = (b.wire(u), b.wire(t));
        let [first, second, third, fourth] = self.lines.map(|[a, b, c]| &(&u * a).plus(&t, b) + c);
        b.enforce(&first, &second, &Num::zero());
        b.enforce(&third, &fourth, &Num::zero());
        let v = b.wire(if negative { -t.value } else { t.value });
        b.enforce(&(&v - &t), &(&v + &t), &Num::zero());
        Montgomery { u, v }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{INPUT_COUNT, first_violated};
    use ark_ff::Field;
    use kerros_protocol::eddsa::BASE8;

    fn points() -> [Point; 4] {
        [1u64, 3, 5, 7].map(|n| BASE8.times(n.into()))
    }

    /// The meeting of two lines.
    fn meeting([a, b, c]: Line, [d, e, f]: Line) -> (Fr, Fr) {
        let inverse = (a * e - b * d).inverse().unwrap();
        ((b * f - c * e) * inverse, (c * d - a * f) * inverse)
    }

    #[test]
    fn a_table_gives_its_eight_points_and_no_other() {
        let table = Table::new(points());
        let mut b = Builder::recording();
        table.choose(&mut b, 0, false);
        assert_eq!(b.constraint_count(), 3);
        let accepts = |u: Fr, t: Fr, v: Fr| {
            let mut assignment = b.assignment().to_vec();
            assignment[INPUT_COUNT..INPUT_COUNT + 3].copy_from_slice(&[u, t, v]);
            first_violated(b.constraints(), &assignment).is_none()
        };
        for (position, point) in points().iter().enumerate() {
            for negative in [false, true] {
                let mut b = Builder::recording();
                let entry = table.choose(&mut b, position, negative);
                let (u, t) = montgomery(point);
                let v = if negative { -t } else { t };
                assert_eq!((entry.u.value, entry.v.value), (u, v));
                assert!(accepts(u, t, v));
                assert!(!accepts(u, -t, v), "t itself is of the table");
                assert!(!accepts(u, t, Fr::ZERO) && !accepts(u, t, v.double()));
            }
            let other = table.points[(position + 1) % 4];
            let (u, t) = table.points[position];
            assert!(!accepts(u, other.1, other.1) && !accepts(other.0, t, t), "mixed coordinates");
        }
        // Where the lines of one pair meet, and where the two missing lines meet any other.
        let [p, q, r, s] = table.points;
        let [l12, l34, l13, l24] = table.lines;
        let mut elsewhere = vec![meeting(l12, l34), meeting(l13, l24)];
        for missing in [line(p, s), line(q, r)] {
            elsewhere.extend(table.lines.map(|l| meeting(missing, l)));
        }
        elsewhere.push(meeting(line(p, s), line(q, r)));
        elsewhere.retain(|point| !table.points.contains(point));
        assert_eq!(elsewhere.len(), 3, "the diagonal points of the four");
        for (u, t) in elsewhere {
            assert!(!accepts(u, t, t) && !accepts(u, t, -t));
        }
    }

    #[test]
    #[should_panic(expected = "three points of a table on a line")]
    fn three_points_on_a_line_make_no_table() {
        let minus_four = BASE8.times(-ark_ed_on_bn254::Fr::from(4u64));
        let [one, three, five, _] = points();
        // 1 + 3 − 4 = 0.
        Table::new([one, three, five, minus_four]);
    }
}
