//! FFTs of eight columns at a time, in place, on vectors that stay in the cache.
//!
//! Every butterfly multiplies first (Cooley–Tukey): `lo ± factor·hi`. Then integers grow slowly: the
//! product is below `1.8 p` while hi is below `60 p` and the factor below `1.03 p`, so a layer adds
//! at most `2 p`, and dozens of layers need no reduction.
//!
//! Factors are kept as a binary heap: those of the layer with `2^k` different ones start at `2^k`.

use crate::eights::Factor;
use crate::field::{Elements, Loose, Modulus, mul, products};

/// The largest transform has so many layers: [`crate::passes`] goes through as many without a
/// reduction, from integers below `1.6 p`, or through half as many from integers below `27.2 p`.
pub const LAYERS_MAX: u32 = 24;

/// `lo ± factor·hi` for K pairs at once: with two, one's chain of dependent instructions hides behind
/// the other's work.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn butterflies<M: Modulus, const K: usize>(
    lo: [&mut Loose<M>; K],
    hi: [&mut Loose<M>; K],
    factors: [&Elements<M>; K],
) {
    let carried = hi.each_ref().map(|hi| hi.carry());
    let products = products(carried.each_ref(), factors);
    for ((lo, hi), product) in lo.into_iter().zip(hi).zip(products) {
        *hi = lo.sub(&product).plus_p::<2>();
        *lo = lo.add(&product);
    }
}

/// From natural to bit-reversed order. Each half continues with a factor of its own: `factors` are
/// in bit-reversed order, the first layer's at `node`, which is 1 for a whole transform.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn natural_to_reversed<M: Modulus, const N: usize>(
    data: &mut [Loose<M>],
    factors: &[Factor<N>],
    node: usize,
) {
    let quarter = data.len() / 4;
    if quarter == 0 {
        if let [lo, hi] = data {
            butterflies([lo], [hi], [&factors[node].get()]);
        }
        return;
    }
    let (whole, low, high) =
        (factors[node].get(), factors[2 * node].get(), factors[2 * node + 1].get());
    for [a, b, c, d] in columns(data) {
        butterflies([a, b], [c, d], [&whole, &whole]);
        butterflies([a, c], [b, d], [&low, &high]);
    }
    if quarter > 1 {
        for (i, part) in data.chunks_exact_mut(quarter).enumerate() {
            natural_to_reversed(part, factors, 4 * node + i);
        }
    }
}

/// From bit-reversed to natural order. All parts of a size are combined with the same factors, in
/// natural order.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn reversed_to_natural<M: Modulus, const N: usize>(
    data: &mut [Loose<M>],
    factors: &[Factor<N>],
) {
    let quarter = data.len() / 4;
    if quarter == 0 {
        if let [lo, hi] = data {
            butterflies([lo], [hi], [&factors[1].get()]);
        }
        return;
    }
    if quarter > 1 {
        for part in data.chunks_exact_mut(quarter) {
            reversed_to_natural(part, factors);
        }
    }
    let inner = &factors[quarter..2 * quarter];
    let (low, high) = factors[2 * quarter..4 * quarter].split_at(quarter);
    for (([a, b, c, d], inner), (low, high)) in columns(data).zip(inner).zip(low.iter().zip(high)) {
        let inner = inner.get();
        butterflies([a, c], [b, d], [&inner, &inner]);
        butterflies([a, b], [c, d], [&low.get(), &high.get()]);
    }
}

/// The elements at the same place of each quarter.
#[inline]
fn columns<T>(data: &mut [T]) -> impl Iterator<Item = [&mut T; 4]> {
    let (left, right) = data.split_at_mut(data.len() / 2);
    let (a, b) = left.split_at_mut(left.len() / 2);
    let (c, d) = right.split_at_mut(right.len() / 2);
    a.iter_mut().zip(b).zip(c.iter_mut().zip(d)).map(|((a, b), (c, d))| [a, b, c, d])
}

/// Factors of eight columns: all of layer `2^k` times `start^(size / 2^(k+1))`, where `start` is
/// each column's own.
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn shift<M: Modulus>(shared: &[Factor<1>], start: &Factor<8>, out: &mut [Factor<8>]) {
    let mut power: Elements<M> = start.get();
    let mut end = shared.len();
    while end > 1 {
        let layer = end / 2..end;
        for (out, shared) in out[layer.clone()].iter_mut().zip(&shared[layer]) {
            out.set(&mul(&shared.get(), &power));
        }
        power = mul(&power, &power);
        end /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::MASK;
    use crate::field::tests::{on_lanes, samples};
    use crate::lanes::store;
    use ark_bn254::Fr;
    use ark_ff::UniformRand;

    #[test]
    fn as_many_layers_as_there_are_keep_the_element_and_the_bound() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn test() {
            let mut rng = rand::thread_rng();
            let samples = samples::<Fr>();
            let factors: Vec<Fr> =
                samples.iter().copied().chain((0..9).map(|_| Fr::rand(&mut rng))).collect();
            for (start, layers) in [(2, LAYERS_MAX), (28, LAYERS_MAX / 2)] {
                for (i, sample) in samples.iter().enumerate() {
                    // Both operands of each layer are the largest integer of the layer before.
                    let mut large = Elements::pack(&[*sample; 8]).loose();
                    for _ in 0..start {
                        large = large.plus_p::<1>();
                    }
                    let mut expected = *sample;
                    for layer in 0..layers as usize {
                        let factor = factors[(i + layer) % factors.len()];
                        let shared = Factor::new([factor]);
                        let (mut lo, mut hi) = (large, large);
                        butterflies([&mut lo], [&mut hi], [&shared.get()]);
                        let product = expected * factor;
                        assert_eq!(lo.settle().unpack(), [expected + product; 8]);
                        assert_eq!(hi.settle().unpack(), [expected - product; 8]);
                        // Grows by 2 p if the factor is 0.
                        (large, expected) = (hi, expected - product);
                        let mut top = [0; 8];
                        store(&mut top, large.carry().0[4]);
                        assert!(top.iter().all(|top| *top <= 60 * Fr::P[4] && *top <= MASK));
                    }
                }
            }
        }
        on_lanes(test);
    }
}
