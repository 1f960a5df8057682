//! Criterion benchmarks of what a batch costs off chain. `cargo bench --workspace`; with `-- --test`
//! every benchmark runs once.

use ark_bn254::Fr;
use criterion::{Criterion, criterion_group, criterion_main};
use kerros_protocol::eddsa::{PrivateKey, verify};
use kerros_protocol::poseidon;
use kerros_protocol::transcript::statement;
use kerros_prover::prove::prove_batch;
use kerros_prover::workload;
use kerros_tests::keys;
use kerros_verifier::verify_batch;
use rand::rngs::OsRng;
use std::hint::black_box;

fn primitives(c: &mut Criterion) {
    let inputs: Vec<Fr> = (1..=16u64).map(Fr::from).collect();
    c.bench_function("poseidon of 2", |b| b.iter(|| poseidon::hash(black_box(&inputs[..2]))));
    c.bench_function("poseidon of 16", |b| b.iter(|| poseidon::hash(black_box(&inputs))));
    let secret = PrivateKey::from_bytes([1; 32]);
    let (key, message) = (secret.public_key(), Fr::from(5u64));
    let signature = secret.sign(message);
    c.bench_function("signature verification", |b| {
        b.iter(|| verify(black_box(&key), message, &signature).expect("good"))
    });
}

fn batches(c: &mut Criterion) {
    let keys = keys::small();
    let shape = keys.verification.shape;
    let before = workload::ledger(keys::K_GENESIS, 10);
    let lagrange = keys.lagrange(keys::K_GENESIS).expect("size");
    let domain = Fr::from(1u64);
    let batch = workload::batch(&before, 10, shape.transfers, domain, &lagrange).expect("valid");
    let prove = || prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable");
    let proof = prove().proof;
    let statement = statement(&keys.verification, domain, &batch);
    let mut group = c.benchmark_group("batch of 4 transfers");
    group.sample_size(10);
    group.bench_function("prove", |b| b.iter(prove));
    group.bench_function("verify", |b| {
        b.iter(|| {
            verify_batch(&keys.verification, &statement, &batch.data, black_box(&proof))
                .expect("verifies")
        })
    });
    group.finish();
}

criterion_group!(all, primitives, batches);
criterion_main!(all);
