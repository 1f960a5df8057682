//! The same points as arkworks gives, on random and extreme inputs, for both groups on every path
//! that this processor can take. The tests say which they ran.

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::short_weierstrass::Projective;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::{BigInt, Field, PrimeField, UniformRand, Zero};
use kerros_kernels::{Path, PreparedG1, PreparedG2, msm_g1, msm_g2};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A group with this crate's multi-scalar multiplication.
trait Group: VariableBaseMSM<ScalarField = Fr> + CurveGroup {
    type Prepared: From<Self::Affine> + Into<Self::Affine> + Copy;
    const NAME: &str;
    fn ours(path: Path, bases: &[Self::Prepared], scalars: &[BigInt<4>]) -> Self;
}

impl Group for Projective<ark_bn254::g1::Config> {
    type Prepared = PreparedG1;
    const NAME: &str = "G1";
    fn ours(path: Path, bases: &[PreparedG1], scalars: &[BigInt<4>]) -> Self {
        msm_g1(path, bases, scalars)
    }
}

impl Group for Projective<ark_bn254::g2::Config> {
    type Prepared = PreparedG2;
    const NAME: &str = "G2";
    fn ours(path: Path, bases: &[PreparedG2], scalars: &[BigInt<4>]) -> Self {
        msm_g2(path, bases, scalars)
    }
}

