//! Coordinates with one coefficient over the base field, or with two: `a0 + a1·u` with `u² = -1`.
//!
//! As in [`crate::field`], products are divided by `2^260`, and bounds are multiples of p.

use crate::field::{self, Elements, product};

/// `a·b / 2^260`.
///
/// With one coefficient see [`field::mul`]. With two, by Karatsuba with a single reduction for each
/// coefficient of the result. Let a be below `A p` and b below `B p`; `AB <= 84 / 2`. The first is
/// above `-AB/84.6` and gets one p; it stays below `AB/84.6 + 2`, the second below `AB/42.3 + 1`.
/// As `addition` multiplies: denominators (B = 3.65) keep inverses and products below `2.1 p`,
/// slopes stay below `2.1 p` (second coefficient `1.2 p`), and these times differences
/// (B = 14.6) are below `2.36 p` (second coefficient: `1 + (2.1 + 1.2) · 14.6/84.6 < 1.6`).
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn mul<const D: usize>(a: &[Elements; D], b: &[Elements; D]) -> [Elements; D] {
    let mut out = *a;
    if D == 1 {
        out[0] = field::mul(&a[0], &b[0]);
        return out;
    }
    let low = product(&a[0], &b[0]);
    let high = product(&a[1], &b[1]);
    let a_sum = a[0].loose().add(&a[1].loose()).carry();
    let b_sum = b[0].loose().add(&b[1].loose()).carry();
    let all = product(&a_sum, &b_sum);
    out[0] = low.sub(&high).reduce().plus_p::<1>().carry();
    out[1] = all.sub(&low).sub(&high).reduce().carry();
    out
}

/// `a² / 2^260`, for a below `2.1 p`; the result is below `1.16 p`.
///
/// With two coefficients it is `(a0 + a1)(a0 - a1)` and `2·a0·a1`. The first factors are below
/// `3.3 p` and, with 2 p added, `4.1 p`; the second coefficient of a slope is below `1.2 p`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub fn square<const D: usize>(a: &[Elements; D]) -> [Elements; D] {
    let mut out = *a;
    if D == 1 {
        out[0] = field::square(&a[0]).reduce().carry();
        return out;
    }
    let sum = a[0].loose().add(&a[1].loose()).carry();
    let difference = a[0].loose().sub(&a[1].loose()).plus_p::<2>().carry();
    let double = a[0].loose().add(&a[0].loose()).carry();
    out[0] = product(&sum, &difference).reduce().carry();
    out[1] = product(&double, &a[1]).reduce().carry();
    out
}
