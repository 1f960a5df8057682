//! Sums of products and powers in Fr with fewer reductions than arkworks makes.
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

#[inline(always)]
fn wide(a: u64, b: u64) -> (u64, u64) {
    multiply_add(0, a, b, 0)
}

/// `a·b` for one limb b: the products first, so that one chain of carries adds them up.
#[inline(always)]
fn row(a: &[u64; 4], b: u64) -> [u64; 5] {
    let ((l0, h0), (l1, h1), (l2, h2), (l3, h3)) =
        (wide(a[0], b), wide(a[1], b), wide(a[2], b), wide(a[3], b));
    let (p1, carry) = l1.overflowing_add(h0);
    let (p2, carry) = l2.carrying_add(h1, carry);
    let (p3, carry) = l3.carrying_add(h2, carry);
    [l0, p1, p2, p3, h3.wrapping_add(u64::from(carry))] // the product has five limbs
}

/// Adds a row; the carry out.
#[inline(always)]
fn add_row(sum: &mut [u64; 5], row: &[u64; 5]) -> u64 {
    let mut carry = false;
    for (word, addend) in sum.iter_mut().zip(row) {
        (*word, carry) = word.carrying_add(*addend, carry);
    }
    u64::from(carry)
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
            top = top.wrapping_add(add_row(&mut sum, &row(&a.0.0, b.0.0[limb])));
        }
        let multiple = sum[0].wrapping_mul(INVERSE);
        top = top.wrapping_add(add_row(&mut sum, &row(&MODULUS, multiple)));
        sum = [sum[1], sum[2], sum[3], sum[4], top];
    }
    // Below r(1 + N/5.28): that many subtractions at most.
    let mut out = [sum[0], sum[1], sum[2], sum[3]];
    for _ in 0..=N / 5 {
        out = subtract_modulus(out);
    }
    Fr::new_unchecked(BigInteger256::new(out))
}

/// `a·b/2^256` below `ab/2^256 + r`: not reduced, which for factors below 2r stays below 2r.
#[inline(always)]
fn product(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut sum = [0u64; 4];
    for b in b {
        let (low, mut carry) = multiply_add(sum[0], a[0], *b, 0);
        let multiple = low.wrapping_mul(INVERSE);
        let (_, mut second) = multiply_add(low, multiple, MODULUS[0], 0);
        for j in 1..4 {
            let word;
            (word, carry) = multiply_add(sum[j], a[j], *b, carry);
            (sum[j - 1], second) = multiply_add(word, multiple, MODULUS[j], second);
        }
        sum[3] = carry.wrapping_add(second); // a + r + 1 has four limbs
    }
    sum
}

/// `a²/2^256` below `a²/2^256 + r`, not reduced; ten products of limbs instead of sixteen.
#[inline(always)]
fn square(a: &[u64; 4]) -> [u64; 4] {
    let (l01, h01) = wide(a[0], a[1]);
    let (l02, h02) = wide(a[0], a[2]);
    let (l03, h03) = wide(a[0], a[3]);
    let (l12, h12) = wide(a[1], a[2]);
    let (l13, h13) = wide(a[1], a[3]);
    let (l23, h23) = wide(a[2], a[3]);
    // The mixed products once, then doubled, then the squares of the limbs.
    let (t2, carry) = h01.overflowing_add(l02);
    let (t3, carry) = h02.carrying_add(l03, carry);
    let t4 = h03.wrapping_add(u64::from(carry));
    let (t3, carry) = t3.overflowing_add(l12);
    let (t4, carry) = t4.carrying_add(l13, carry);
    let t5 = h13.wrapping_add(u64::from(carry));
    let (t4, carry) = t4.overflowing_add(h12);
    let (t5, carry) = t5.carrying_add(l23, carry);
    let mixed = [0, l01, t2, t3, t4, t5, h23.wrapping_add(u64::from(carry)), 0];
    let mut sum = [0u64; 8];
    let mut carry = false;
    for i in 0..4 {
        let (low, high) = wide(a[i], a[i]);
        let below = if i == 0 { 0 } else { mixed[2 * i - 1] >> 63 };
        let (even, odd) = (mixed[2 * i] << 1 | below, mixed[2 * i + 1] << 1 | mixed[2 * i] >> 63);
        (sum[2 * i], carry) = even.carrying_add(low, carry);
        (sum[2 * i + 1], carry) = odd.carrying_add(high, carry);
    }
    let mut over = false;
    for i in 0..4 {
        let multiple = row(&MODULUS, sum[i].wrapping_mul(INVERSE));
        let mut carry = false;
        for j in 0..4 {
            (sum[i + j], carry) = sum[i + j].carrying_add(multiple[j], carry);
        }
        let (word, first) = sum[i + 4].carrying_add(multiple[4], carry);
        let (word, second) = word.overflowing_add(u64::from(over));
        (sum[i + 4], over) = (word, first | second);
    }
    [sum[4], sum[5], sum[6], sum[7]]
}

