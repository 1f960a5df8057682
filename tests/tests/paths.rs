//! Every path of the kernels makes arkworks' own proofs, bit by bit; and the proving key's file is checked
//! before it is used. The tests say which paths they ran.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Field, UniformRand};
use kerros_circuits::groth16::Compiled;
use kerros_circuits::proving_key;
use kerros_circuits::setup::{SetupError, SetupFiles};
use kerros_kernels::Path;
use kerros_protocol::encoding::DecodeError;
use kerros_prover::basis::{Basis, Kernels};
use kerros_prover::keys::ProverKeys;
use kerros_prover::prove::{Backend, prove_batch};
use kerros_prover::stock::{Stock, StockBasis};
use kerros_tests::world::everything;
use kerros_tests::{World, keys};
use rand::rngs::OsRng;
use std::fs;

#[test]
fn proofs_are_those_of_arkworks_on_every_path() {
    let keys = keys::small();
    let domain = Fr::from(4242u64);
    let mut world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
    let before = world.sealed.clone();
    everything(&mut world);
    let batch = world.seal(|k| keys.lagrange(k).expect("size"));
    let proved = prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable");
    let rng = &mut OsRng;
    let random = [Fr::rand(rng), Fr::rand(rng)];
    let cases = [random, [Fr::ZERO; 2], [Fr::ONE, -Fr::ONE], [random[0], Fr::ZERO]];
    let stock = Stock::of(&keys, keys::K_GENESIS).expect("size");
    for path in Path::available() {
        println!("path {path}");
        let keys = ProverKeys::load_for(&keys::small_dir(), path).expect("keys");
        for randomness in cases {
            let (ours, _) = keys.groth16.prove(&proved.assignment, randomness);
            let (theirs, _) = stock.groth16(&proved.assignment, randomness).expect("provable");
            assert_eq!(ours, theirs, "path {path}");
        }
        // Of something that satisfies nothing, too: only the numbers count.
        let mut noise: Vec<Fr> = proved.assignment.iter().map(|_| Fr::rand(rng)).collect();
        noise[0] = Fr::ONE;
        let (ours, _) = keys.groth16.prove(&noise, random);
        let (theirs, _) = stock.groth16(&noise, random).expect("provable");
        assert_eq!(ours, theirs, "path {path}");
    }
}

type Transform = fn(&dyn Basis, &mut Vec<Fr>);

const TRANSFORMS: [Transform; 4] = [
    |basis, values| basis.fft(values),
    |basis, values| basis.ifft(values),
    |basis, values| basis.coset_fft(values),
    |basis, values| basis.coset_ifft(values),
];

#[test]
fn arithmetic_on_a_ledgers_domain_is_that_of_arkworks_on_every_path() {
    const K: u8 = 11;
    let rng = &mut OsRng;
    let (mut point, step) = (G1Projective::rand(rng), G1Projective::rand(rng));
    let points: Vec<G1Projective> = (0..1 << K)
        .map(|_| {
            point += step;
            point
        })
        .collect();
    let points: Vec<G1Affine> = G1Projective::normalize_batch(&points);
    let stock = StockBasis::new(K, points.clone());
    let random: Vec<Fr> = (0..1 << K).map(|_| Fr::rand(rng)).collect();
    let mut sparse = vec![Fr::ZERO; 1 << K];
    sparse[5] = -Fr::ONE;
    // Fewer coefficients than places.
    let short = random[..700].to_vec();
    for path in Path::available() {
        println!("path {path}");
        let kernels = Kernels::new(path, K, &points);
        for values in [&random, &sparse, &short] {
            for transform in TRANSFORMS {
                let (mut ours, mut theirs) = (values.clone(), values.clone());
                transform(&kernels, &mut ours);
                transform(&stock, &mut theirs);
                assert_eq!(ours, theirs, "path {path}");
            }
            let (mut ours, mut theirs) = (values.clone(), values.clone());
            kernels.invert(&mut ours);
            stock.invert(&mut theirs);
            assert_eq!(ours, theirs, "path {path}");
            assert_eq!(kernels.commit(values), stock.commit(values), "path {path}");
        }
    }
}

/// Where the body of a proving key begins, and its first point.
const BODY: usize = 128;
const POINT: usize = BODY + 64;

#[test]
fn a_proving_key_that_is_not_what_it_says_is_refused() {
    let keys = keys::small();
    let verification = &keys.verification;
    let compiled = Compiled::new(&verification.shape);
    let original = fs::read(SetupFiles::in_dir(&keys::small_dir()).proving_key).expect("a key");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("proving.key");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        proving_key::read(&path, &compiled, verification)
    };
    // As the file would be if who changed the body had also mended its digest.
    let mended = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = original.clone();
        change(&mut bytes);
        let digest = *blake3::hash(&bytes[BODY..]).as_bytes();
        bytes[77..109].copy_from_slice(&digest);
        bytes
    };
    let key = read(&original).expect("the key itself");
    assert_eq!(key.variables(), compiled.variables);
    assert!(dir.path().join("proving.validated").is_file(), "validated once");

    let mut flipped = original.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    let refused = |bytes: &[u8]| match read(bytes) {
        Ok(_) => panic!("accepted"),
        Err(SetupError::Decode { source, .. }) => source,
        Err(other) => panic!("{other}"),
    };
    assert!(matches!(refused(&flipped), DecodeError::Digest { .. }));
    let off_curve = |at: usize| mended(&|bytes| bytes[at] ^= 1);
    // α in G1, the last word of B in G2.
    for at in [POINT, original.len() - 128] {
        assert!(matches!(refused(&off_curve(at)), DecodeError::NotOnCurve { .. }), "byte {at}");
    }
    // A coordinate of p or more stands for no element, though its residue may be on the curve.
    let unreduced = mended(&|bytes| bytes[POINT..POINT + 32].fill(0xff));
    assert!(matches!(refused(&unreduced), DecodeError::NotOnCurve { .. }));
    // Points of the curve, but not those of the verification key.
    let other = mended(&|bytes| bytes.copy_within(POINT + 64..POINT + 128, POINT));
    assert!(matches!(refused(&other), DecodeError::UnknownFormat { .. }));
    for len in [0, 8, 108, BODY - 1, BODY, BODY + 64, original.len() - 64] {
        assert!(read(&original[..len]).is_err(), "{len} bytes");
        if len >= BODY {
            assert!(read(&mended(&|bytes| bytes.truncate(len))).is_err(), "{len} bytes");
        }
    }
    let huge = mended(&|bytes| bytes[BODY..BODY + 16].fill(0xff));
    assert!(matches!(refused(&huge), DecodeError::UnknownFormat { .. }));
    let another = Compiled::new(&kerros_protocol::batch::Shape::new([1, 1, 1, 1, 1]).expect("one"));
    assert!(matches!(
        proving_key::read(&path, &another, verification),
        Err(SetupError::Decode { .. } | SetupError::Foreign { what: "circuit", .. })
    ));
}
