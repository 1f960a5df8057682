use super::*;
use crate::builder::{INPUT_COUNT, evaluate, first_violated};
use crate::gadgets::curve::montgomery;
use ark_ff::UniformRand;
use kerros_protocol::eddsa::{PrivateKey, PublicKey, Signature, challenge, verify};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn check(key: &PublicKey, message: Fr, signature: &Signature, on: bool) -> bool {
    let mut b = Builder::recording();
    let x = b.wire(key.0.x);
    let m = b.wire(message);
    let condition = boolean(&mut b, Fr::from(on));
    let h = challenge(&signature.r8, &key.0, message);
    let witness = SignatureWitness { key_y: key.0.y, s: signature.s, h };
    let witness = if on { witness } else { SignatureWitness::masked() };
    let out = verify_if(&mut b, &condition, &x, &m, &witness);
    let holds = first_violated(b.constraints(), b.assignment()).is_none();
    assert!(!on || !holds || out.value == h);
    holds
}

/// Builds `S·B8 − 8h·A` by itself, without the hash that ties h to it.
fn split(key: &Point, h: Fr, digits: &Digits) -> (Builder, Point) {
    let mut b = Builder::recording();
    let key = Edwards { x: b.wire(key.x), y: b.wire(key.y) };
    let h = b.wire(h);
    let r8 = commitment(&mut b, &key, &h, digits);
    let r8 = Point { x: r8.x.value, y: r8.y.value };
    (b, r8)
}

fn holds(b: &Builder) -> bool {
    first_violated(b.constraints(), b.assignment()).is_none()
}

fn add(p: &Point, q: &Point) -> Point {
    let mut b = Builder::witness_only();
    let p = Edwards { x: b.wire(p.x), y: b.wire(p.y) };
    let sum = p.add_constant(&mut b, q);
    Point::new(sum.x.value, sum.y.value).unwrap()
}

fn reduced(n: impl Into<BigInteger256>) -> Scalar {
    Scalar::from_le_bytes_mod_order(&n.into().to_bytes_le())
}

/// `s·B8 − 8·scalar·key`, natively.
fn native(key: &Point, scalar: Scalar, s: Scalar) -> Point {
    add(&BASE8.times(s), &key.times_eight().unwrap().times(-scalar))
}

/// A point of order 8: ℓ times a point that has one in it.
fn point_of_order_eight() -> Point {
    (2u64..)
        .filter_map(|x| Point::with_x(Fr::from(x)))
        .map(|point| add(&point.times(-Scalar::ONE), &point))
        .find(|torsion| add(&add(torsion, torsion), &add(torsion, torsion)).y == -Fr::ONE)
        .unwrap()
}

fn minus(mut a: BigInteger256, b: BigInteger256) -> BigInteger256 {
    assert!(!a.sub_with_borrow(&b));
    a
}

fn below(modulus: BigInteger256, n: u64) -> BigInteger256 {
    minus(modulus, n.into())
}

/// `8ℓ − r − 1`: up to here h + r can be written as `c + qℓ` too.
fn last_ambiguous() -> BigInteger256 {
    below(minus(Scalar::MODULUS << 3u32, Fr::MODULUS), 1)
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
        assert!(check(&PublicKey(Point { x: Fr::ZERO, y: Fr::ZERO }), message, &wrong, false));
    }
}

