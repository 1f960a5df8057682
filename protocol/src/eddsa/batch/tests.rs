//! `verify_all` must give the answers of `verify`, whatever is wrong with whichever claim.

use super::super::test_points::{curve_points, low_order_points, minus, plus};
use super::super::{Point, PrivateKey};
use super::*;
use ark_ff::{BigInteger, Field, UniformRand};
use rand::Rng;

fn good(rng: &mut (impl RngCore + CryptoRng)) -> Claim {
    let (secret, message) = (PrivateKey::generate(rng), Fr::rand(rng));
    Claim { key: secret.public_key(), message, signature: secret.sign(message) }
}

fn goods(count: usize) -> Vec<Claim> {
    let mut rng = rand::thread_rng();
    (0..count).map(|_| good(&mut rng)).collect()
}

/// A signature under `r·B8 + r8_error`, right but for that error, by a key with `key_error` in it
/// (which changes nothing, as only 8A counts): what somebody who knows a secret can make.
fn crafted(key_error: Point, r8_error: Point, rng: &mut impl Rng) -> Claim {
    let (a, r, message) = (Scalar::rand(rng), Scalar::rand(rng), Fr::rand(rng));
    let key = PublicKey(plus(BASE8.times(a), key_error));
    let r8 = plus(BASE8.times(r), r8_error);
    let h = reduced(challenge(&r8, &key.0, message));
    let s = r + h * Scalar::from(8u64) * a;
    Claim { key, message, signature: Signature { r8, s: s.into_bigint() } }
}

fn assert_agrees(claims: &[Claim]) -> Vec<Result<(), SignatureError>> {
    let single: Vec<_> =
        claims.iter().map(|claim| verify(&claim.key, claim.message, &claim.signature)).collect();
    assert_eq!(verify_all(claims, &mut rand::thread_rng()), single);
    single
}

const NEUTRAL: Point = Point { x: Fr::ZERO, y: Fr::ONE };

/// One of the ways to break a claim, or none.
fn altered(mut claim: Claim, way: usize, rng: &mut (impl RngCore + CryptoRng)) -> Claim {
    let low = low_order_points();
    let torsion = low[rng.gen_range(1..8)];
    match way {
        0 => claim.message += Fr::ONE,
        1 => claim.key = good(rng).key,
        2 => assert!(!claim.signature.s.add_with_carry(&Scalar::MODULUS)),
        3 => {
            let s = Scalar::from_bigint(claim.signature.s).expect("reduced") + Scalar::from(1u64);
            claim.signature.s = s.into_bigint();
        }
        4 => claim.signature.r8 = curve_points(1)[0],
        5 => claim.signature.r8 = plus(claim.signature.r8, torsion),
        6 => claim.signature.r8 = low[rng.gen_range(0..8)],
        7 => claim.key.0 = low[rng.gen_range(0..8)],
        8 => claim.key.0 = plus(claim.key.0, torsion),
        9 => claim.signature.r8 = minus(claim.signature.r8),
        10 => claim = crafted(torsion, NEUTRAL, rng),
        11 => claim = crafted(NEUTRAL, torsion, rng),
        12 => {
            // Both defects at once: S comes first.
            claim.signature.s.add_with_carry(&Scalar::MODULUS);
            claim.key.0 = torsion;
        }
        13 => {
            // A low key before an R8 outside the subgroup.
            claim.key.0 = torsion;
            claim.signature.r8 = plus(claim.signature.r8, torsion);
        }
        14 => claim.signature.s = BigInteger256::new([u64::MAX; 4]),
        15 => claim.signature.s = BigInteger256::from(0u64),
        _ => {}
    }
    claim
}

#[test]
fn no_claim_and_one_claim_are_answered() {
    assert!(verify_all(&[], &mut rand::thread_rng()).is_empty());
    let mut rng = rand::thread_rng();
    for way in 0..=16 {
        for _ in 0..4 {
            assert_agrees(&[altered(good(&mut rng), way, &mut rng)]);
        }
    }
}

#[test]
fn good_claims_are_accepted_at_every_size_with_and_without_repeated_keys() {
    for size in (1..20).chain([64, 257]) {
        assert!(assert_agrees(&goods(size)).iter().all(Result::is_ok));
    }
    let mut rng = rand::thread_rng();
    let secret = PrivateKey::generate(&mut rng);
    let claims: Vec<Claim> = (0..50u64)
        .map(|nonce| {
            let message = Fr::from(nonce / 2); // also the very same claim twice
            Claim { key: secret.public_key(), message, signature: secret.sign(message) }
        })
        .collect();
    assert!(assert_agrees(&claims).iter().all(Result::is_ok));
}

