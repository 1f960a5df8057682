//! Affine additions of many pairs of points, eight at a time, that share one inversion.
//!
//! A slope is `(y2 - y1) / (x2 - x1)`. The forward pass multiplies all denominators together, one
//! product per lane and chain; the backward pass takes each inverse out of the product's inverse
//! (Montgomery's trick). Pairs without such a slope (equal or opposite points, infinity) are
//! found by their zero denominator or zero x and get what they need from [`resolve`].
//!
//! Coordinates have D coefficients: one in G1, two in G2. Bounds of integers are given for both.
//!
//! Powers of two: coordinates are integers `x · 2^256` and [`mul`] divides by `2^260`. The product
//! is inverted to `2^518 / product`, hence inverses carry `2^262` and slopes `2^258`; a slope's
//! square then carries `2^256` again, and the slope times `4(x1 - x3)` too.
#![allow(clippy::needless_range_loop, reason = "an index runs over several arrays at once")]

use crate::field::{Elements, Loose};
use crate::kernel::{Entry, Sum};
use crate::lanes::{load, prefetch, store};
use crate::point::{Addition, Prepared, addition};
use crate::quadratic::{mul, square};
use ark_bn254::Fq;
use ark_ec::CurveConfig;
use ark_ff::{AdditiveGroup, Field, serial_batch_inversion_and_mul};
use std::arch::x86_64::*;

/// Independent products, so that one's latency hides behind the other's work.
const CHAINS: usize = 2;
/// How many steps ahead points are asked for.
const PREFETCH: usize = 4;

type BaseField<P> = <<P as Prepared>::Curve as CurveConfig>::BaseField;

/// Memory that is used again by the next batch.
pub struct Scratch<P, const D: usize> {
    steps: Vec<Step<D>>,
    resolved: Vec<(u32, P)>,
}

impl<P, const D: usize> Default for Scratch<P, D> {
    fn default() -> Self {
        Self { steps: Vec::new(), resolved: Vec::new() }
    }
}

/// What the backward pass needs of eight pairs.
#[derive(Clone, Copy)]
struct Step<const D: usize> {
    numerator: [Elements; D],
    denominator: [Elements; D],
    /// The chain's product before this step.
    product: [Elements; D],
    x1: [Elements; D],
    y1: [Loose; D],
    x_sum: [Loose; D],
}

/// See [`crate::kernel::Kernel::add_all`].
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn add_all<P: Prepared, const D: usize>(
    from: &[P],
    into: &mut [P],
    sums: &[Sum],
    scratch: &mut Scratch<P, D>,
) {
    let Some(last) = sums.last() else { return };
    let (eights, rest) = sums.as_chunks::<8>();
    // Behind the end the last sum is repeated: it gives the same result again.
    let mut padded = [*last; 8];
    padded[..rest.len()].copy_from_slice(rest);
    let eight = |step: usize| eights.get(step).unwrap_or(&padded);
    let steps = sums.len().div_ceil(8).next_multiple_of(CHAINS);
    if scratch.steps.len() < steps {
        let one = [Elements::ones(); D];
        let loose = [Elements::ones().loose(); D];
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
    let mut one = [Elements::ones(); D];
    one[1..].fill(Elements::zeros());
    let mut products = [one; CHAINS];
    for first in (0..steps).step_by(CHAINS) {
        for chain in 0..CHAINS {
            for ahead in eights.get(first + chain + PREFETCH).into_iter().flatten() {
                prefetch(&from[ahead.left.index()]);
                prefetch(&from[ahead.right.index()]);
            }
            let step = &mut scratch.steps[first + chain];
            prepare(from, eight(first + chain), step, &mut scratch.resolved);
            step.product = products[chain];
        }
        for chain in 0..CHAINS {
            products[chain] = mul(&products[chain], &scratch.steps[first + chain].denominator);
        }
    }
    let mut inverses = inverted::<P, D>(&products);
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
            let (mut x, mut across) = (square(slope), *slope);
            for d in 0..D {
                // A square is below 1.16 p: x is above -2 · 1.646 p + 4 p and below 5.16 p.
                x[d] = x[d].loose().sub(&step.x_sum[d]).plus_p::<4>().reduce();
                // Below 4 (1.646 p + 2 p) < 14.6 p.
                let difference = step.x1[d].loose().sub(&x[d].loose());
                across[d] = difference.plus_p::<2>().quadruple().carry();
            }
            let mut y = mul(slope, &across);
            for d in 0..D {
                // Below 2.36 p + 2 p, above 2 p - 1.646 p.
                y[d] = y[d].loose().sub(&step.y1[d]).plus_p::<2>().reduce();
            }
            scatter(into, eight(first + chain), &x, &y);
        }
    }
    for (at, point) in &scratch.resolved {
        into[*at as usize] = *point;
    }
}

/// Fills in all of a step but the product.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn prepare<P: Prepared, const D: usize>(
    from: &[P],
    sums: &[Sum; 8],
    step: &mut Step<D>,
    resolved: &mut Vec<(u32, P)>,
) {
    let (x1, y1) = gather(from, &sums.map(|sum| sum.left));
    let (x2, y2): ([_; D], [_; D]) = gather(from, &sums.map(|sum| sum.right));
    // No point of the curves has x = 0, only infinity as it is kept here; were there one, it would
    // only take the slower way.
    let (mut same, mut zero1, mut zero2) = (0xff, 0xff, 0xff);
    for d in 0..D {
        // Differences are from 2 p - 1.646 p to 2 p + 1.646 p.
        step.denominator[d] = x2[d].loose().sub(&x1[d].loose()).plus_p::<2>().carry();
        step.numerator[d] = y2[d].sub(&y1[d]).plus_p::<2>().carry();
        step.x_sum[d] = x1[d].loose().add(&x2[d].loose());
        same &= step.denominator[d].may_be_multiple_of_p();
        zero1 &= x1[d].may_be_zero();
        zero2 &= x2[d].may_be_zero();
    }
    step.x1 = x1;
    step.y1 = y1;
    if same | zero1 | zero2 != 0 {
        resolve(from, sums, same | zero1 | zero2, step, resolved);
    }
}

