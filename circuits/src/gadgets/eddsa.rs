//! EdDSA-Poseidon: `S·B8 = R8 + 8h·A`, with R8 computed from the equation (SPEC.md sections 4, 6).
//!
//! Mirrors [`kerros_protocol::eddsa::verify`]. A chain computes `R8 = S·B8 − 8h·A`, and then
//! `h = Poseidon(R8, A, M)` is required. With `P = −4A` and an offset point N of unknown logarithm:
//!
//! - *Challenge.* `h = c + qℓ` with `c < ℓ` and three bits of q; c has 251 digits ±1, so that the
//!   chain, begun at N, reaches `2^250·N + k·P` with an odd `k ≡ 2c + 1 (mod ℓ)`. The last addition,
//!   of −P, makes it `2c·P = −8h·A`: the factor is then even, and P has order ℓ or 2ℓ.
//! - *Response.* 63 windows of odd digits from −15 to 15 over constant tables add `m·B8` for an odd
//!   integer m. `S` is `m mod ℓ`: it enters nothing but the equation, so it needs no range here.
//! - `2^250·N` is taken off at the end, by the one complete addition: R8 may be neutral.
//!
//! A Montgomery addition of equal points would leave its sum free. N makes that as hard as its
//! logarithm: every point of the chain is `2^j·N + k·P + m·B8` with integers that the witness shows,
//! so the first such addition would give N from A and B8 (SPEC.md section 6).

mod inverses;

use super::bits::{boolean, nonzero_if};
use super::curve::{Edwards, Montgomery};
use super::poseidon;
use super::table::Table;
use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger, BigInteger256, Field, PrimeField, Zero};
use inverses::Multiples;
use kerros_protocol::eddsa::{BASE8, Point};
use std::sync::OnceLock;

/// Digits of the challenge: as many as ℓ has bits.
const DIGITS: usize = 251;
/// Bits of `h / ℓ`: r < 8ℓ.
const QUOTIENT_BITS: usize = 3;
/// Windows of the response: the digits of every odd number below 16^63 = 2^252.
const WINDOWS: usize = 63;
const WINDOW_BITS: usize = 4;

/// The witness of one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureWitness {
    /// y of the public key.
    pub key_y: Fr,
    /// S, below ℓ.
    pub s: BigInteger256,
    /// h as the signer computed it.
    pub h: Fr,
}

impl SignatureWitness {
    /// For a slot whose signature is masked.
    pub fn masked() -> Self {
        Self { key_y: BASE8.y, s: BigInteger256::zero(), h: Fr::ZERO }
    }
}

struct Constants {
    /// The offset point N.
    offset: Montgomery,
    offset_point: Point,
    /// `−2^250·N`.
    correction: Point,
    /// Weights of the challenge's digits: 2^i, and `ℓ − 2^250` for the last. Their sum is `ℓ − 1`.
    weights: [Fr; DIGITS],
    /// `tables[j]` has the odd multiples of `16^j·B8`.
    tables: Vec<Table>,
    /// The same multiples, positive.
    multiples: Vec<Multiples>,
}

/// A point of the prime-order subgroup whose logarithm nobody knows: the first counter for which
/// `blake3("kerros.v1.offset" ‖ counter) mod r` is the y of a point with 8·point ≠ 0, times 8.
fn offset_point() -> Point {
    (0u8..=u8::MAX)
        .find_map(|counter| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"kerros.v1.offset").update(&[counter]);
            let y = Fr::from_be_bytes_mod_order(hasher.finalize().as_bytes());
            let mut packed = [0u8; 32];
            packed.copy_from_slice(&y.into_bigint().to_bytes_le());
            Point::unpack(&packed).ok()?.times_eight()
        })
        .expect("half of all y belong to a point")
}

/// `ℓ − 2^250`, the weight of the challenge's last digit.
fn last_weight() -> BigInteger256 {
    let mut weight = Scalar::MODULUS;
    weight.sub_with_borrow(&(BigInteger256::from(1u64) << (DIGITS as u32 - 1)));
    weight
}

