//! Whether a sum of many multiples of points is the neutral element: Pippenger's method.
//!
//! Single-threaded on purpose: the callers run many of these on one pool, where arkworks' parallel
//! sums nest and pile up on the stacks. Arithmetic runs on the twist with a = −1 (−a of circomlib's
//! curve is a square), where adding a prepared point takes 7 products (Hisil, Wong, Carter, Dawson,
//! "Twisted Edwards curves revisited", 2008, section 3.1); the formulas are complete, because −1
//! is a square and `d' = −d/a` is none. Not constant time: for public values.

use super::{A, D, Point};
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, BigInteger256, Field};
use std::sync::OnceLock;

/// Constants of the twist `−x² + y² = 1 + d'x²y²`.
struct Twist {
    /// √(−a): from circomlib's x to the twist's.
    scale: Fr,
    /// `2d'`.
    twice_d: Fr,
    /// `2d'·√(−a)`.
    scaled_twice_d: Fr,
    /// `1/d'`.
    inverse_d: Fr,
}

fn twist() -> &'static Twist {
    static TWIST: OnceLock<Twist> = OnceLock::new();
    TWIST.get_or_init(|| {
        let scale = (-A).sqrt().expect("a and −1 are squares in Fr");
        let d = -D / A;
        let inverse_d = d.inverse().expect("d is not 0");
        Twist { scale, twice_d: d.double(), scaled_twice_d: d.double() * scale, inverse_d }
    })
}

/// A point prepared for additions: `(y + x, y − x, 2d'xy)`.
#[derive(Clone, Copy)]
pub(super) struct Prepared {
    sum: Fr,
    difference: Fr,
    product: Fr,
}

impl From<Point> for Prepared {
    fn from(Point { x, y }: Point) -> Self {
        let twist = twist();
        let scaled = x * twist.scale;
        Self { sum: y + scaled, difference: y - scaled, product: x * y * twist.scaled_twice_d }
    }
}

impl Prepared {
    fn negated_if(mut self, negated: bool) -> Self {
        if negated {
            std::mem::swap(&mut self.sum, &mut self.difference);
            self.product = -self.product;
        }
        self
    }
    fn extended(&self) -> Extended {
        // All coordinates doubled: (2x, 2y, 2, 2xy).
        Extended {
            x: self.sum - self.difference,
            y: self.sum + self.difference,
            z: Fr::ONE.double(),
            t: self.product * twist().inverse_d,
        }
    }
}

/// Extended coordinates: `x/z`, `y/z`, `t = xy/z`.
#[derive(Clone, Copy)]
struct Extended {
    x: Fr,
    y: Fr,
    z: Fr,
    t: Fr,
}

impl Extended {
    const NEUTRAL: Self = Self { x: Fr::ZERO, y: Fr::ONE, z: Fr::ONE, t: Fr::ZERO };

    fn is_neutral(&self) -> bool {
        self.x == Fr::ZERO && self.y == self.z
    }
    /// The end that all additions share: `E = B − A`, `H = B + A`, `F = D − C`, `G = D + C`.
    #[inline(always)]
    fn combine(a: Fr, b: Fr, c: Fr, d: Fr) -> Self {
        let (e, f, g, h) = (b - a, d - c, d + c, b + a);
        Self { x: e * f, y: g * h, z: f * g, t: e * h }
    }
    fn add_prepared(&mut self, other: &Prepared) {
        let a = (self.y - self.x) * other.difference;
        let b = (self.y + self.x) * other.sum;
        let c = self.t * other.product;
        *self = Self::combine(a, b, c, self.z.double());
    }
    fn add(&mut self, other: &Self) {
        let a = (self.y - self.x) * (other.y - other.x);
        let b = (self.y + self.x) * (other.y + other.x);
        let c = self.t * twist().twice_d * other.t;
        *self = Self::combine(a, b, c, (self.z * other.z).double());
    }
    fn double(&mut self) {
        let (xx, yy, zz) = (self.x.square(), self.y.square(), self.z.square());
        let e = (self.x + self.y).square() - xx - yy;
        let (g, h) = (yy - xx, -(xx + yy));
        let f = g - zz.double();
        *self = Self { x: e * f, y: g * h, z: f * g, t: e * h };
    }
}

/// A point and the integer in front of it.
pub(super) struct Term {
    pub(super) point: Prepared,
    pub(super) scalar: BigInteger256,
}

/// Terms whose scalars have at most so many bits.
pub(super) struct Terms {
    pub(super) bits: usize,
    pub(super) terms: Vec<Term>,
}

/// Windows of `width` bits for signed digits; one bit more than the scalar has, so that the
/// highest digit carries nothing out.
fn windows(bits: usize, width: usize) -> usize {
    bits / width + 1
}

/// The width with the least estimated number of products in Fr.
fn best_width(lists: &[Terms]) -> usize {
    let cost = |width: &usize| {
        let longest = lists.iter().map(|list| windows(list.bits, *width)).max().unwrap_or(0);
        let additions: usize =
            lists.iter().map(|list| 7 * list.terms.len() * windows(list.bits, *width)).sum();
        additions + longest * (1 << (width - 1)) * 18
    };
    (2..=12).min_by_key(cost).unwrap_or(2)
}