fn rng() -> StdRng {
    let seed = rand::random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

fn points<G: Group>(len: usize, rng: &mut StdRng) -> Vec<G::Affine> {
    let mut point = G::rand(rng);
    let step = G::rand(rng);
    let points: Vec<_> = (0..len)
        .map(|_| {
            point += step;
            point
        })
        .collect();
    G::normalize_batch(&points)
}

fn random(len: usize, rng: &mut StdRng) -> Vec<Fr> {
    (0..len).map(|_| Fr::rand(rng)).collect()
}

fn extreme_scalars() -> Vec<Fr> {
    let half = Fr::ONE / Fr::from(2u64);
    let mut scalars = vec![Fr::zero(), Fr::ONE, -Fr::ONE, Fr::from(2u64), -Fr::from(2u64)];
    scalars.extend([half, -half, half - Fr::ONE, Fr::from(u64::MAX), -Fr::from(u64::MAX)]);
    scalars.extend((1..254).step_by(13).map(|i| Fr::from(2u64).pow([i])));
    scalars.extend((1..254).step_by(13).map(|i| Fr::from(2u64).pow([i]) - Fr::ONE));
    scalars
}

fn prepared<G: Group>(bases: &[G::Affine]) -> Vec<G::Prepared> {
    bases.iter().map(|base| G::Prepared::from(*base)).collect()
}

fn integers(scalars: &[Fr]) -> Vec<BigInt<4>> {
    scalars.iter().map(|scalar| scalar.into_bigint()).collect()
}

/// On every path; over the shorter of both.
fn check<G: Group>(bases: &[G::Affine], scalars: &[Fr], what: &str) {
    let len = bases.len().min(scalars.len());
    let expected = G::msm(&bases[..len], &scalars[..len]).expect("equal lengths").into_affine();
    let (prepared, integers) = (prepared::<G>(bases), integers(scalars));
    for path in Path::available() {
        let result = G::ours(path, &prepared, &integers).into_affine();
        assert_eq!(result, expected, "{} on {path}: {what}, {len} points", G::NAME);
    }
}

/// Runs a test for both groups.
fn both(name: &str, g1: impl Fn(&mut StdRng), g2: impl Fn(&mut StdRng)) {
    let paths: Vec<String> = Path::available().map(|path| path.to_string()).collect();
    println!("{name}: G1 and G2 on the paths {}", paths.join(", "));
    g1(&mut rng());
    g2(&mut rng());
}

#[test]
fn random_points_and_scalars_of_many_lengths() {
    fn test<G: Group>(rng: &mut StdRng) {
        for len in [0, 1, 2, 3, 17, 511, 512, 513, 1_000, 4_095, 4_097, 20_000] {
            check::<G>(&points::<G>(len, rng), &random(len, rng), "random");
        }
    }
    both("random", test::<G1Projective>, test::<G2Projective>);
}

#[test]
fn many_points_in_g1() {
    let mut rng = rng();
    check::<G1Projective>(&points::<G1Projective>(70_001, &mut rng), &random(70_001, &mut rng), "");
}

#[test]
fn the_longer_side_is_cut() {
    fn test<G: Group>(rng: &mut StdRng) {
        let (bases, scalars) = (points::<G>(1_000, rng), random(900, rng));
        check::<G>(&bases, &scalars, "more points");
        check::<G>(&bases[..700], &scalars, "more scalars");
    }
    both("different lengths", test::<G1Projective>, test::<G2Projective>);
}

#[test]
fn extreme_scalars_on_random_points() {
    fn test<G: Group>(rng: &mut StdRng) {
        let bases = points::<G>(6_000, rng);
        let extreme = extreme_scalars();
        for scalar in &extreme {
            check::<G>(&bases[..600], &[*scalar; 600], "one scalar for all");
        }
        let mixed: Vec<Fr> = (0..6_000).map(|_| extreme[rng.gen_range(0..extreme.len())]).collect();
        check::<G>(&bases, &mixed, "mixed extremes");
        // As in the assignment of a circuit.
        let half_bits: Vec<Fr> = (0..6_000u64)
            .map(|i| if i % 2 == 0 { Fr::from(i / 2 % 2) } else { Fr::rand(rng) })
            .collect();
        check::<G>(&bases, &half_bits, "half bits");
    }
    both("extreme scalars", test::<G1Projective>, test::<G2Projective>);
}

#[test]
fn repeated_opposite_and_infinite_points() {
    fn test<G: Group>(rng: &mut StdRng) {
        let few = points::<G>(3, rng);
        let minus = |point: G::Affine| (-point.into_group()).into_affine();
        let extreme = extreme_scalars();
        let choices = [few[0], minus(few[0]), few[1], minus(few[1]), few[2], G::Affine::zero()];
        for of in [&choices[..1], &choices[..2], &choices[5..], &choices] {
            let bases: Vec<G::Affine> = (0..2_000).map(|i| of[i % of.len()]).collect();
            let shuffled: Vec<G::Affine> =
                (0..2_000).map(|_| of[rng.gen_range(0..of.len())]).collect();
            for bases in [bases, shuffled] {
                for scalar in [Fr::zero(), Fr::ONE, -Fr::ONE, Fr::rand(rng)] {
                    check::<G>(&bases, &[scalar; 2_000], "one scalar for all");
                }
                check::<G>(&bases, &random(2_000, rng), "random scalars");
                let mixed: Vec<Fr> =
                    (0..2_000).map(|_| extreme[rng.gen_range(0..extreme.len())]).collect();
                check::<G>(&bases, &mixed, "extreme scalars");
            }
        }
    }
    both("special points", test::<G1Projective>, test::<G2Projective>);
}

#[test]
fn a_bucket_larger_than_any_group() {
    fn test<G: Group>(rng: &mut StdRng) {
        let mut bases = points::<G>(40_000, rng);
        check::<G>(&bases, &vec![Fr::ONE; 40_000], "ones");
        let mut scalars: Vec<Fr> = (0..40_000).map(|i| Fr::from(u64::from(i % 50 != 0))).collect();
        for scalar in scalars.iter_mut().step_by(777) {
            *scalar = Fr::rand(rng);
        }
        for base in bases.iter_mut().step_by(5) {
            *base = G::Affine::zero();
        }
        check::<G>(&bases, &scalars, "bits");
        // Sums that cancel.
        for i in 0..20_000 {
            bases[2 * i + 1] = (-bases[2 * i].into_group()).into_affine();
        }
        let scalars = vec![Fr::from(5u64); 40_000];
        check::<G>(&bases, &scalars, "opposite neighbours");
    }
    both("large buckets", test::<G1Projective>, test::<G2Projective>);
}

#[test]
fn the_generator_times_everything() {
    fn test<G: Group>(_: &mut StdRng) {
        let bases = vec![G::Affine::generator(); 2_000];
        let scalars: Vec<Fr> = (0..2_000u64).map(Fr::from).collect();
        check::<G>(&bases, &scalars, "the generator");
        let expected = <G as PrimeGroup>::generator() * Fr::from(1_999u64 * 1_000);
        let (prepared, integers) = (prepared::<G>(&bases), integers(&scalars));
        for path in Path::available() {
            assert_eq!(G::ours(path, &prepared, &integers), expected, "{path}");
        }
    }
    both("the generator", test::<G1Projective>, test::<G2Projective>);
}

#[test]
fn points_keep_their_value_when_prepared_and_as_bytes() {
    let mut rng = rng();
    let mut g1 = points::<G1Projective>(10, &mut rng);
    g1.push(G1Affine::zero());
    let prepared = prepared::<G1Projective>(&g1);
    let bytes: &[u8] = bytemuck::cast_slice(&prepared);
    assert_eq!(bytes.len(), 64 * g1.len());
    let mapped: &[PreparedG1] = bytemuck::try_cast_slice(bytes).expect("aligned");
    assert_eq!(mapped.iter().map(|point| G1Affine::from(*point)).collect::<Vec<_>>(), g1);
    let mut g2 = points::<G2Projective>(10, &mut rng);
    g2.push(G2Affine::zero());
    let prepared: Vec<PreparedG2> = g2.iter().map(|point| PreparedG2::from(*point)).collect();
    let bytes: &[u8] = bytemuck::cast_slice(&prepared);
    assert_eq!(bytes.len(), 128 * g2.len());
    let mapped: &[PreparedG2] = bytemuck::try_cast_slice(bytes).expect("aligned");
    assert_eq!(mapped.iter().map(|point| G2Affine::from(*point)).collect::<Vec<_>>(), g2);
}

#[test]
fn paths_have_names() {
    for path in [Path::Portable, Path::Ifma] {
        assert_eq!(path.to_string().parse::<Path>().expect("its name"), path);
    }
    assert_eq!("avx".parse::<Path>().expect_err("no such path").name, "avx");
    assert!(Path::available().any(|path| path == Path::detect()));
    assert!(Path::available().any(|path| path == Path::Portable));
}