#[test]
fn the_commitment_is_right_for_every_extreme_of_h_s_and_key() {
    let mut rng = StdRng::seed_from_u64(1);
    let eight = point_of_order_eight();
    let four = add(&eight, &eight);
    let two = add(&four, &four);
    assert_eq!(two, Point { x: Fr::ZERO, y: -Fr::ONE });
    let order = Scalar::MODULUS;
    let power = BigInteger256::from(1u64) << 250u32;
    let mut seven = order << 2u32;
    seven.add_with_carry(&(order << 1u32));
    seven.add_with_carry(&order);
    let of_h = [
        0u64.into(),
        1u64.into(),
        below(last_weight(), 1),
        last_weight(),
        below(power, 1),
        power,
        below(order, 1),
        order,
        seven,
        last_ambiguous(),
        below(Fr::MODULUS, 1),
        Fr::rand(&mut rng).into_bigint(),
    ];
    let of_s = [0u64.into(), 1u64.into(), 2u64.into(), below(order, 1), below(order, 2)];
    let secrets = [Scalar::ONE, -Scalar::ONE, Scalar::rand(&mut rng)];
    for (case, h) in of_h.into_iter().enumerate() {
        for (other, s) in of_s.into_iter().enumerate() {
            let secret = BASE8.times(secrets[(case + other) % 3]);
            let key = match (case + other) % 4 {
                0 => secret,
                1 => add(&secret, &two),
                2 => add(&secret, &four),
                _ => add(&secret, &eight),
            };
            let h = Fr::from(h);
            let (b, r8) = split(&key, h, &Digits::new(h, &s));
            assert!(holds(&b));
            assert_eq!(r8, native(&key, reduced(h), reduced(s)), "h {h} S {s}");
        }
    }
    // R8 neutral: S·B8 = 8h·A.
    let (h, a) = (Fr::from(77u64), Scalar::from(5u64));
    let s = Scalar::from(8u64 * 77) * a;
    let (b, r8) = split(&BASE8.times(a), h, &Digits::new(h, &s.into_bigint()));
    assert!(holds(&b));
    assert_eq!(r8, Point { x: Fr::ZERO, y: Fr::ONE });
}

#[test]
fn digits_stand_for_their_numbers() {
    let mut rng = StdRng::seed_from_u64(2);
    let sum: Fr = constants().weights.iter().sum();
    assert_eq!(sum, Fr::from(below(Scalar::MODULUS, 1)));
    for case in 0..200u64 {
        let [h, s] = match case {
            0 => [Scalar::ZERO; 2],
            1 => [-Scalar::ONE; 2],
            _ => [Scalar::rand(&mut rng), Scalar::rand(&mut rng)],
        };
        let digits = challenge_digits(h.into_bigint());
        let chosen = digits.iter().zip(&constants().weights).filter(|(add, _)| **add);
        assert_eq!(chosen.map(|(_, w)| *w).sum::<Fr>(), Fr::from(h.into_bigint()));
        let digits = Digits::new(Fr::from(h.into_bigint()), &s.into_bigint()).response;
        assert!(digits.iter().all(|d| d % 2 != 0 && d.abs() < 16));
        let value = digits.iter().rev().fold(Scalar::ZERO, |sum, d| {
            let d = Scalar::from(*d as i64);
            sum * Scalar::from(16u64) + d
        });
        assert_eq!(value, s);
    }
}

#[test]
fn the_choices_of_digits_give_the_same_commitment() {
    let key = BASE8.times(Scalar::from(99u64));
    // c in [ℓ − 2^250, 2^250): with and without the last weight; S odd, S − 2ℓ, and S + 2ℓ if it fits.
    let c = last_weight();
    let s: BigInteger256 = 12345u64.into();
    let h = Fr::from(c);
    let first = Digits::new(h, &s);
    let (_, expected) = split(&key, h, &first);
    let mut second = first.clone();
    second.challenge = std::array::from_fn(|i| i + 1 < DIGITS && c.get_bit(i));
    assert_ne!(first.challenge, second.challenge);
    second.response = odd_digits(&minus(Scalar::MODULUS << 1u32, s), true);
    let mut third = first.clone();
    let mut more = Scalar::MODULUS << 1u32;
    more.add_with_carry(&s);
    assert!(more.num_bits() as usize <= WINDOWS * WINDOW_BITS);
    third.response = odd_digits(&more, false);
    for digits in [first, second, third] {
        let (b, r8) = split(&key, h, &digits);
        assert!(holds(&b));
        assert_eq!(r8, expected);
    }
}