/// Signed digits, lowest first: `Σ digit_k·2^(width·k)`, each from −2^(width−1) to 2^(width−1).
fn signed_digits(scalar: &BigInteger256, count: usize, width: usize) -> impl Iterator<Item = i32> {
    let limbs = scalar.0;
    let mut carry = 0u64;
    (0..count).map(move |window| {
        let (limb, offset) = (window * width / 64, window * width % 64);
        let mut word = limbs.get(limb).map_or(0, |low| low >> offset);
        if offset + width > 64 {
            word |= limbs.get(limb + 1).map_or(0, |high| high << (64 - offset));
        }
        let value = (word & ((1 << width) - 1)) + carry;
        carry = u64::from(value > 1 << (width - 1));
        let digit = i32::try_from(value).expect("at most 2^12");
        if carry == 1 { digit - (1 << width) } else { digit }
    })
}

/// Whether the terms of all lists sum to the neutral element.
pub(super) fn is_neutral(lists: &[Terms]) -> bool {
    let width = best_width(lists);
    let digits: Vec<(usize, Vec<i32>)> = lists
        .iter()
        .map(|list| {
            let count = windows(list.bits, width);
            let terms = list.terms.iter();
            (count, terms.flat_map(|term| signed_digits(&term.scalar, count, width)).collect())
        })
        .collect();
    let highest = digits.iter().map(|(count, _)| *count).max().unwrap_or(0);
    let mut sum = Extended::NEUTRAL;
    let mut buckets: Vec<Option<Extended>> = vec![None; 1 << (width - 1)];
    for window in (0..highest).rev() {
        for _ in 0..width {
            sum.double();
        }
        for (list, (count, digits)) in lists.iter().zip(&digits) {
            if window >= *count {
                continue;
            }
            for (term, digits) in list.terms.iter().zip(digits.chunks_exact(*count)) {
                fill(&mut buckets, &term.point, digits[window]);
            }
        }
        if let Some(weighted) = empty(&mut buckets) {
            sum.add(&weighted);
        }
    }
    sum.is_neutral()
}

/// Adds a point to the bucket of its digit.
fn fill(buckets: &mut [Option<Extended>], point: &Prepared, digit: i32) {
    let Some(index) = (digit.unsigned_abs() as usize).checked_sub(1) else { return };
    let point = point.negated_if(digit < 0);
    match &mut buckets[index] {
        Some(bucket) => bucket.add_prepared(&point),
        bucket => *bucket = Some(point.extended()),
    }
}

/// `Σ (i + 1)·bucket_i` by running sums; empties the buckets.
fn empty(buckets: &mut [Option<Extended>]) -> Option<Extended> {
    let (mut running, mut weighted): (Option<Extended>, Option<Extended>) = (None, None);
    for bucket in buckets.iter_mut().rev() {
        accumulate(&mut running, bucket.take());
        accumulate(&mut weighted, running);
    }
    weighted
}

fn accumulate(sum: &mut Option<Extended>, value: Option<Extended>) {
    match (sum.as_mut(), value) {
        (Some(sum), Some(value)) => sum.add(&value),
        (None, value) => *sum = value,
        (Some(_), None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::BASE8;
    use super::super::test_points::{curve_points, low_order_points, minus};
    use super::*;
    use ark_ed_on_bn254::Fr as Scalar;
    use ark_ff::{BigInteger, PrimeField, UniformRand};

    #[test]
    fn digits_recompose_the_scalar_at_every_width() {
        let mut rng = rand::thread_rng();
        for width in 2..=12 {
            for case in 0..20u32 {
                let scalar = match case {
                    0 => BigInteger256::from(0u64),
                    1 => Fr::MODULUS,
                    _ => Fr::rand(&mut rng).into_bigint(),
                };
                let digits: Vec<i32> = signed_digits(&scalar, windows(254, width), width).collect();
                assert!(digits.iter().all(|digit| digit.unsigned_abs() <= 1 << (width - 1)));
                let base = Fr::from(1u64 << width);
                let value =
                    digits.iter().rev().fold(Fr::ZERO, |value, d| value * base + Fr::from(*d));
                assert_eq!(value, Fr::from_le_bytes_mod_order(&scalar.to_bytes_le()));
            }
        }
    }

    #[test]
    fn sums_that_cancel_are_neutral_and_others_are_not() {
        let mut rng = rand::thread_rng();
        for count in [0, 1, 2, 3, 10, 40, 150] {
            let term = |point: Point, scalar: Scalar| Term {
                point: point.into(),
                scalar: scalar.into_bigint(),
            };
            let (mut long, mut short) = (Vec::new(), Vec::new());
            let mut total = Scalar::ZERO;
            for _ in 0..count {
                let (k, s) = (Scalar::rand(&mut rng), Scalar::rand(&mut rng));
                let z = Scalar::from(u128::rand(&mut rng));
                long.push(term(BASE8.times(k), s));
                short.push(term(minus(BASE8.times(k)), z));
                total += k * (s - z);
            }
            long.push(term(BASE8, -total));
            let mut lists = [Terms { bits: 254, terms: long }, Terms { bits: 128, terms: short }];
            assert!(is_neutral(&lists));
            for torsion in &low_order_points()[1..] {
                lists[1].terms.push(term(*torsion, Scalar::from(1u64)));
                assert!(!is_neutral(&lists));
                lists[1].terms.pop();
            }
            lists[0].terms.push(term(curve_points(1)[0], Scalar::from(1u64)));
            assert!(!is_neutral(&lists));
        }
    }
}