fn constants() -> &'static Constants {
    static CONSTANTS: OnceLock<Constants> = OnceLock::new();
    CONSTANTS.get_or_init(|| {
        let mut weight = Fr::ONE;
        let mut weights = [Fr::ZERO; DIGITS];
        for slot in &mut weights {
            *slot = weight;
            weight.double_in_place();
        }
        weights[DIGITS - 1] = Fr::from(last_weight());
        let mut base = Scalar::ONE;
        let (mut tables, mut multiples) = (Vec::new(), Vec::new());
        for _ in 0..WINDOWS {
            let point = BASE8.times(base);
            tables.push(Table::new(&point));
            multiples.push(inverses::multiples(&point));
            base *= Scalar::from(1u64 << WINDOW_BITS);
        }
        let offset = offset_point();
        let doublings = BigInteger256::from(1u64) << (DIGITS as u32 - 1);
        let correction = offset.times(-Scalar::from(doublings));
        Constants {
            offset: Montgomery::constant(&offset),
            offset_point: offset,
            correction,
            weights,
            tables,
            multiples,
        }
    })
}

/// How the prover writes h and S. More than one choice is right for some of them, and nothing but
/// the equation depends on it.
#[derive(Debug, Clone)]
struct Digits {
    /// `h / ℓ`, low bit first.
    quotient: [bool; QUOTIENT_BITS],
    /// Whether each digit of `h mod ℓ` adds its weight.
    challenge: [bool; DIGITS],
    /// Odd digits of a number that is S modulo ℓ, low first.
    response: [i8; WINDOWS],
}

impl Digits {
    fn new(h: Fr, s: &BigInteger256) -> Self {
        let mut rest = h.into_bigint();
        let mut quotient = [false; QUOTIENT_BITS];
        for (shift, bit) in quotient.iter_mut().enumerate().rev() {
            let multiple = Scalar::MODULUS << shift as u32;
            *bit = rest >= multiple;
            if *bit {
                rest.sub_with_borrow(&multiple);
            }
        }
        // Even S stand for the odd S − ℓ.
        let s = Scalar::from_le_bytes_mod_order(&s.to_bytes_le());
        let response = if s.into_bigint().is_odd() {
            odd_digits(&s.into_bigint(), false)
        } else {
            let mut magnitude = Scalar::MODULUS;
            magnitude.sub_with_borrow(&s.into_bigint());
            odd_digits(&magnitude, true)
        };
        Self { quotient, challenge: challenge_digits(rest), response }
    }
}

/// The digits of `c < ℓ`, the last one set as soon as its weight fits.
fn challenge_digits(mut c: BigInteger256) -> [bool; DIGITS] {
    let last = c >= last_weight();
    if last {
        c.sub_with_borrow(&last_weight());
    }
    // What is left is below 2^250, or ℓ − 1 would not be the sum of the weights.
    std::array::from_fn(|i| if i + 1 < DIGITS { c.get_bit(i) } else { last })
}

/// The odd digits, −15 to 15, of an odd number below 2^252 or of its negative: what is left for the
/// windows above is made odd by borrowing from the window below.
fn odd_digits(magnitude: &BigInteger256, negative: bool) -> [i8; WINDOWS] {
    std::array::from_fn(|j| {
        let bit = |i: usize| i8::from(magnitude.get_bit(WINDOW_BITS * j + i));
        let borrowed = if j + 1 < WINDOWS { 16 * (bit(4) - 1) } else { 0 };
        let digit = 1 + 2 * bit(1) + 4 * bit(2) + 8 * bit(3) + borrowed;
        if negative { -digit } else { digit }
    })
}

