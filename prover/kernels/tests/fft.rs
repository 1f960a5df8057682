//! The same values as arkworks gives, on random and extreme inputs. The tests say which path they
//! ran.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, BigInt, BigInteger, FftField, Field, PrimeField, UniformRand};
use ark_groth16::r1cs_to_qap::{LibsnarkReduction, R1CSToQAP};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use kerros_kernels::{Domain, Path, batch_inverse, multiply};
use rand::Rng;

/// Both, if this processor has both.
fn paths() -> Vec<Path> {
    let mut paths = vec![Path::Portable, Path::detect()];
    paths.dedup();
    println!("paths {paths:?}");
    paths
}

/// Elements whose Montgomery forms are extreme integers.
fn extremes() -> Vec<Fr> {
    let mut integers = vec![BigInt::from(0u64), BigInt::from(1u64)];
    for bits in [51, 52, 53, 104, 156, 207, 208, 209, 252, 253] {
        let mut power = BigInt::<4>::from(1u64) << bits;
        integers.push(power);
        power.sub_with_borrow(&BigInt::from(1u64));
        integers.push(power);
    }
    for below in 1..4u64 {
        let mut integer = Fr::MODULUS;
        integer.sub_with_borrow(&BigInt::from(below));
        integers.push(integer);
    }
    let mut elements: Vec<Fr> = integers.into_iter().map(Fr::new_unchecked).collect();
    elements.extend([Fr::ONE, -Fr::ONE]);
    elements
}

/// Vectors of `len`: random, short, constant, with one element that is not 0, of extremes.
fn inputs(len: usize) -> Vec<Vec<Fr>> {
    let mut rng = rand::thread_rng();
    let extremes = extremes();
    let mut single = vec![Fr::ZERO; len];
    single[rng.gen_range(0..len)] = -Fr::ONE;
    let mut inputs = vec![
        (0..len).map(|_| Fr::rand(&mut rng)).collect(),
        (0..len.div_ceil(5)).map(|_| Fr::rand(&mut rng)).collect(),
        single,
        (0..len).map(|_| extremes[rng.gen_range(0..extremes.len())]).collect(),
    ];
    if len <= 1 << 10 {
        inputs.extend(extremes.iter().map(|element| vec![*element; len]));
    } else {
        inputs.extend([vec![Fr::ZERO; len], vec![Fr::ONE; len], vec![-Fr::ONE; len]]);
    }
    inputs
}

fn transforms_are_those_of_arkworks(log_n: u32) {
    let plain = Radix2EvaluationDomain::<Fr>::new(1 << log_n).expect("small");
    let coset = plain.get_coset(Fr::GENERATOR).expect("not 0");
    let domains = paths().into_iter().map(|path| (path, Domain::new(path, log_n).expect("small")));
    let domains: Vec<_> = domains.collect();
    for (i, input) in inputs(1 << log_n).into_iter().enumerate() {
        let check = |f: fn(&Domain, &mut Vec<Fr>), expected: Vec<Fr>, what: &str| {
            for (path, domain) in &domains {
                let mut values = input.clone();
                f(domain, &mut values);
                assert!(values == expected, "{what} of 2^{log_n}, input {i}, path {path}");
            }
        };
        check(Domain::fft, plain.fft(&input), "fft");
        check(Domain::ifft, plain.ifft(&input), "ifft");
        check(Domain::coset_fft, coset.fft(&input), "coset fft");
        check(Domain::coset_ifft, coset.ifft(&input), "coset ifft");
    }
}

#[test]
fn all_transforms_of_small_sizes() {
    (0..=14).for_each(transforms_are_those_of_arkworks);
}

#[test]
fn all_transforms_of_large_sizes() {
    [15, 17, 18].into_iter().for_each(transforms_are_those_of_arkworks);
}

#[test]
fn there_is_no_domain_above_the_two_adicity() {
    for path in paths() {
        assert!([29, 63, 64, 65, u32::MAX].iter().all(|log| Domain::new(path, *log).is_none()));
    }
}

/// Constraints `values of a times values of b`, whatever those of c are, by arkworks.
fn expected_quotient(a: &[Fr], b: &[Fr], c: &[Fr]) -> Vec<Fr> {
    // One variable, the constant 1: it is the only input, and takes the last row.
    let rows = |values: &[Fr]| values.iter().map(|value| vec![(*value, 0)]).collect();
    let matrices = [rows(a), rows(b), rows(c)];
    LibsnarkReduction::witness_map_from_matrices::<Fr, Radix2EvaluationDomain<Fr>>(
        &matrices,
        1,
        a.len(),
        &[Fr::ONE],
    )
    .expect("small")
}

fn quotients_are_those_of_arkworks(log_n: u32) {
    let len = (1 << log_n) - 1;
    let domains = paths().into_iter().map(|path| (path, Domain::new(path, log_n).expect("small")));
    let domains: Vec<_> = domains.collect();
    let inputs = inputs(len);
    for i in 0..inputs.len() {
        let [a, b, c] = [i, i + 3, 2 * i + 1].map(|i| {
            let mut values = inputs[i % inputs.len()].clone();
            values.resize(len, Fr::ZERO);
            values
        });
        let expected = expected_quotient(&a, &b, &c);
        let mut with_input = a;
        with_input.push(Fr::ONE);
        for (path, domain) in &domains {
            let quotient = domain.quotient(with_input.clone(), b.clone(), c.clone());
            assert!(quotient == expected, "2^{log_n}, input {i}, path {path}");
        }
    }
}

#[test]
fn quotients_of_small_sizes() {
    (1..=14).for_each(quotients_are_those_of_arkworks);
}

#[test]
fn quotients_of_large_sizes() {
    [16, 17].into_iter().for_each(quotients_are_those_of_arkworks);
}

#[test]
fn inverses_and_products_of_any_length() {
    for len in [0, 1, 15, 16, 17, 1_000, 8_191, 8_192, 8_193, 50_000] {
        for elements in if len == 0 { vec![Vec::new()] } else { inputs(len) } {
            let mut expected = elements.clone();
            ark_ff::batch_inversion(&mut expected);
            for path in paths() {
                let mut inverses = elements.clone();
                batch_inverse(path, &mut inverses);
                assert!(inverses == expected, "{len} elements, path {path}");
                let mut products = elements.clone();
                products.rotate_left(elements.len() / 3);
                let expected = products.iter().zip(&elements).map(|(a, b)| *a * b);
                let expected: Vec<Fr> = expected.collect();
                multiply(path, &mut products, &elements);
                assert!(products[..elements.len()] == expected, "{len} elements, path {path}");
            }
        }
    }
}