#[test]
fn s_is_taken_modulo_the_order_and_that_is_the_same_relation() {
    let secret = PrivateKey::from_bytes([3; 32]);
    let (key, message) = (secret.public_key(), Fr::from(5u64));
    let good = secret.sign(message);
    let mut high = good;
    high.s.add_with_carry(&Scalar::MODULUS);
    // Wire formats stay strict; in the circuit both are the same digits, so one that native code
    // accepts exists whenever the circuit accepts.
    assert!(verify(&key, message, &good).is_ok() && verify(&key, message, &high).is_err());
    assert!(check(&key, message, &good, true) && check(&key, message, &high, true));
    let h = challenge(&good.r8, &key.0, message);
    assert_eq!(Digits::new(h, &good.s).response, Digits::new(h, &high.s).response);
}

#[test]
fn another_number_for_h_exists_only_below_two_to_the_126() {
    let key = BASE8.times(Scalar::from(99u64));
    let s = 5u64.into();
    let last = last_ambiguous();
    assert_eq!(last.num_bits(), 126);
    let all = [true; DIGITS]; // c = ℓ − 1, with q = 7 the largest number there is
    let digits = |challenge| Digits { quotient: [true; 3], challenge, ..Digits::new(Fr::ZERO, &s) };
    // h + r = 8ℓ − 1: taken, as another challenge.
    let (b, r8) = split(&key, Fr::from(last), &digits(all));
    assert!(holds(&b));
    assert_eq!(r8, native(&key, -Scalar::ONE, reduced(s)));
    // h + r = r: h = 0 is 7ℓ + (r − 7ℓ).
    let zero = minus(minus(Fr::MODULUS, Scalar::MODULUS << 2u32), Scalar::MODULUS << 1u32);
    let zero = challenge_digits(minus(zero, Scalar::MODULUS));
    assert!(holds(&split(&key, Fr::ZERO, &digits(zero)).0));
    // h + r = 8ℓ is one too many.
    let mut above = last;
    above.add_with_carry(&1u64.into());
    let (b, _) = split(&key, Fr::from(above), &digits(all));
    assert!(!holds(&b));
    // And q or c of another number are no longer h's.
    let h = Fr::from(above);
    let good = Digits::new(h, &s);
    assert!(holds(&split(&key, h, &good).0));
    for bit in 0..QUOTIENT_BITS {
        let mut wrong = good.clone();
        wrong.quotient[bit] ^= true;
        assert!(!holds(&split(&key, h, &wrong).0));
    }
    for digit in [0, 1, 125, 249, 250] {
        let mut wrong = good.clone();
        wrong.challenge[digit] ^= true;
        assert!(!holds(&split(&key, h, &wrong).0));
    }
}

#[test]
fn a_digit_is_plus_or_minus_v_and_a_bit_of_q_is_a_bit() {
    let mut b = Builder::recording();
    let (u, v) = montgomery(&BASE8.times(Scalar::from(7u64)));
    let p = Montgomery { u: b.wire(u), v: b.wire(v) };
    // q = 2, c = 3: bits 0, 1, 0 and digits + + − − …
    let mut h = Fr::from(Scalar::MODULUS).double();
    h += Fr::from(3u64);
    let digits = Digits::new(h, &1u64.into());
    assert_eq!(
        (digits.quotient, &digits.challenge[..3]),
        ([false, true, false], &[true, true, false][..])
    );
    let h = b.wire(h);
    challenge_multiple(&mut b, &p, &h, &digits);
    assert!(holds(&b));
    let q = INPUT_COUNT + 3;
    let digit = q + QUOTIENT_BITS;
    let sum = &b.constraints()[QUOTIENT_BITS + DIGITS];
    let v3 = v.double() + v;
    // The sum over Fr stays right in all of them.
    for (wires, first) in [
        (vec![(q, Fr::from(2u64)), (q + 1, Fr::ZERO)], 0),
        (vec![(q + 1, Fr::ONE.double().double()), (q, -Fr::from(6u64))], 0),
        (vec![(digit, v3), (digit + 1, Fr::ZERO)], QUOTIENT_BITS),
        (
            vec![(digit, v.double()), (digit + 1, v * (Fr::from(2u64).inverse().unwrap()))],
            QUOTIENT_BITS,
        ),
        (vec![(digit, -v), (digit + 1, v.double())], QUOTIENT_BITS + 1),
    ] {
        let mut assignment = b.assignment().to_vec();
        for (wire, value) in wires {
            assignment[wire] = value;
        }
        let [left, right, out] = [&sum.a, &sum.b, &sum.c].map(|t| evaluate(t, &assignment));
        assert_eq!(left * right, out);
        assert_eq!(first_violated(b.constraints(), &assignment), Some(first));
    }
}

