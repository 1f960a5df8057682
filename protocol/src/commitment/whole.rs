//! A sum of multiples over a whole ledger, on all processors: Pippenger's buckets in affine
//! coordinates, which are added to in batches with one inversion.
//!
//! Digits are taken from the scalars when they are needed, so that it needs less memory than the general
//! sum of arkworks, which keeps all of them. Threads take windows; nothing is shared between them but
//! points and scalars. Not constant in time: what it adds up is published.

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, BigInteger, BigInteger256, Field, One, PrimeField, Zero};
use rayon::prelude::*;

/// Bits of a scalar.
const BITS: usize = Fr::MODULUS_BIT_SIZE as usize;
/// Additions that share an inversion, at most.
const BATCH_MAX: usize = 512;
/// Buckets for each addition of a batch: few additions meet in one bucket then.
const BUCKETS_EACH: usize = 16;

/// Bits of a window: buckets cost two additions each, points one.
fn window(points: usize) -> usize {
    let log = points.max(1).ilog2() as usize;
    log.saturating_sub(5).clamp(4, 15)
}

/// `Σ 2^(width−1)·2^(width·i)` over all windows but the last: added to a scalar once, it turns the bits
/// of each of these windows into a signed digit plus `2^(width−1)`, without carries from one to the next.
fn bias(width: usize) -> BigInteger256 {
    let mut bias = BigInteger256::zero();
    for window in 1..BITS.div_ceil(width) {
        let mut one = BigInteger256::one();
        one <<= u32::try_from(window * width - 1).expect("below 256");
        bias.add_with_carry(&one);
    }
    bias
}

/// The bits of a window; those of the last one are all that is left.
fn bits(scalar: &BigInteger256, window: usize, width: usize) -> usize {
    let (limb, shift) = (window * width / 64, window * width % 64);
    let mut bits = scalar.0[limb] >> shift;
    if shift + width > 64 && limb + 1 < 4 {
        bits |= scalar.0[limb + 1] << (64 - shift);
    }
    // Masked, so below 2^15.
    usize::try_from(bits & ((1 << width) - 1)).expect("a few bits")
}

/// `Σ scalar_i · points[i]`; there must be a point for every scalar.
pub(crate) fn sum(
    points: &[G1Affine],
    scalars: impl IndexedParallelIterator<Item = Fr>,
) -> G1Projective {
    let width = window(scalars.len());
    let bias = bias(width);
    let mut biased = Vec::new();
    let one = scalars.map(|scalar| {
        let mut value = scalar.into_bigint();
        // Below 2^254 + 2^254.
        value.add_with_carry(&bias);
        value
    });
    one.collect_into_vec(&mut biased);
    assert!(points.len() >= biased.len(), "a point for every scalar");
    let count = BITS.div_ceil(width);
    let windows: Vec<G1Projective> = (0..count)
        .into_par_iter()
        .map(|window| {
            let (half, last) = (1 << (width - 1), window + 1 == count);
            let mut buckets = Buckets::new(if last { 2 * half } else { half });
            for (point, scalar) in points.iter().zip(&biased) {
                let bits = bits(scalar, window, width);
                match if last { 0 } else { half } {
                    zero if bits > zero => buckets.add(bits - zero, *point),
                    zero if bits < zero => buckets.add(zero - bits, -*point),
                    _ => {}
                }
            }
            buckets.sum()
        })
        .collect();
    windows.iter().rev().fold(G1Projective::zero(), |mut total, sum| {
        for _ in 0..width {
            total.double_in_place();
        }
        total + sum
    })
}

/// Buckets 1, 2, … of one window.
struct Buckets {
    sums: Vec<G1Affine>,
    /// What meets another addition to the same bucket in the same batch.
    aside: Vec<G1Projective>,
    /// Additions that wait, at most one a bucket.
    batch: Vec<(usize, G1Affine)>,
    waiting: Vec<bool>,
    batch_max: usize,
    products: Vec<Fq>,
}

