//! Passes over many elements of the scalar field.

use crate::Path;
use ark_bn254::Fr;
use rayon::prelude::*;
#[cfg(target_arch = "x86_64")]
use {
    crate::eights::{gather, scatter},
    crate::field::{Elements, products},
    crate::lanes::Lanes,
    ark_ff::{AdditiveGroup, Field, serial_batch_inversion_and_mul},
};

/// Elements that share one inversion; their products stay in the cache.
#[cfg(target_arch = "x86_64")]
const SHARED: usize = 1 << 13;
/// Elements that a step takes: two vectors, so that one's latency hides behind the other's work.
#[cfg(target_arch = "x86_64")]
const STEP: usize = 16;

/// Replaces each element by its inverse, 0 by 0.
pub fn batch_inverse(path: Path, elements: &mut [Fr]) {
    #[cfg(target_arch = "x86_64")]
    if path == Path::Ifma
        && let Some(lanes) = Lanes::detect()
    {
        let (steps, rest) = elements.as_chunks_mut();
        ark_ff::batch_inversion(rest);
        return steps
            .par_chunks_mut(SHARED / STEP)
            .for_each_init(Vec::new, |scratch, steps| lanes.invert(steps, scratch));
    }
    ark_ff::batch_inversion(elements);
}

/// `left[i] *= right[i]`, over the shorter of both.
pub fn multiply(path: Path, left: &mut [Fr], right: &[Fr]) {
    let len = left.len().min(right.len());
    let (left, right) = (&mut left[..len], &right[..len]);
    #[cfg(target_arch = "x86_64")]
    if path == Path::Ifma
        && let Some(lanes) = Lanes::detect()
    {
        let ((steps, rest), (by, by_rest)) = (left.as_chunks_mut(), right.as_chunks());
        rest.iter_mut().zip(by_rest).for_each(|(left, right)| *left *= right);
        return steps
            .par_chunks_mut(SHARED / STEP)
            .zip(by.par_chunks(SHARED / STEP))
            .for_each(|(left, right)| lanes.multiply(left, right));
    }
    left.par_iter_mut().zip(right).for_each(|(left, right)| *left *= right);
}

/// What the way back needs of a step.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Step {
    elements: [Elements<Fr>; 2],
    /// Of all before.
    products: [Elements<Fr>; 2],
    /// Lanes with 0.
    zeros: [u8; 2],
}

/// Montgomery's trick in each lane. With P the product of the integers kept, where every
/// multiplication divides by `2^260`, the integer of `P`'s inverse is `2^512 / P`, and so are those
/// of all inverses taken out of it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn invert(elements: &mut [[Fr; STEP]], steps: &mut Vec<Step>) {
    steps.clear();
    // 2^260, which multiplications keep.
    let neutral = Elements::pack(&[Fr::from(16u64); 8]);
    let mut product = [neutral; 2];
    for step in elements.iter() {
        let (eights, _) = step.as_chunks::<8>();
        let gathered = [gather(eights[0].each_ref()), gather(eights[1].each_ref())];
        let zeros = gathered.map(|elements| elements.which_are_zero());
        let elements = [0, 1].map(|k| gathered[k].replaced(zeros[k], &neutral));
        steps.push(Step { elements, products: product, zeros });
        product = two(&product, &elements);
    }
    let mut inverses = [product[0].unpack(), product[1].unpack()];
    serial_batch_inversion_and_mul(inverses.as_flattened_mut(), &Fr::ONE);
    let mut inverse = inverses.map(|inverses| Elements::pack(&inverses));
    let none = Elements::pack(&[Fr::ZERO; 8]);
    for (out, step) in elements.iter_mut().zip(steps.iter()).rev() {
        let result = two(&inverse, &step.products);
        inverse = two(&inverse, &step.elements);
        let (eights, _) = out.as_chunks_mut::<8>();
        for (k, eight) in eights.iter_mut().enumerate() {
            let result = result[k].replaced(step.zeros[k], &none);
            scatter(eight.each_mut(), result.canonical());
        }
    }
}

/// Products, element by element.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn multiply_steps(left: &mut [[Fr; STEP]], right: &[[Fr; STEP]]) {
    for (left, right) in left.iter_mut().zip(right) {
        let ((left, _), (right, _)) = (left.as_chunks_mut::<8>(), right.as_chunks::<8>());
        // Montgomery forms lose 2^4 in `two`.
        let by16 =
            |eight: &[Fr; 8]| gather(eight.each_ref()).loose().quadruple().quadruple().carry();
        let factors = [by16(&right[0]), by16(&right[1])];
        let product = two(&[gather(left[0].each_ref()), gather(left[1].each_ref())], &factors);
        for (eight, product) in left.iter_mut().zip(product) {
            scatter(eight.each_mut(), product.canonical());
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn two(a: &[Elements<Fr>; 2], b: &[Elements<Fr>; 2]) -> [Elements<Fr>; 2] {
    products(a.each_ref(), b.each_ref()).map(|product| product.carry())
}