/// `x^5`, reduced at the end only.
#[inline(always)]
pub(crate) fn fifth_power(x: Fr) -> Fr {
    let power = product(&square(&square(&x.0.0)), &x.0.0);
    Fr::new_unchecked(BigInteger256::new(subtract_modulus(power)))
}

/// `x^(2^times)`, reduced at the end only.
pub(crate) fn squared(x: Fr, times: usize) -> Fr {
    let mut power = x.0.0;
    for _ in 0..times {
        power = square(&power);
    }
    Fr::new_unchecked(BigInteger256::new(subtract_modulus(power)))
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
    fn powers_agree_with_single_products() {
        let mut rng = rand::thread_rng();
        let greatest = -Fr::new_unchecked(BigInteger256::from(1u64));
        let special = [Fr::ZERO, Fr::ONE, -Fr::ONE, greatest, -greatest];
        for x in special.into_iter().chain((0..2_000).map(|_| Fr::rand(&mut rng))) {
            assert_eq!(fifth_power(x).0, x.pow([5u64]).0);
            for times in [0, 1, 2, 5, 40] {
                assert_eq!(squared(x, times).0, x.pow([1u64 << times]).0);
            }
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

    #[test]
    fn extreme_limbs() {
        use ark_ff::BigInteger;
        use rand::Rng;
        let m = MODULUS;
        let mut rng = rand::thread_rng();
        let limbs = |rng: &mut rand::rngs::ThreadRng| -> Fr {
            loop {
                let pick = |rng: &mut rand::rngs::ThreadRng, top: u64| match rng.gen_range(0..7) {
                    0 => 0,
                    1 => 1,
                    2 => top,
                    3 => top.wrapping_sub(1),
                    4 => 1 << 63,
                    5 => u64::MAX,
                    _ => rng.r#gen(),
                };
                let v = BigInteger256::new([
                    pick(rng, m[0]),
                    pick(rng, m[1]),
                    pick(rng, m[2]),
                    match rng.gen_range(0..4) {
                        0 => m[3],
                        1 => m[3] - 1,
                        2 => 0,
                        _ => rng.gen_range(0..=m[3]),
                    },
                ]);
                if v < Fr::MODULUS {
                    return Fr::new_unchecked(v);
                }
            }
        };
        // Unreduced operands up to 2r − 1 for the inner functions.
        let wide_of = |x: Fr, add: bool| {
            let mut v = x.0;
            if add {
                v.add_with_carry(&Fr::MODULUS);
            }
            v.0
        };
        for i in 0..300_000u32 {
            let (x, y) = (limbs(&mut rng), limbs(&mut rng));
            assert_eq!(fifth_power(x).0, (x.square().square() * x).0);
            assert_eq!(squared(x, 3).0, x.square().square().square().0);
            let (a, b) = (wide_of(x, i & 1 == 1), wide_of(y, i & 2 == 2));
            assert_eq!(
                Fr::new_unchecked(BigInteger256::new(subtract_modulus(product(&a, &b)))).0,
                (x * y).0
            );
            assert_eq!(
                Fr::new_unchecked(BigInteger256::new(subtract_modulus(square(&a)))).0,
                x.square().0
            );
            if i % 16 == 0 {
                check([(); 17].map(|()| limbs(&mut rng)), [(); 17].map(|()| limbs(&mut rng)));
                check([(); 16].map(|()| limbs(&mut rng)), [(); 16].map(|()| limbs(&mut rng)));
                check([(); 11].map(|()| limbs(&mut rng)), [(); 11].map(|()| limbs(&mut rng)));
                check([(); 6].map(|()| limbs(&mut rng)), [(); 6].map(|()| limbs(&mut rng)));
                check([(); 3].map(|()| limbs(&mut rng)), [(); 3].map(|()| limbs(&mut rng)));
            }
        }
    }
}