#[test]
fn keys_of_low_order_and_keys_off_the_curve_are_refused() {
    let eight = point_of_order_eight();
    let four = add(&eight, &eight);
    let low = [add(&four, &four), four, eight, add(&four, &eight)];
    let neutral = Point { x: Fr::ZERO, y: Fr::ONE };
    let secret = PrivateKey::from_bytes([3; 32]);
    let message = Fr::from(5u64);
    // S·B8 = R8 is a signature for every message, if the key has no part in it.
    for key in low.into_iter().chain([neutral]) {
        let s = Scalar::from(12345u64);
        let signature = Signature { r8: BASE8.times(s), s: s.into_bigint() };
        assert!(!check(&PublicKey(key), message, &signature, true));
        assert!(verify(&PublicKey(key), message, &signature).is_err());
    }
    let mut off = secret.public_key();
    off.0.y += Fr::ONE;
    assert!(!check(&off, message, &secret.sign(message), true));
}

#[test]
fn a_key_made_of_the_offset_frees_the_first_slope() {
    // P = −4A = N: the first addition is N + N. That is why nobody may know N's logarithm: whoever
    // knows how this key is made of N, here everybody, can put any slope there (SPEC.md section 6).
    let quarter = Scalar::from(4u64).inverse().unwrap();
    let key = offset_point().times(-quarter);
    let h = Fr::ZERO; // the last digit is −
    let digits = Digits::new(h, &1u64.into());
    let (b, r8) = split(&key, h, &digits);
    assert!(holds(&b), "satisfied, with the slope 0");
    assert_ne!(r8, native(&key, Scalar::ZERO, Scalar::ONE), "and wrong");
    // With the other last digit, N + (−N), nothing satisfies it.
    let h = Fr::from(last_weight());
    assert!(!holds(&split(&key, h, &Digits::new(h, &1u64.into())).0));
}

#[test]
fn costs_2292_constraints_without_the_message_hash() {
    let mut b = Builder::witness_only();
    let (x, m, condition) = (b.wire(BASE8.x), b.wire(Fr::ONE), b.wire(Fr::ZERO));
    verify_if(&mut b, &condition, &x, &m, &SignatureWitness::masked());
    let parts = b.parts().iter().map(|part| (part.name, part.constraints)).collect::<Vec<_>>();
    let pinned =
        [("signature: curve", 1715), ("signature: scalars", 255), ("signature: hash", 322)];
    assert_eq!(parts, pinned);
}

#[test]
fn a_witness_foresees_all_inverses_of_the_chain() {
    let mut rng = StdRng::seed_from_u64(31);
    let secret = PrivateKey::generate(&mut rng);
    let key = secret.public_key().0;
    for message in [Fr::rand(&mut rng), Fr::ZERO] {
        let signature = secret.sign(message);
        let h = challenge(&signature.r8, &key, message);
        let witness = SignatureWitness { key_y: key.y, s: signature.s, h };
        let values = |b: &mut Builder| {
            let (x, m) = (b.wire(key.x), b.wire(message));
            verify_if(b, &Num::one(), &x, &m, &witness);
        };
        let (mut foreseeing, mut recording) = (Builder::witness_only(), Builder::recording());
        values(&mut foreseeing);
        values(&mut recording);
        assert_eq!(foreseeing.unused(), 0);
        assert_eq!(foreseeing.assignment(), recording.assignment());
        // Two a digit but the last, and one for that, for each window and for −P.
        let digits = Digits::new(h, &signature.s);
        assert_eq!(inverses::inverses(&key, &digits).len(), 2 * 250 + 1 + 63 + 1);
    }
}
