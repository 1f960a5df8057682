//! Sums of products in Fr with a single Montgomery reduction.
//!
//! Hashing spends its time in small scalar products. arkworks reduces after every third product,
//! because it allows for any modulus; r leaves two bits of its four limbs free, which is room for
//! all the products that occur here. This module knows nothing about what the numbers mean.

use ark_bn254::Fr;
use ark_ff::{BigInteger256, PrimeField};

const MODULUS: [u64; 4] = Fr::MODULUS.0;
/// `−1/r mod 2^64`.
const INVERSE: u64 = Fr::INV;
/// Most products whose sum stays below 2^256 after the reduction: `r(1 + n·r/2^256) < 2^256`.
pub(crate) const PRODUCTS_MAX: usize = 17;

/// `a + b·c + carry` as low and high word; it cannot overflow 128 bits.
#[inline(always)]
fn multiply_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let sum = u128::from(a)
        .wrapping_add(u128::from(b).wrapping_mul(u128::from(c)))
        .wrapping_add(u128::from(carry));
    (sum as u64, (sum >> 64) as u64)
}

/// `Σ a_i·b_i` for at most [`PRODUCTS_MAX`] products.
///
/// Operand scanning over all products at once: for each limb of the `b_i`, add the partial
/// products, then divide by 2^64 with Montgomery's multiple of r. The accumulator stays below
/// `2^64·r·(n + 2) < 2^323`, hence five limbs and a few bits in `top`.
#[inline(always)]
pub(crate) fn sum_of_products<const N: usize>(a: &[Fr; N], b: &[Fr; N]) -> Fr {
    const { assert!(N <= PRODUCTS_MAX) };
    let mut sum = [0u64; 5];
    for limb in 0..4 {
        let mut top = 0u64;
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (&a.0.0, b.0.0[limb]);
            let mut carry = 0;
            for j in 0..4 {
                (sum[j], carry) = multiply_add(sum[j], a[j], b, carry);
            }
            let (fifth, over) = sum[4].overflowing_add(carry);
            sum[4] = fifth;
            top = top.wrapping_add(u64::from(over));
        }
        let multiple = sum[0].wrapping_mul(INVERSE);
        let (_, mut carry) = multiply_add(sum[0], multiple, MODULUS[0], 0);
        for j in 1..4 {
            (sum[j - 1], carry) = multiply_add(sum[j], multiple, MODULUS[j], carry);
        }
        let (fourth, over) = sum[4].overflowing_add(carry);
        sum[3] = fourth;
        sum[4] = top.wrapping_add(u64::from(over));
    }
    // Below r(1 + N/5.28): that many subtractions at most.
    let mut out = [sum[0], sum[1], sum[2], sum[3]];
    for _ in 0..=N / 5 {
        out = subtract_modulus(out);
    }
    Fr::new_unchecked(BigInteger256::new(out))
}

#[inline(always)]
fn subtract_modulus(value: [u64; 4]) -> [u64; 4] {
    let (mut difference, mut borrow) = ([0u64; 4], false);
    for i in 0..4 {
        let (word, first) = value[i].overflowing_sub(MODULUS[i]);
        let (word, second) = word.overflowing_sub(u64::from(borrow));
        difference[i] = word;
        borrow = first | second;
    }
    if borrow { value } else { difference }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{AdditiveGroup, Field, UniformRand};

    fn check<const N: usize>(a: [Fr; N], b: [Fr; N]) {
        let expected: Fr = a.iter().zip(&b).map(|(a, b)| *a * b).sum();
        let sum = sum_of_products(&a, &b);
        assert_eq!(sum, expected);
        // Also as limbs: arkworks compares those, so the result must be fully reduced.
        assert_eq!(sum.0, expected.0);
    }

    fn check_all<const N: usize>() {
        let mut rng = rand::thread_rng();
        // The greatest Montgomery representation stands for the element −1/2^256.
        let greatest = -Fr::new_unchecked(BigInteger256::from(1u64));
        assert_eq!(greatest.0.0[0], MODULUS[0] - 1);
        check([greatest; N], [greatest; N]);
        check([Fr::ZERO; N], [greatest; N]);
        check([-Fr::ONE; N], [greatest; N]);
        for _ in 0..200 {
            check([(); N].map(|()| Fr::rand(&mut rng)), [(); N].map(|()| Fr::rand(&mut rng)));
        }
    }

    #[test]
    fn sums_of_products_agree_with_single_products_at_every_length() {
        check_all::<1>();
        check_all::<2>();
        check_all::<3>();
        check_all::<4>();
        check_all::<5>();
        check_all::<6>();
        check_all::<9>();
        check_all::<10>();
        check_all::<11>();
        check_all::<15>();
        check_all::<16>();
        check_all::<17>();
    }
}
