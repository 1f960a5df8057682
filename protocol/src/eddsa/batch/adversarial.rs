//! Adversarial inputs: coefficients chosen by the tester, points that meet in buckets, extreme S.
use super::super::Point;
use super::super::test_points::{curve_points, low_order_points, minus, plus};
use super::*;
use ark_ff::{BigInteger, Field, UniformRand};

/// Gives the words in turn.
struct Fixed(Vec<u64>, usize);
impl RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        let v = self.0[self.1 % self.0.len()];
        self.1 += 1;
        v
    }
    fn fill_bytes(&mut self, d: &mut [u8]) {
        rand_core_fill(self, d)
    }
    fn try_fill_bytes(&mut self, d: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(d);
        Ok(())
    }
}
fn rand_core_fill(r: &mut Fixed, d: &mut [u8]) {
    for b in d {
        *b = r.next_u64() as u8;
    }
}
impl CryptoRng for Fixed {}

const NEUTRAL: Point = Point { x: Fr::ZERO, y: Fr::ONE };

fn signed(a: Scalar, key_error: Point, r: Scalar, message: Fr) -> Claim {
    let key = PublicKey(plus(BASE8.times(a), key_error));
    let r8 = BASE8.times(r);
    let h = reduced(challenge(&r8, &key.0, message));
    let s = r + h * Scalar::from(8u64) * a;
    Claim { key, message, signature: Signature { r8, s: s.into_bigint() } }
}

fn rngs() -> Vec<Vec<u64>> {
    let m = u64::MAX;
    vec![
        vec![0],
        vec![m],
        vec![1, 0],
        vec![0, 1],
        vec![1, 0, m, m],
        vec![0, 1 << 63],
        vec![1 << 63],
        vec![0x8080808080808080],
        vec![0x7f7f7f7f7f7f7f7f],
        vec![0xaaaaaaaaaaaaaaaa],
        vec![0, 0, 1, 0],
        vec![2, 0, 1, 0],
        vec![m, m, 0, 0],
        vec![3, 5, 7, 11, 13],
    ]
}

#[test]
fn good_claims_hold_whatever_the_coefficients_and_however_points_meet() {
    let low = low_order_points();
    let mut rng = rand::thread_rng();
    let one = Scalar::from(1u64);
    let mut claims = Vec::new();
    // tiny and extreme secrets and commitments: neutral R8, R8 = ±B8, key = ±B8, key = ±R8 …
    for a in [
        one,
        -one,
        Scalar::from(2u64),
        Scalar::from(8u64).inverse().unwrap(),
        Scalar::rand(&mut rng),
    ] {
        for r in [Scalar::ZERO, one, -one, a, -a, a.double(), Scalar::from(8u64) * a] {
            for t in [0usize, 1, 4, 7] {
                claims.push(signed(a, low[t], r, Fr::from(t as u64)));
                // the key with y negated and the x kept, i.e. −A + (0,−1)
                let c = signed(-a, plus(low[t], low[4]), r, Fr::from(3u64));
                claims.push(c);
            }
        }
    }
    for c in &claims {
        assert_eq!(verify(&c.key, c.message, &c.signature), Ok(()));
    }
    // The same claim many times: equal points in every bucket.
    let same = vec![claims[10]; 90];
    // R8 and its opposite alternate.
    let r = Scalar::rand(&mut rng);
    let opposite: Vec<Claim> = (0..90u64)
        .map(|i| signed(Scalar::from(i + 1), NEUTRAL, if i % 2 == 0 { r } else { -r }, Fr::from(i)))
        .collect();
    for set in [&claims, &same, &opposite] {
        for size in [3, 4, 9, 64, set.len()] {
            for words in rngs() {
                let mut keys = Keys::default();
                let cands: Vec<Candidate<'_>> = set[..size]
                    .iter()
                    .enumerate()
                    .map(|(index, claim)| {
                        let s = check_alone(claim).expect("alone");
                        let h =
                            reduced(challenge(&claim.signature.r8, &claim.key.0, claim.message));
                        Candidate {
                            index,
                            claim,
                            s,
                            h,
                            r8: claim.signature.r8.into(),
                            key: keys.number(&claim.key),
                        }
                    })
                    .collect();
                assert!(
                    combination_holds(&cands, &keys.prepared, &mut Fixed(words.clone(), 0)),
                    "{words:?} {size}"
                );
            }
            for words in rngs() {
                assert!(verify_all(&set[..size], &mut Fixed(words, 0)).iter().all(Result::is_ok));
            }
        }
    }
}

