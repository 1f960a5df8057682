//! Affine additions of many pairs of points, eight at a time, that share one inversion.
//!
//! A slope is `(y2 - y1) / (x2 - x1)`. The forward pass multiplies all denominators together, one
//! product per lane and chain; the backward pass takes each inverse out of the product's inverse
//! (Montgomery's trick). Pairs without such a slope (equal or opposite points, infinity) are
//! found by their zero denominator or zero x and get what they need from [`resolve`].
//!
//! Powers of two: coordinates are integers `x · 2^256` and [`mul`] divides by `2^260`. The product
//! is inverted to `2^518 / product`, hence inverses carry `2^262` and slopes `2^258`; a slope's
//! square then carries `2^256` again, and the slope times `4(x1 - x3)` too.
#![allow(clippy::needless_range_loop, reason = "an index runs over several arrays at once")]

use crate::field::{Elements, Loose, mul};
use crate::lanes::{load, store};
use crate::point::{OPPOSITE, Point};
use ark_bn254::{Fq, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Field, serial_batch_inversion_and_mul};
use std::arch::x86_64::*;

/// Independent products, so that one's latency hides behind the other's work.
const CHAINS: usize = 2;

/// `points[into] = points[left] + points[right]`.
#[derive(Clone, Copy)]
pub struct Sum {
    /// Index of the first operand.
    pub left: u32,
    /// Index of the second operand.
    pub right: u32,
    /// Index of the result.
    pub into: u32,
}

/// Memory that is used again by the next batch.
#[derive(Default)]
pub struct Scratch {
    steps: Vec<Step>,
    resolved: Vec<(u32, Point)>,
}

/// What the backward pass needs of eight pairs.
#[derive(Clone, Copy)]
struct Step {
    numerator: Elements,
    denominator: Elements,
    /// The chain's product before this step.
    product: Elements,
    x1: Elements,
    y1: Loose,
    x_sum: Loose,
}

/// See [`crate::lanes::Lanes::add_all`].
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn add_all(points: &mut [Point], sums: &[Sum], scratch: &mut Scratch) {
    if sums.is_empty() {
        return;
    }
    let steps = sums.len().div_ceil(8).next_multiple_of(CHAINS);
    if scratch.steps.len() < steps {
        let one = Elements::ones();
        let loose = one.loose();
        let step = Step {
            numerator: one,
            denominator: one,
            product: one,
            x1: one,
            y1: loose,
            x_sum: loose,
        };
        scratch.steps.resize(steps, step);
    }
    scratch.resolved.clear();
    let mut products = [Elements::ones(); CHAINS];
    for first in (0..steps).step_by(CHAINS) {
        for chain in 0..CHAINS {
            let step = &mut scratch.steps[first + chain];
            prepare(points, &eight(sums, first + chain), step, &mut scratch.resolved);
            step.product = products[chain];
        }
        for chain in 0..CHAINS {
            products[chain] = mul(&products[chain], &scratch.steps[first + chain].denominator);
        }
    }
    let mut inverses = inverted(&products);
    for first in (0..steps).step_by(CHAINS).rev() {
        let mut slopes = inverses;
        for chain in 0..CHAINS {
            let step = &scratch.steps[first + chain];
            slopes[chain] = mul(&inverses[chain], &step.product);
            inverses[chain] = mul(&inverses[chain], &step.denominator);
        }
        for chain in 0..CHAINS {
            slopes[chain] = mul(&slopes[chain], &scratch.steps[first + chain].numerator);
        }
        for chain in 0..CHAINS {
            let (step, slope) = (&scratch.steps[first + chain], &slopes[chain]);
            // The slope is below 1.06 p, x below 1.1 p - 0 + 4 p and above -2 · 1.646 p + 4 p.
            let x = mul(slope, slope).loose().sub(&step.x_sum).plus_p::<4>().reduce();
            // The factor is below 4 (1.646 p + 2 p) < 14.6 p.
            let across = step.x1.loose().sub(&x.loose()).plus_p::<2>().quadruple().carry();
            // Below 1.2 p + 2 p, above 2 p - 1.646 p.
            let y = mul(slope, &across).loose().sub(&step.y1).plus_p::<2>().reduce();
            scatter(points, &eight(sums, first + chain), x, y);
        }
    }
    for (into, point) in &scratch.resolved {
        points[*into as usize] = *point;
    }
}

/// The sums of a step. Behind the end the last one is repeated: it gives the same result again.
#[inline]
fn eight(sums: &[Sum], step: usize) -> [Sum; 8] {
    if let Some(eight) = sums.get(8 * step..8 * step + 8).and_then(|s| s.try_into().ok()) {
        return eight;
    }
    std::array::from_fn(|lane| sums[(8 * step + lane).min(sums.len() - 1)])
}

