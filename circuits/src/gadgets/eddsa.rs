//! EdDSA-Poseidon: `S·B8 = R8 + 8h·A`, with R8 computed from the equation (SPEC.md section 4).
//!
//! Mirrors [`kerros_protocol::eddsa::verify`]. The chain computes `R8 = S·B8 − 8h·A` and then
//! requires `h = Poseidon(R8, A, M)`, so R8 is on the curve by construction. `S < ℓ` and
//! `h < r` are strict, `8A ≠ 0` is enforced.
//!
//! Variable part, P = −4A: `(2h+1)·P` by 127 windows of two signed bits, then `+ 4A`, hence
//! `−8h·A`. Fixed part: 84 windows of three bits over constant tables of `(digit+1)·8^j·B8`; the
//! surplus `Σ 8^j·B8` and an offset point of unknown logarithm are taken off at the end. The offset
//! keeps a signer from steering the chain into an exceptional addition, which the circuit would
//! refuse although the signature is good (a matter of liveness, not of soundness: see
//! [`Montgomery::add`]).

use super::bits::{at_most, raw_bits};
use super::curve::{Edwards, Montgomery, montgomery};
use super::poseidon;
use crate::builder::{Builder, Num};
use ark_bn254::Fr;
use ark_ed_on_bn254::Fr as Scalar;
use ark_ff::{AdditiveGroup, BigInteger, BigInteger256, Field, PrimeField, Zero};
use kerros_protocol::eddsa::{BASE8, Point};
use std::sync::OnceLock;

const S_BITS: u32 = 251;
const H_BITS: u32 = 254;
const WINDOW: usize = 3;

/// The witness of one signature.
#[derive(Debug, Clone, Copy)]
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

struct FixedTables {
    /// `windows[j][digit]` is `(digit+1)·8^j·B8` in Montgomery form.
    windows: Vec<[(Fr, Fr); 1 << WINDOW]>,
    offset: (Fr, Fr),
    /// Minus everything that is too much at the end.
    correction: Point,
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

fn fixed_tables() -> &'static FixedTables {
    static TABLES: OnceLock<FixedTables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let count = (S_BITS as usize).div_ceil(WINDOW);
        let eight = Scalar::from(8u64);
        let (mut base, mut surplus) = (Scalar::ONE, Scalar::ZERO);
        let mut windows = Vec::with_capacity(count);
        for _ in 0..count {
            let entry = |digit| montgomery(&BASE8.times(base * Scalar::from(digit + 1)));
            windows.push(std::array::from_fn(|digit| entry(digit as u64)));
            surplus += base;
            base *= eight;
        }
        let offset = offset_point();
        let correction = (offset, BASE8.times(surplus));
        let mut b = Builder::witness_only();
        let sum = Edwards::constant(&correction.0).add(&mut b, &Edwards::constant(&correction.1));
        let correction = Point { x: -sum.x.value, y: sum.y.value };
        FixedTables { windows, offset: montgomery(&offset), correction }
    })
}

/// The table entry that three bits choose: four products, the rest is linear.
fn fixed_entry(b: &mut Builder, bits: &[Num], table: &[(Fr, Fr); 8]) -> Montgomery {
    let zero = Num::zero();
    let [b0, b1, b2] = [0, 1, 2].map(|i| bits.get(i).unwrap_or(&zero));
    let (b01, b02, b12) = (b.mul(b0, b1), b.mul(b0, b2), b.mul(b1, b2));
    let b012 = b.mul(&b01, b2);
    let monomials = [b0.clone(), b1.clone(), b01, b2.clone(), b02, b12, b012];
    let coordinate = |pick: fn(&(Fr, Fr)) -> Fr| {
        // Möbius transform: coefficient of each monomial from the values at all subsets.
        let mut c: [Fr; 8] = std::array::from_fn(|i| pick(&table[i]));
        for bit in [1usize, 2, 4] {
            for i in 0..8 {
                if i & bit != 0 {
                    let lower = c[i ^ bit];
                    c[i] -= lower;
                }
            }
        }
        Num::dot(&monomials, &c[1..], c[0])
    };
    Montgomery { u: coordinate(|entry| entry.0), v: coordinate(|entry| entry.1) }
}

/// `±P` or `±3P` by two signed bits `2·(2·high − 1) + (2·low − 1)`: four constraints.
fn signed_entry(
    b: &mut Builder,
    high: &Num,
    low: &Num,
    one: &Montgomery,
    three: &Montgomery,
) -> Montgomery {
    let both = b.mul(high, low);
    // 1 if the bits are equal: then the digit is ±3.
    let equal = (&both * Fr::from(2u64)).plus(high, -Fr::ONE).plus(low, -Fr::ONE);
    let equal = &equal + Fr::ONE;
    let u = &b.mul(&equal, &(&three.u - &one.u)) + &one.u;
    let v = &b.mul(&equal, &(&three.v - &one.v)) + &one.v;
    let sign = &(high * Fr::from(2u64)) + -Fr::ONE;
    Montgomery { u, v: b.mul(&sign, &v) }
}

