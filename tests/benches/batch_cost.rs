//! What a batch costs, from setup to gas, for 16, 64 and 256 transfers; prints a table.
//!
//! `cargo bench --workspace --bench batch_cost`; with `-- --test` only the tests' small shape runs. One batch opens
//! and funds eight accounts, the next one holds the transfers; both are proved, verified and posted to
//! the contract on the embedded EVM. Times are wall times of one run; memory is the process's peak while
//! it proves.

use kerros_circuits::setup::{cache_dir, development};
use kerros_protocol::batch::Shape;
use kerros_protocol::transcript::statement;
use kerros_prover::keys::ProverKeys;
use kerros_prover::prove::{Proved, prove_batch};
use kerros_tests::{Chain, World, keys};
use kerros_verifier::post::post;
use kerros_verifier::verify_batch;
use rand::rngs::OsRng;
use std::path::Path;
use std::time::{Duration, Instant};

const ACCOUNTS: u8 = 8;

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let shapes: Vec<[u32; 5]> = match smoke {
        true => vec![[8, 8, 4, 1, 1]],
        false => [16, 64, 256].map(|t| [8, 8, t, 4, 2]).to_vec(),
    };
    println!(
        "| transfers | constraints | setup s | load s | witness s | KZG Q s | FFT s | MSM s | KZG W s \
         | proof s | peak MiB | verify ms | gas | gas per transfer | data bytes |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for sections in shapes {
        runtime.block_on(measure(Shape::new(sections).expect("a good shape")));
    }
}

async fn measure(shape: Shape) {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kerros-bench-keys");
    let dir = cache_dir(&target, &shape, keys::K_GENESIS, keys::K_MAX);
    let _ = std::fs::remove_dir_all(&dir); // setup is measured, so it is never cached
    let start = Instant::now();
    development(&dir, &shape, keys::K_GENESIS, keys::K_MAX, &mut OsRng, &|_| {}).expect("setup");
    let setup = start.elapsed();
    let start = Instant::now();
    let keys = ProverKeys::load(&dir).expect("keys just made");
    let load = start.elapsed();
    let chain = Chain::deploy(&keys.verification).await;
    let domain = chain.domain().await;
    let mut world = World::new(shape, keys::K_GENESIS, domain);
    let lagrange = |k| keys.lagrange(k).expect("size");

    for w in 1..=ACCOUNTS {
        chain.deposit(w, 1, 1_000_000).await;
        world.open(w.into(), w, 1);
        world.deposit(w.into(), w, 1, 1_000_000);
    }
    let before = world.sealed.clone();
    let opening = world.seal(lagrange);
    let proved = prove_batch(&keys, &before, &opening, domain, &mut OsRng).expect("provable");
    assert!(chain.post(&post(&opening, &proved.proof)).await.expect("posted").succeeded);

    for t in 0..shape.transfers {
        let from = 1 + (t % u32::from(ACCOUNTS)) as u8;
        let to = 1 + (3 * t + 1) % u32::from(ACCOUNTS);
        world.transfer(from, from.into(), to, 10 + u64::from(t), 2);
    }
    world.collect(1, 2 * u64::from(shape.transfers));
    let before = world.sealed.clone();
    let batch = world.seal(lagrange);
    reset_peak();
    let Proved { proof, phases, constraints, .. } =
        prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable");
    let peak = peak_mib();
    let statement = statement(&keys.verification, domain, &batch);
    let start = Instant::now();
    verify_batch(&keys.verification, &statement, &batch.data, &proof).expect("verifies");
    let verify = start.elapsed();
    let receipt = chain.post(&post(&batch, &proof)).await.expect("posted");
    assert!(receipt.succeeded);

    let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
    let transfers = u64::from(shape.transfers);
    println!(
        "| {transfers} | {constraints} | {} | {} | {} | {} | {} | {} | {} | {} | {peak} | {:.1} | {} | {} | {} |",
        seconds(setup),
        seconds(load),
        seconds(phases.witness.wall),
        seconds(phases.kzg_quotient.wall),
        seconds(phases.groth16.fft.wall),
        seconds(phases.groth16.msm.wall),
        seconds(phases.kzg_opening.wall),
        seconds(phases.total().wall),
        verify.as_secs_f64() * 1e3,
        receipt.gas_used,
        receipt.gas_used / transfers,
        batch.data.encode().len(),
    );
    let _ = std::fs::remove_dir_all(&dir);
}

/// Forgets the peak of resident memory so far (Linux).
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak of resident memory in MiB, 0 where the system does not tell.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