/// Fills in all of a step but the product.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn prepare(points: &[Point], sums: &[Sum; 8], step: &mut Step, resolved: &mut Vec<(u32, Point)>) {
    let (x1, y1) = gather(points, &sums.map(|sum| sum.left));
    let (x2, y2) = gather(points, &sums.map(|sum| sum.right));
    // Differences are from 2 p - 1.646 p to 2 p + 1.646 p.
    step.denominator = x2.loose().sub(&x1.loose()).plus_p::<2>().carry();
    step.numerator = y2.sub(&y1).plus_p::<2>().carry();
    step.x_sum = x1.loose().add(&x2.loose());
    step.x1 = x1;
    step.y1 = y1;
    // No point of the curve has x = 0, only infinity as it is kept here.
    let special = step.denominator.may_be_multiple_of_p() | x1.may_be_zero() | x2.may_be_zero();
    if special != 0 {
        resolve(points, sums, special, step, resolved);
    }
}

/// Pairs that the general formula cannot add: a doubling gets the tangent's slope; where the
/// result is infinity or an operand, it is noted, and the lane computes something harmless.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn resolve(
    points: &[Point],
    sums: &[Sum; 8],
    special: __mmask8,
    step: &mut Step,
    resolved: &mut Vec<(u32, Point)>,
) {
    let mut numerators = step.numerator.unpack();
    let mut denominators = step.denominator.unpack();
    for (lane, sum) in sums.iter().enumerate() {
        if special >> lane & 1 == 0 {
            continue;
        }
        let left = points[sum.left as usize].to_affine();
        let right = points[sum.right as usize].to_affine();
        let result = if left.is_zero() {
            right
        } else if right.is_zero() {
            left
        } else if left.x != right.x {
            continue;
        } else if left.y == right.y && left.y != Fq::ZERO {
            numerators[lane] = left.x.square() * Fq::from(3u64);
            denominators[lane] = left.y.double();
            continue;
        } else {
            G1Affine::identity()
        };
        denominators[lane] = Fq::ONE;
        resolved.push((sum.into, result.into()));
    }
    step.numerator = Elements::pack(&numerators);
    step.denominator = Elements::pack(&denominators);
}

/// `2^518` divided by each product.
#[target_feature(enable = "avx512f,avx512ifma")]
fn inverted(products: &[Elements; CHAINS]) -> [Elements; CHAINS] {
    let mut elements = [Fq::ZERO; 8 * CHAINS];
    for (eight, product) in elements.chunks_exact_mut(8).zip(products) {
        eight.copy_from_slice(&product.unpack());
    }
    // As a Montgomery form the integer n stands for n / 2^256, the inverse of which is kept as
    // 2^512 / n.
    serial_batch_inversion_and_mul(&mut elements, &Fq::from(64u64));
    let mut inverses = *products;
    for (eight, inverse) in elements.as_chunks().0.iter().zip(&mut inverses) {
        *inverse = Elements::pack(eight);
    }
    inverses
}

/// Coordinates of eight points; y is from 0 to `1.646 p`, but loose.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn gather(points: &[Point], at: &[u32; 8]) -> (Elements, Loose) {
    let mut rows = [_mm512_setzero_si512(); 8];
    for lane in 0..8 {
        rows[lane] = load(&points[at[lane] as usize].0);
    }
    let columns = transpose(rows);
    let bit = _mm512_set1_epi64(OPPOSITE.cast_signed());
    let opposite = _mm512_test_epi64_mask(columns[7], bit);
    let last = _mm512_andnot_si512(bit, columns[7]);
    let x = Elements::from_words([columns[0], columns[1], columns[2], columns[3]]);
    let y = Elements::from_words([columns[4], columns[5], columns[6], last]);
    (x, y.loose().negate(opposite))
}

/// Writes eight points.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn scatter(points: &mut [Point], sums: &[Sum; 8], x: Elements, y: Elements) {
    let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (x.to_words(), y.to_words());
    let rows = transpose([x0, x1, x2, x3, y0, y1, y2, y3]);
    for lane in 0..8 {
        store(&mut points[sums[lane].into as usize].0, rows[lane]);
    }
}