/// Enforces a signature of `message` under the key with x-coordinate `key_x` where the boolean
/// `condition` is 1. Where it is 0, key_x may be anything: the check runs on B8 and its result
/// is ignored. Gives h, the hash of R8, key (B8 where it is not checked) and message: whoever
/// absorbs it fixes them.
pub fn verify_if(
    b: &mut Builder,
    condition: &Num,
    key_x: &Num,
    message: &Num,
    witness: &SignatureWitness,
) -> Num {
    let part = b.part("signature: scalars");
    let s_bits = raw_bits(b, Fr::from(witness.s), S_BITS);
    at_most(b, &s_bits, &less_one(Scalar::MODULUS));
    let h_bits = raw_bits(b, witness.h, H_BITS);
    at_most(b, &h_bits, &less_one(Fr::MODULUS));

    b.part("signature: curve");
    // key_x where it counts, B8.x elsewhere.
    let x = &b.mul(condition, &(key_x + -BASE8.x)) + BASE8.x;
    let y = if condition.value.is_zero() { BASE8.y } else { witness.key_y };
    let key = Edwards { x, y: b.wire(y) };
    b.name("key_y", &key.y);
    key.enforce_on_curve(b);
    let double = key.double(b);
    let four = double.double(b);
    let p = four.negated();
    let two_p = p.double(b);
    // 8A ≠ 0. Not only the rule: it also keeps P off (0, −1), where `to_montgomery` leaves v free.
    super::bits::nonzero_if(b, &two_p.x, &Num::one());
    let three_p = p.add(b, &two_p);
    let (one, three) = (p.to_montgomery(b), three_p.to_montgomery(b));
    let mut sum = one.clone();
    for pair in h_bits.rchunks_exact(2) {
        let entry = signed_entry(b, &pair[1], &pair[0], &one, &three);
        sum = sum.double(b).double(b).add(b, &entry);
    }
    let tables = fixed_tables();
    let constant = |(u, v): (Fr, Fr)| Montgomery { u: Num::constant(u), v: Num::constant(v) };
    sum = sum.add(b, &constant(tables.offset));
    for (bits, table) in s_bits.chunks(WINDOW).zip(&tables.windows) {
        let entry = fixed_entry(b, bits, table);
        sum = sum.add(b, &entry);
    }
    // The sum is (0, 0) only for somebody who knows the offset point's logarithm.
    let r8 = sum.to_edwards(b).add(b, &four).add(b, &Edwards::constant(&tables.correction));

    b.part("signature: hash");
    let inputs = [r8.x, r8.y, key.x, key.y, message.clone()];
    let challenge = poseidon::hash(b, &inputs);
    let h = Num::from_bits(&h_bits);
    b.enforce(condition, &(&challenge - &h), &Num::zero());
    b.resume(part);
    challenge
}

fn less_one(modulus: BigInteger256) -> BigInteger256 {
    let mut bound = modulus;
    bound.sub_with_borrow(&BigInteger256::from(1u64));
    bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::first_violated;
    use kerros_protocol::eddsa::{PrivateKey, PublicKey, Signature, challenge};

    fn check(key: &PublicKey, message: Fr, signature: &Signature, on: bool) -> bool {
        let mut b = Builder::recording();
        let x = b.wire(key.0.x);
        let m = b.wire(message);
        let condition = crate::gadgets::bits::boolean(&mut b, Fr::from(on));
        let h = challenge(&signature.r8, &key.0, message);
        let witness = SignatureWitness { key_y: key.0.y, s: signature.s, h };
        let witness = if on { witness } else { SignatureWitness::masked() };
        verify_if(&mut b, &condition, &x, &m, &witness);
        first_violated(b.constraints(), b.assignment()).is_none()
    }

    #[test]
    fn agrees_with_native_verification() {
        for seed in 0..8u8 {
            let secret = PrivateKey::from_bytes([seed; 32]);
            let key = secret.public_key();
            let message = Fr::from(1000u64 + u64::from(seed));
            let signature = secret.sign(message);
            assert!(check(&key, message, &signature, true), "good signature {seed}");
            assert!(!check(&key, message + Fr::ONE, &signature, true), "other message");
            let other = PrivateKey::from_bytes([seed + 100; 32]).public_key();
            assert!(!check(&other, message, &signature, true), "other key");
            let mut wrong = signature;
            wrong.s.add_with_carry(&BigInteger256::from(1u64));
            assert!(!check(&key, message, &wrong, true), "other S");
            assert!(check(&other, message, &wrong, false), "masked");
        }
    }

    #[test]
    fn s_not_below_the_order_is_refused_though_the_equation_holds() {
        let secret = PrivateKey::from_bytes([3; 32]);
        let (key, message) = (secret.public_key(), Fr::from(5u64));
        // ℓ has 251 bits and 2^251 − ℓ is large: S + ℓ often fits in 251 bits.
        let mut signature = secret.sign(message);
        signature.s.add_with_carry(&Scalar::MODULUS);
        if signature.s.num_bits() <= S_BITS {
            assert!(!check(&key, message, &signature, true));
        }
        let mut b = Builder::recording();
        let bits = raw_bits(&mut b, Fr::from(Scalar::MODULUS), S_BITS);
        at_most(&mut b, &bits, &less_one(Scalar::MODULUS));
        assert!(first_violated(b.constraints(), b.assignment()).is_some());
    }

    #[test]
    fn keys_of_low_order_are_refused() {
        for key in [Point { x: Fr::ZERO, y: -Fr::ONE }, Point { x: Fr::ZERO, y: Fr::ONE }] {
            let secret = PrivateKey::from_bytes([3; 32]);
            let message = Fr::from(5u64);
            assert!(!check(&PublicKey(key), message, &secret.sign(message), true));
        }
    }

    #[test]
    fn costs_at_most_4300_constraints_with_the_message_hash() {
        let mut b = Builder::witness_only();
        let (x, m, condition) = (b.wire(BASE8.x), b.wire(Fr::ONE), b.wire(Fr::ZERO));
        verify_if(&mut b, &condition, &x, &m, &SignatureWitness::masked());
        let cost = b.constraint_count() + 297;
        assert!(cost <= 4300, "{cost}");
    }
}
