//! A clock that jumps: batches still seal, deadlines follow the clock, leases live and end.

use crate::rig::{Rig, Running, owner};
use kerros_protocol::proto::BatchState;
use kerros_sequencer::verification::KeyVerifier;
use kerros_sequencer::{Config, Sequencer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const START: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;
const PROMISE: u64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_neither_stops_sealing_nor_breaks_leases() {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    for name in 1..=2 {
        rig.deposit(1, 1_000, name, owner(0)).await;
    }
    let (base, since) = (Arc::new(AtomicU64::new(START)), Instant::now());
    let running = Arc::clone(&base);
    let now = move || {
        let elapsed = u64::try_from(since.elapsed().as_millis()).unwrap();
        running.load(Ordering::SeqCst) + elapsed
    };
    let clock = Arc::new(now.clone());
    let config =
        Config { batch_age_ms_max: 200, lease_ms: 400, promise_ms: PROMISE, ..rig.config() };
    let verifier = Arc::new(KeyVerifier(rig.key.clone()));
    let chain = Arc::new(rig.chain.clone());
    let (key, srs) = (rig.key.clone(), rig.srs.clone());
    let handle = Sequencer::start_with(config, chain, key, srs, verifier, clock).await.unwrap();
    let mut running = Running::new(handle).await;
    running.served(2).await;
    let jumps = [START, START - HOUR, START + 24 * HOUR, START, START - 2 * HOUR];
    for (nonce, to) in (0..).zip(jumps) {
        // A lease and an open batch from before the jump.
        let receipt = running.submit(rig.transfer((1, 1), (2, 2), 1, nonce)).await.unwrap();
        let held = running.lease("dead").await;
        base.store(to, Ordering::SeqCst);
        let number = receipt.batch_number;
        running.reached(number, BatchState::Sealed).await;
        // Nobody's lease blocks its batch for longer than a lease lasts.
        if let Some(held) = &held {
            let freed = Instant::now();
            let mut again = None;
            while again.is_none() {
                assert!(freed.elapsed() < Duration::from_secs(5), "the lease has ended");
                tokio::time::sleep(Duration::from_millis(20)).await;
                again =
                    running.lease("other").await.filter(|l| l.batch_number == held.batch_number);
            }
            assert!(again.unwrap().epoch > held.epoch);
        }
        let before = now();
        let receipt = running.submit(rig.transfer((2, 2), (1, 1), 1, nonce)).await.unwrap();
        let after = now();
        let deadline = receipt.deadline_ms;
        assert!((before + PROMISE..=after + PROMISE).contains(&deadline), "{deadline}");
        running.reached(receipt.batch_number, BatchState::Sealed).await;
        // What was leased to look at ends by itself; proofs go on.
        tokio::time::sleep(Duration::from_millis(450)).await;
        running.prove(&rig).await;
    }
    running.stop().await;
}