impl Buckets {
    fn new(count: usize) -> Self {
        Self {
            sums: vec![G1Affine::identity(); count],
            aside: vec![G1Projective::zero(); count],
            batch: Vec::new(),
            waiting: vec![false; count],
            batch_max: (count / BUCKETS_EACH).clamp(1, BATCH_MAX),
            products: Vec::new(),
        }
    }
    fn add(&mut self, bucket: usize, point: G1Affine) {
        let bucket = bucket - 1;
        if self.waiting[bucket] {
            self.aside[bucket] += point;
        } else if self.sums[bucket].is_zero() {
            self.sums[bucket] = point;
        } else if !point.is_zero() {
            self.waiting[bucket] = true;
            self.batch.push((bucket, point));
            if self.batch.len() == self.batch_max {
                self.flush();
            }
        }
    }
    /// Does what waits: by the chord or the tangent, all denominators inverted together.
    fn flush(&mut self) {
        let mut product = Fq::one();
        self.products.clear();
        for (bucket, point) in &self.batch {
            self.products.push(product);
            product *= denominator(&self.sums[*bucket], point);
        }
        let mut inverse = product.inverse().expect("no denominator is 0");
        for ((bucket, point), before) in self.batch.iter().zip(&self.products).rev() {
            let sum = &mut self.sums[*bucket];
            let slope = inverse * before;
            inverse *= denominator(sum, point);
            *sum = add(sum, point, slope);
            self.waiting[*bucket] = false;
        }
        self.batch.clear();
    }
    /// Bucket d counts d times: each running sum from above is added once.
    fn sum(mut self) -> G1Projective {
        self.flush();
        let (mut running, mut sum) = (G1Projective::zero(), G1Projective::zero());
        for (bucket, aside) in self.sums.iter().zip(&self.aside).rev() {
            running += bucket;
            running += aside;
            sum += running;
        }
        sum
    }
}

/// What the slope through two points, neither of them neutral, has to be divided by; 1 if their sum
/// is neutral. The group's order is odd: no point has y = 0.
fn denominator(a: &G1Affine, b: &G1Affine) -> Fq {
    match (a.x == b.x, a.y == b.y) {
        (false, _) => b.x - a.x,
        (true, true) => a.y.double(),
        (true, false) => Fq::one(),
    }
}

/// a + b with the inverse of their denominator.
fn add(a: &G1Affine, b: &G1Affine, inverse: Fq) -> G1Affine {
    let slope = match (a.x == b.x, a.y == b.y) {
        (false, _) => (b.y - a.y) * inverse,
        (true, true) => {
            let square = a.x.square();
            (square.double() + square) * inverse
        }
        (true, false) => return G1Affine::identity(),
    };
    let x = slope.square() - a.x - b.x;
    let y = slope * (a.x - x) - a.y;
    G1Affine::new_unchecked(x, y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ec::{CurveGroup, VariableBaseMSM};
    use ark_ff::UniformRand;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn the_bits_of_all_windows_are_the_scalar_again() {
        let rng = &mut StdRng::seed_from_u64(5);
        let mut scalars = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, -Fr::ONE / Fr::from(2u64)];
        scalars.extend((0..20).map(|_| Fr::rand(rng)));
        for width in 4..=15 {
            let (count, half) = (BITS.div_ceil(width), Fr::from(1u64 << (width - 1)));
            for scalar in &scalars {
                let mut biased = scalar.into_bigint();
                assert!(!biased.add_with_carry(&bias(width)), "below 2^256");
                let mut value = Fr::ZERO;
                for window in (0..count).rev() {
                    let digit = Fr::from(bits(&biased, window, width) as u64);
                    let zero = if window + 1 == count { Fr::ZERO } else { half };
                    value = value * half.double() + digit - zero;
                }
                assert_eq!(value, *scalar, "width {width}");
            }
        }
    }

    #[test]
    fn a_sum_is_that_of_the_general_algorithm() {
        let rng = &mut StdRng::seed_from_u64(6);
        for count in [0usize, 1, 2, 33, 2_000, 20_000] {
            let mut points: Vec<G1Affine> = (0..count).map(|_| G1Affine::rand(rng)).collect();
            let mut scalars: Vec<Fr> = (0..count).map(|_| Fr::rand(rng)).collect();
            for i in (7..count).step_by(5) {
                // Equal, opposite and neutral points meet in one bucket, and scalars are 0 or short.
                scalars[i] = if i % 2 == 0 { scalars[1] } else { -scalars[1] };
                points[i] = if i % 3 == 0 { points[1] } else { -points[1] };
                points[i - 1] = G1Affine::identity();
                scalars[i - 2] = Fr::from(i as u64 % 3);
            }
            let sum = sum(&points, scalars.par_iter().copied());
            let general = G1Projective::msm_unchecked(&points, &scalars);
            assert_eq!(sum.into_affine(), general.into_affine(), "{count} points");
        }
    }
}
