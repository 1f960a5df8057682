//! The same points as arkworks gives, on random and extreme inputs. The test says which path it
//! ran.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, UniformRand};
use kerros_kernels::{Path, msm_g1};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn rng() -> StdRng {
    let seed = rand::random();
    println!("path {}, seed {seed}", Path::detect());
    StdRng::seed_from_u64(seed)
}

fn points(len: usize, rng: &mut StdRng) -> Vec<G1Affine> {
    let mut point = G1Projective::rand(rng);
    let step = G1Projective::rand(rng);
    let points: Vec<_> = (0..len)
        .map(|_| {
            point += step;
            point
        })
        .collect();
    G1Projective::normalize_batch(&points)
}

fn extreme_scalars() -> Vec<Fr> {
    let half = Fr::ONE / Fr::from(2u64);
    let mut scalars = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::from(2u64), -Fr::from(2u64)];
    scalars.extend([half, -half, half - Fr::ONE, Fr::from(u64::MAX), -Fr::from(u64::MAX)]);
    scalars.extend((1..254).step_by(13).map(|i| Fr::from(2u64).pow([i])));
    scalars.extend((1..254).step_by(13).map(|i| Fr::from(2u64).pow([i]) - Fr::ONE));
    scalars
}

fn check(bases: &[G1Affine], scalars: &[Fr], what: &str) {
    let expected = G1Projective::msm(bases, scalars).expect("equal lengths");
    assert_eq!(msm_g1(Path::detect(), bases, scalars), expected, "{what}, {} points", bases.len());
}

#[test]
fn random_points_and_scalars_of_many_lengths() {
    let mut rng = rng();
    for len in [0, 1, 2, 511, 512, 513, 1_000, 4_095, 4_097, 20_000, 70_001] {
        let scalars: Vec<Fr> = (0..len).map(|_| Fr::rand(&mut rng)).collect();
        check(&points(len, &mut rng), &scalars, "random");
    }
}

#[test]
fn the_longer_side_is_cut() {
    let mut rng = rng();
    let bases = points(1_000, &mut rng);
    let scalars: Vec<Fr> = (0..900).map(|_| Fr::rand(&mut rng)).collect();
    assert_eq!(
        msm_g1(Path::detect(), &bases, &scalars),
        msm_g1(Path::detect(), &bases[..900], &scalars)
    );
    assert_eq!(
        msm_g1(Path::detect(), &bases[..700], &scalars),
        msm_g1(Path::detect(), &bases[..700], &scalars[..700])
    );
}

#[test]
fn extreme_scalars_on_random_points() {
    let mut rng = rng();
    let bases = points(6_000, &mut rng);
    let extreme = extreme_scalars();
    for scalar in &extreme {
        check(&bases[..600], &[*scalar; 600], "one scalar for all");
    }
    let mixed: Vec<Fr> = (0..6_000).map(|_| extreme[rng.gen_range(0..extreme.len())]).collect();
    check(&bases, &mixed, "mixed extremes");
}

#[test]
fn repeated_opposite_and_infinite_points() {
    let mut rng = rng();
    let few = points(3, &mut rng);
    let extreme = extreme_scalars();
    let choices = [few[0], -few[0], few[1], -few[1], few[2], G1Affine::zero()];
    for of in [&choices[..1], &choices[..2], &choices[5..], &choices] {
        let bases: Vec<G1Affine> = (0..3_000).map(|i| of[i % of.len()]).collect();
        let shuffled: Vec<G1Affine> = (0..3_000).map(|_| of[rng.gen_range(0..of.len())]).collect();
        for bases in [bases, shuffled] {
            for scalar in [Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::rand(&mut rng)] {
                check(&bases, &[scalar; 3_000], "one scalar for all");
            }
            let random: Vec<Fr> = (0..3_000).map(|_| Fr::rand(&mut rng)).collect();
            check(&bases, &random, "random scalars");
            let mixed: Vec<Fr> =
                (0..3_000).map(|_| extreme[rng.gen_range(0..extreme.len())]).collect();
            check(&bases, &mixed, "extreme scalars");
        }
    }
}

#[test]
fn a_bucket_larger_than_any_group() {
    let mut rng = rng();
    let mut bases = points(40_000, &mut rng);
    check(&bases, &vec![Fr::ONE; 40_000], "ones");
    let mut scalars: Vec<Fr> = (0..40_000).map(|i| Fr::from(u64::from(i % 50 != 0))).collect();
    for scalar in scalars.iter_mut().step_by(777) {
        *scalar = Fr::rand(&mut rng);
    }
    for base in bases.iter_mut().step_by(5) {
        *base = G1Affine::zero();
    }
    check(&bases, &scalars, "bits");
    // Sums that cancel.
    for i in 0..20_000 {
        bases[2 * i + 1] = -bases[2 * i];
    }
    let scalars = vec![Fr::from(5u64); 40_000];
    check(&bases, &scalars, "opposite neighbours");
    assert_eq!(msm_g1(Path::detect(), &bases, &scalars), G1Projective::ZERO);
}

#[test]
fn the_generator_times_everything() {
    let bases = vec![G1Affine::generator(); 2_000];
    let scalars: Vec<Fr> = (0..2_000u64).map(Fr::from).collect();
    let expected = G1Projective::generator() * Fr::from(1_999u64 * 1_000);
    assert_eq!(msm_g1(Path::detect(), &bases, &scalars).into_affine(), expected.into_affine());
}
