//! Sums and transforms on every path of this processor, against arkworks; Poseidon and the prover's
//! vectors against their definitions.

#![no_main]

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{BigInt, FftField, Field, PrimeField};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use kerros_fuzz::choose;
use kerros_kernels::{
    Domain, Path, PreparedG1, PreparedG2, batch_inverse, msm_g1, msm_g2, multiply,
};
use kerros_protocol::poseidon;
use libfuzzer_sys::fuzz_target;

/// Elements whose Montgomery forms are the input's integers: extremes are a bit flip away.
fn elements(data: &[u8]) -> Vec<Fr> {
    let words = data.chunks(32).map(|chunk| {
        let mut limbs = [0u64; 4];
        for (limb, bytes) in limbs.iter_mut().zip(chunk.chunks(8)) {
            *limb = bytes.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        }
        let integer = BigInt::new(limbs);
        if integer < Fr::MODULUS {
            Fr::new_unchecked(integer)
        } else {
            Fr::from_le_bytes_mod_order(chunk)
        }
    });
    words.take(64).collect()
}

/// Small multiples, negatives and infinity, so that additions meet equal and opposite points.
fn multiples<A: AffineRepr<ScalarField = Fr>>(data: &[u8]) -> Vec<A> {
    let point = |byte: &u8| {
        let scalar = Fr::from(u64::from(byte & 0x3f));
        let scalar = if byte & 0x80 == 0 { scalar } else { -scalar };
        (A::generator() * scalar).into_affine()
    };
    data.iter().take(64).map(point).collect()
}

fn sums(data: &[u8]) {
    let (bases, scalars) = data.split_at(data.len().min(64) / 2);
    let (g1, g2) = (multiples::<G1Affine>(bases), multiples::<G2Affine>(bases));
    let scalars = elements(scalars);
    let len = g1.len().min(scalars.len());
    let integers: Vec<_> = scalars.iter().map(|scalar| scalar.into_bigint()).collect();
    let expected = (
        G1Projective::msm(&g1[..len], &scalars[..len]).expect("equal lengths"),
        G2Projective::msm(&g2[..len], &scalars[..len]).expect("equal lengths"),
    );
    let prepared: Vec<_> = g1.iter().map(|point| PreparedG1::from(*point)).collect();
    let prepared2: Vec<_> = g2.iter().map(|point| PreparedG2::from(*point)).collect();
    for path in Path::available() {
        assert_eq!(msm_g1(path, &prepared, &integers), expected.0, "G1, {path}");
        assert_eq!(msm_g2(path, &prepared2, &integers), expected.1, "G2, {path}");
    }
}

fn transforms(log_n: u32, input: &[Fr]) {
    let plain = Radix2EvaluationDomain::<Fr>::new(1 << log_n).expect("small");
    let coset = plain.get_coset(Fr::GENERATOR).expect("not 0");
    let input = &input[..input.len().min(1 << log_n)];
    for path in Path::available() {
        let domain = Domain::new(path, log_n).expect("small");
        let run = |f: fn(&Domain, &mut Vec<Fr>)| {
            let mut values = input.to_vec();
            f(&domain, &mut values);
            values
        };
        assert_eq!(run(Domain::fft), plain.fft(input), "fft, {path}");
        assert_eq!(run(Domain::ifft), plain.ifft(input), "ifft, {path}");
        assert_eq!(run(Domain::coset_fft), coset.fft(input), "coset fft, {path}");
        assert_eq!(run(Domain::coset_ifft), coset.ifft(input), "coset ifft, {path}");
    }
}

fn element_wise(input: &[Fr]) {
    let (left, right) = input.split_at(input.len() / 2);
    let products: Vec<Fr> = left.iter().zip(right).map(|(a, b)| *a * b).collect();
    for path in Path::available() {
        let mut inverses = input.to_vec();
        batch_inverse(path, &mut inverses);
        for (element, inverse) in input.iter().zip(&inverses) {
            assert_eq!(*inverse, element.inverse().unwrap_or_default(), "inverse, {path}");
        }
        let mut values = left.to_vec();
        multiply(path, &mut values, &right[..left.len()]);
        assert_eq!(values, products, "product, {path}");
    }
}

/// Poseidon's permutation as it is defined: constants, S-box, matrix, round by round.
fn poseidon_by_definition(initial: Fr, inputs: &[Fr]) -> Fr {
    let parameters = poseidon::parameters(inputs.len() + 1);
    let mut state = [&[initial], inputs].concat();
    for (round, constants) in parameters.constants.iter().enumerate() {
        state.iter_mut().zip(constants).for_each(|(word, constant)| *word += constant);
        let boxes = if parameters.is_full(round) { parameters.width } else { 1 };
        state[..boxes].iter_mut().for_each(|word| *word = word.pow([5u64]));
        let dot = |row: &Vec<Fr>| row.iter().zip(&state).map(|(m, word)| *m * word).sum();
        state = parameters.mds.iter().map(dot).collect();
    }
    state[0]
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = choose(data, 12) else { return };
    match kind {
        0..=2 => sums(rest),
        3..=8 => transforms(u32::from(kind - 3), &elements(rest)),
        9 => element_wise(&elements(rest)),
        _ => {
            let elements = elements(rest);
            let Some((initial, inputs)) = elements.split_first() else { return };
            let inputs = &inputs[..inputs.len().min(5)];
            if (1..=5).contains(&inputs.len()) {
                let ours = poseidon::permute(*initial, inputs);
                assert_eq!(ours, poseidon_by_definition(*initial, inputs));
            }
        }
    }
});