#[test]
fn bounds_of_s_and_of_torsion_agree_with_the_single_check() {
    let low = low_order_points();
    let mut rng = rand::thread_rng();
    let mut claims = Vec::new();
    let base = signed(Scalar::rand(&mut rng), NEUTRAL, Scalar::rand(&mut rng), Fr::from(1u64));
    let mut ss = vec![
        BigInteger256::from(0u64),
        BigInteger256::from(1u64),
        Scalar::MODULUS,
        Fr::MODULUS,
        BigInteger256::new([u64::MAX; 4]),
    ];
    let mut lm = Scalar::MODULUS;
    lm.sub_with_borrow(&BigInteger256::from(1u64));
    ss.push(lm);
    let mut over = base.signature.s;
    over.add_with_carry(&Scalar::MODULUS);
    ss.push(over);
    for s in ss {
        let mut c = base;
        c.signature.s = s;
        claims.push(c);
    }
    let mut points: Vec<Point> = low.clone();
    points.extend(curve_points(4));
    for p in low.iter() {
        points.push(plus(BASE8, *p));
        points.push(plus(base.signature.r8, *p));
        points.push(minus(plus(base.key.0, *p)));
    }
    for p in &points {
        let mut c = base;
        c.signature.r8 = *p;
        claims.push(c);
        let mut c = base;
        c.key.0 = *p;
        claims.push(c);
    }
    for p in &points {
        for q in &points {
            let mut c = base;
            c.signature.r8 = *p;
            c.key.0 = *q;
            claims.push(c);
        }
    }
    // torsion on R8 with S right for it
    for p in &low {
        for q in &low {
            let (a, r) = (Scalar::rand(&mut rng), Scalar::rand(&mut rng));
            let key = PublicKey(plus(BASE8.times(a), *q));
            let r8 = plus(BASE8.times(r), *p);
            let h = reduced(challenge(&r8, &key.0, Fr::ONE));
            let s = (r + h * Scalar::from(8u64) * a).into_bigint();
            claims.push(Claim { key, message: Fr::ONE, signature: Signature { r8, s } });
            // zero R8 + torsion
            let h = reduced(challenge(p, &key.0, Fr::ONE));
            let s = (h * Scalar::from(8u64) * a).into_bigint();
            claims.push(Claim { key, message: Fr::ONE, signature: Signature { r8: *p, s } });
        }
    }
    let single: Vec<_> = claims.iter().map(|c| verify(&c.key, c.message, &c.signature)).collect();
    assert!(single.iter().filter(|a| a.is_ok()).count() >= 16);
    for chunk in [64usize, 7, 3, claims.len()] {
        for (c, s) in claims.chunks(chunk).zip(single.chunks(chunk)) {
            assert_eq!(verify_all(c, &mut rng), s);
        }
    }
    // Torsion only: whatever the coefficients, the pre-check refuses.
    for words in rngs() {
        let answers = verify_all(&claims, &mut Fixed(words, 0));
        for (claim, (a, s)) in claims.iter().zip(answers.iter().zip(&single)) {
            if s.is_ok() {
                assert!(a.is_ok());
            }
            if !claim.signature.r8.is_in_subgroup() {
                assert!(a.is_err());
            }
        }
    }
}