/// Rows to columns.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn transpose(r: [__m512i; 8]) -> [__m512i; 8] {
    // Words 0, 2, 4, 6 (a) and 1, 3, 5, 7 (b) of two neighbouring rows.
    let a01 = _mm512_unpacklo_epi64(r[0], r[1]);
    let b01 = _mm512_unpackhi_epi64(r[0], r[1]);
    let a23 = _mm512_unpacklo_epi64(r[2], r[3]);
    let b23 = _mm512_unpackhi_epi64(r[2], r[3]);
    let a45 = _mm512_unpacklo_epi64(r[4], r[5]);
    let b45 = _mm512_unpackhi_epi64(r[4], r[5]);
    let a67 = _mm512_unpacklo_epi64(r[6], r[7]);
    let b67 = _mm512_unpackhi_epi64(r[6], r[7]);
    // Of four rows: words 0 and 4, 1 and 5, 2 and 6, 3 and 7.
    let top04 = _mm512_shuffle_i64x2::<0x88>(a01, a23);
    let top26 = _mm512_shuffle_i64x2::<0xdd>(a01, a23);
    let top15 = _mm512_shuffle_i64x2::<0x88>(b01, b23);
    let top37 = _mm512_shuffle_i64x2::<0xdd>(b01, b23);
    let end04 = _mm512_shuffle_i64x2::<0x88>(a45, a67);
    let end26 = _mm512_shuffle_i64x2::<0xdd>(a45, a67);
    let end15 = _mm512_shuffle_i64x2::<0x88>(b45, b67);
    let end37 = _mm512_shuffle_i64x2::<0xdd>(b45, b67);
    [
        _mm512_shuffle_i64x2::<0x88>(top04, end04),
        _mm512_shuffle_i64x2::<0x88>(top15, end15),
        _mm512_shuffle_i64x2::<0x88>(top26, end26),
        _mm512_shuffle_i64x2::<0x88>(top37, end37),
        _mm512_shuffle_i64x2::<0xdd>(top04, end04),
        _mm512_shuffle_i64x2::<0xdd>(top15, end15),
        _mm512_shuffle_i64x2::<0xdd>(top26, end26),
        _mm512_shuffle_i64x2::<0xdd>(top37, end37),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Lanes;
    use ark_bn254::G1Projective;
    use ark_ec::{CurveGroup, PrimeGroup};
    use ark_ff::UniformRand;

    fn sum(left: usize, right: usize, into: usize) -> Sum {
        Sum { left: left as u32, right: right as u32, into: into as u32 }
    }

    #[test]
    fn all_pairs_of_special_and_random_points_add_as_in_arkworks() {
        let Some(lanes) = Lanes::detect() else {
            return println!("not run: this processor has no AVX-512 IFMA");
        };
        let mut rng = rand::thread_rng();
        let generator = G1Projective::generator();
        let mut affine: Vec<G1Affine> =
            [generator, -generator, generator.double(), G1Projective::ZERO]
                .map(|point| point.into_affine())
                .to_vec();
        affine.extend((0..9).map(|_| G1Projective::rand(&mut rng).into_affine()));
        let opposites: Vec<_> = affine.iter().map(|point| -*point).collect();
        affine.extend(opposites);
        let mut operands: Vec<Point> = affine.iter().map(|point| Point::from(*point)).collect();
        // The same points with their sign apart.
        for point in affine.clone().iter().filter(|point| !point.is_zero()) {
            affine.push(-*point);
            operands.push(Point::from(*point).signed(true));
        }
        let n = operands.len();
        // Each result lands on a place of its own; then results are added to results, which are
        // not fully reduced.
        let mut points = operands.clone();
        points.resize(n + n * n, Point::INFINITY);
        let mut scratch = Scratch::default();
        let mut sums: Vec<Sum> = Vec::new();
        for left in 0..n {
            sums.extend((0..n).map(|right| sum(left, right, n + left * n + right)));
        }
        lanes.add_all(&mut points, &sums, &mut scratch);
        for left in 0..n {
            for right in 0..n {
                let expected = (affine[left] + affine[right]).into_affine();
                assert_eq!(points[n + left * n + right].to_affine(), expected, "{left} + {right}");
            }
        }
        let before: Vec<G1Affine> = points.iter().map(|point| point.to_affine()).collect();
        let again: Vec<Sum> = (n..n + n * n).map(|i| sum(i, n + (i * 7) % (n * n), i)).collect();
        lanes.add_all(&mut points, &again, &mut scratch);
        for s in &again {
            let expected = before[s.left as usize] + before[s.right as usize];
            assert_eq!(points[s.into as usize].to_affine(), expected.into_affine());
        }
    }

    #[test]
    fn batches_of_any_length_read_all_operands_before_they_write() {
        let Some(lanes) = Lanes::detect() else {
            return println!("not run: this processor has no AVX-512 IFMA");
        };
        let mut rng = rand::thread_rng();
        let mut scratch = Scratch::default();
        for len in (0..40).chain([100, 1_000]) {
            let affine: Vec<G1Affine> =
                (0..2 * len).map(|_| G1Projective::rand(&mut rng).into_affine()).collect();
            let mut points: Vec<Point> = affine.iter().map(|point| Point::from(*point)).collect();
            let sums: Vec<Sum> = (0..len).map(|i| sum(2 * i, 2 * i + 1, i)).collect();
            lanes.add_all(&mut points, &sums, &mut scratch);
            for i in 0..2 * len {
                let expected = if i < len {
                    (affine[2 * i] + affine[2 * i + 1]).into_affine()
                } else {
                    affine[i]
                };
                assert_eq!(points[i].to_affine(), expected, "{i} of {len}");
            }
        }
    }
}