#[test]
fn every_defect_has_the_answer_of_the_single_check_among_good_claims() {
    let mut rng = rand::thread_rng();
    for way in 0..=15 {
        for _ in 0..3 {
            let mut claims = goods(9);
            let at = rng.gen_range(0..claims.len());
            claims[at] = altered(claims[at], way, &mut rng);
            let answers = assert_agrees(&claims);
            // Torsion on the key alone is cofactorless-valid; every other way is refused.
            assert_eq!(answers[at].is_ok(), way == 10, "way {way}");
        }
    }
}

#[test]
fn random_mixes_of_good_and_bad_claims_agree_with_the_single_check() {
    let mut rng = rand::thread_rng();
    for round in 0..30 {
        let share = [0.02, 0.3, 1.0][round % 3];
        let claims: Vec<Claim> = goods(rng.gen_range(1..60))
            .into_iter()
            .map(|claim| {
                let way = if rng.gen_bool(share) { rng.gen_range(0..16) } else { 16 };
                altered(claim, way, &mut rng)
            })
            .collect();
        assert_agrees(&claims);
    }
}

#[test]
fn keys_with_torsion_are_accepted_as_the_equation_has_only_eight_times_the_key() {
    let mut rng = rand::thread_rng();
    let claims: Vec<Claim> =
        low_order_points().iter().map(|error| crafted(*error, NEUTRAL, &mut rng)).collect();
    assert!(assert_agrees(&claims).iter().all(Result::is_ok));
}

#[test]
fn torsion_that_cancels_between_two_commitments_is_refused_for_both() {
    let mut rng = rand::thread_rng();
    for torsion in &low_order_points()[1..] {
        // With coefficients of equal residue mod 8 the sum would vanish: try often.
        for _ in 0..10 {
            let mut claims = goods(6);
            claims[1] = crafted(NEUTRAL, *torsion, &mut rng);
            claims[4] = crafted(NEUTRAL, minus(*torsion), &mut rng);
            let answers = verify_all(&claims, &mut rng);
            for (index, answer) in answers.iter().enumerate() {
                let bad = index == 1 || index == 4;
                assert_eq!(*answer, if bad { Err(SignatureError::Equation) } else { Ok(()) });
            }
        }
    }
    assert_agrees(&goods(2));
}

#[test]
fn errors_that_would_cancel_under_equal_coefficients_are_refused() {
    let mut claims = goods(8);
    let shift = Scalar::from(12345u64);
    for (index, shift) in [(2, shift), (5, -shift)] {
        let s = Scalar::from_bigint(claims[index].signature.s).expect("reduced") + shift;
        claims[index].signature.s = s.into_bigint();
    }
    let answers = assert_agrees(&claims);
    let refused: Vec<usize> = (0..8).filter(|index| answers[*index].is_err()).collect();
    assert_eq!(refused, [2, 5]);
    // The same with the S of two claims exchanged: their sum is unchanged.
    let mut claims = goods(8);
    let (left, right) = claims.split_at_mut(4);
    std::mem::swap(&mut left[0].signature.s, &mut right[0].signature.s);
    assert_agrees(&claims);
}

#[test]
fn a_batch_of_nothing_but_bad_claims_is_refused_whole() {
    let mut rng = rand::thread_rng();
    let claims: Vec<Claim> =
        goods(33).into_iter().map(|claim| altered(claim, 3, &mut rng)).collect();
    assert!(assert_agrees(&claims).iter().all(Result::is_err));
}

#[test]
fn challenges_are_reduced_as_long_division_does() {
    let mut rng = rand::thread_rng();
    let multiples = (0..8u64).flat_map(|k| {
        let multiple = Fr::from_le_bytes_mod_order(&Scalar::MODULUS.to_bytes_le()) * Fr::from(k);
        [multiple - Fr::ONE, multiple, multiple + Fr::ONE]
    });
    for element in multiples.chain((0..500).map(|_| Fr::rand(&mut rng))) {
        let bytes = element.into_bigint().to_bytes_le();
        assert_eq!(reduced(element), Scalar::from_le_bytes_mod_order(&bytes));
    }
}