/// `2^250·N + k·P` with an odd `k ≡ 2h + 1 (mod ℓ)`, for P of order ℓ or 2ℓ. Assumes `v ≠ 0`.
///
/// A digit is a wire ±v: the summand's v-coordinate. One equation over Fr ties all of them to h. It
/// is one of integers, as `c + qℓ < 8ℓ`, except that for `h < 8ℓ − r < 2^126` h + r fits as well.
fn challenge_multiple(b: &mut Builder, p: &Montgomery, h: &Num, digits: &Digits) -> Montgomery {
    let part = b.part("signature: scalars");
    let quotient = digits.quotient.map(|bit| boolean(b, Fr::from(bit)));
    let ys = digits.challenge.map(|add| {
        let y = b.wire(if add { p.v.value } else { -p.v.value });
        b.enforce(&(&y - &p.v), &(&y + &p.v), &Num::zero());
        y
    });
    let order = Fr::from(Scalar::MODULUS);
    let c = h.clone().plus(&Num::from_bits(&quotient), -order);
    // Σ weight·(±1) = 2c − (ℓ − 1), times v.
    let signed = &(&c * Fr::ONE.double()) + (Fr::ONE - order);
    b.enforce(&p.v, &signed, &Num::dot(&ys, &constants().weights, Fr::ZERO));
    b.resume(part);

    // The last weight, ℓ − 2^250, is −2^250 on points of order ℓ.
    let (last, lower) = ys.split_last().expect("251 digits");
    let summand = |y: &Num| Montgomery { u: p.u.clone(), v: y.clone() };
    let start = constants().offset.add(b, &summand(last).negated());
    lower.iter().rev().fold(start, |sum, y| sum.double_add(b, &summand(y)))
}

/// `sum + m·B8` for the odd number m of the response's digits.
fn add_response(b: &mut Builder, sum: Montgomery, digits: &Digits) -> Montgomery {
    constants().tables.iter().zip(digits.response).fold(sum, |sum, (table, digit)| {
        let entry = table.choose(b, digit);
        sum.add(b, &entry)
    })
}

/// `R8 = S·B8 − 8h·A` for the key A; refuses keys off the curve and keys with `8A = 0`.
fn commitment(b: &mut Builder, key: &Edwards, h: &Num, digits: &Digits) -> Edwards {
    // A and 2A: x = 0 and order 4 are unsatisfiable here. An A of order 8 gives v = 0.
    let p = key.double_to_montgomery(b).double(b).negated();
    nonzero_if(b, &p.v, &Num::one());
    let sum = challenge_multiple(b, &p, h, digits);
    let sum = add_response(b, sum, digits).add(b, &p.negated());
    // The sum is not (0, 0): −P has made the multiple of P even, so it is of the subgroup of order ℓ.
    sum.to_edwards(b).add_constant(b, &constants().correction)
}

/// Enforces a signature of `message` under the key with x-coordinate `key_x` where the boolean
/// `condition` is 1. Where it is 0, key_x may be anything: the check runs on B8 and its result
/// is ignored. Gives h, the hash of R8, key (B8 where it is not checked) and message: whoever
/// absorbs it fixes them.
#[track_caller]
pub fn verify_if(
    b: &mut Builder,
    condition: &Num,
    key_x: &Num,
    message: &Num,
    witness: &SignatureWitness,
) -> Num {
    b.within(|b| {
        let digits = Digits::new(witness.h, &witness.s);
        verify_with(b, condition, key_x, message, witness, &digits)
    })
}

fn verify_with(
    b: &mut Builder,
    condition: &Num,
    key_x: &Num,
    message: &Num,
    witness: &SignatureWitness,
    digits: &Digits,
) -> Num {
    let part = b.part("signature: curve");
    // key_x where it counts, B8.x elsewhere.
    let x = &b.mul(condition, &(key_x + -BASE8.x)) + BASE8.x;
    let y = if condition.value.is_zero() { BASE8.y } else { witness.key_y };
    let key = Edwards { x, y: b.wire(y) };
    b.name("key_y", &key.y);
    let h = b.wire(witness.h);
    b.name("h", &h);
    if !b.is_recording() {
        let key = Point { x: key.x.value, y: key.y.value };
        b.foresee(inverses::inverses(&key, digits));
    }
    let r8 = commitment(b, &key, &h, digits);
    b.name("r8_x", &r8.x);
    b.name("r8_y", &r8.y);

    b.part("signature: hash");
    let challenge = poseidon::hash(b, &[r8.x, r8.y, key.x, key.y, message.clone()]);
    b.enforce(condition, &(&challenge - &h), &Num::zero());
    b.resume(part);
    challenge
}

#[cfg(test)]
mod tests;