/// Pairs that the general formula cannot add: a doubling gets the tangent's slope; where the
/// result is infinity or an operand, it is noted, and the lane computes something harmless.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn resolve<P: Prepared, const D: usize>(
    from: &[P],
    sums: &[Sum; 8],
    special: __mmask8,
    step: &mut Step<D>,
    resolved: &mut Vec<(u32, P)>,
) {
    let mut numerators = unpack::<P, D>(&step.numerator);
    let mut denominators = unpack::<P, D>(&step.denominator);
    for (lane, sum) in sums.iter().enumerate() {
        if special >> lane & 1 == 0 {
            continue;
        }
        let operand = |entry: Entry| {
            let point = from[entry.index()].to_affine();
            if entry.sign() == 1 { -point } else { point }
        };
        match addition(&operand(sum.left), &operand(sum.right)) {
            Addition::Line(up, along) => (numerators[lane], denominators[lane]) = (up, along),
            Addition::Known(point) => {
                denominators[lane] = BaseField::<P>::ONE;
                resolved.push((sum.into, point.into()));
            }
        }
    }
    step.numerator = pack::<P, D>(&numerators);
    step.denominator = pack::<P, D>(&denominators);
}

/// `2^518` divided by each product.
#[target_feature(enable = "avx512f,avx512ifma")]
fn inverted<P: Prepared, const D: usize>(
    products: &[[Elements; D]; CHAINS],
) -> [[Elements; D]; CHAINS] {
    let mut elements = [BaseField::<P>::ZERO; 8 * CHAINS];
    for (eight, product) in elements.as_chunks_mut().0.iter_mut().zip(products) {
        *eight = unpack::<P, D>(product);
    }
    // As a Montgomery form the integer n stands for n / 2^256, the inverse of which is kept as
    // 2^512 / n.
    serial_batch_inversion_and_mul(&mut elements, &BaseField::<P>::from(64u64));
    let mut inverses = *products;
    for (eight, inverse) in elements.as_chunks().0.iter().zip(&mut inverses) {
        *inverse = pack::<P, D>(eight);
    }
    inverses
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn pack<P: Prepared, const D: usize>(elements: &[BaseField<P>; 8]) -> [Elements; D] {
    let mut coefficients = [[Fq::ZERO; 8]; D];
    for (lane, element) in elements.iter().enumerate() {
        for (eight, one) in coefficients.iter_mut().zip(element.to_base_prime_field_elements()) {
            eight[lane] = one;
        }
    }
    let mut packed = [Elements::zeros(); D];
    for d in 0..D {
        packed[d] = Elements::pack(&coefficients[d]);
    }
    packed
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn unpack<P: Prepared, const D: usize>(packed: &[Elements; D]) -> [BaseField<P>; 8] {
    let mut coefficients = [[Fq::ZERO; 8]; D];
    for d in 0..D {
        coefficients[d] = packed[d].unpack();
    }
    let mut elements = [BaseField::<P>::ZERO; 8];
    for (lane, element) in elements.iter_mut().enumerate() {
        let coefficients = coefficients.iter().map(|eight| eight[lane]);
        *element = BaseField::<P>::from_base_prime_field_elems(coefficients)
            .expect("the field has D coefficients");
    }
    elements
}

/// Coordinates of eight points; y is from 0 to `1.646 p`, but loose. Points of which the opposite
/// is meant must be reduced.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn gather<P: Prepared, const D: usize>(from: &[P], at: &[Entry; 8]) -> ([Elements; D], [Loose; D]) {
    let mut columns = [[_mm512_setzero_si512(); 8]; D];
    let mut opposite = 0;
    for lane in 0..8 {
        let lines = from[at[lane].index()].lines();
        for line in 0..D {
            columns[line][lane] = load(&lines[line]);
        }
        opposite |= at[lane].sign() << lane;
    }
    for line in 0..D {
        columns[line] = transpose(columns[line]);
    }
    let (mut x, mut y) = ([Elements::zeros(); D], [Elements::zeros().loose(); D]);
    for d in 0..D {
        x[d] = Elements::from_words(half(&columns[d / 2], d % 2));
        let coefficient = Elements::from_words(half(&columns[(D + d) / 2], (D + d) % 2));
        y[d] = coefficient.loose().negate(opposite as __mmask8);
    }
    (x, y)
}

/// The lower or upper half of a line's words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn half(line: &[__m512i; 8], upper: usize) -> [__m512i; 4] {
    let at = 4 * upper;
    [line[at], line[at + 1], line[at + 2], line[at + 3]]
}

/// Writes eight points.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn scatter<P: Prepared, const D: usize>(
    into: &mut [P],
    sums: &[Sum; 8],
    x: &[Elements; D],
    y: &[Elements; D],
) {
    for line in 0..D {
        let coefficient = |k: usize| if k < D { x[k] } else { y[k - D] };
        let (low, high) = (coefficient(2 * line), coefficient(2 * line + 1));
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (low.to_words(), high.to_words());
        let rows = transpose([a0, a1, a2, a3, b0, b1, b2, b3]);
        for lane in 0..8 {
            store(&mut into[sums[lane].into as usize].lines_mut()[line], rows[lane]);
        }
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
