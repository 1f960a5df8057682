//! A batch that no prover can prove: it is set aside with an alert, later ones go on, and a better
//! prover still saves it.

use crate::proving::proof;
use crate::rig::{Rig, Running, owner, wallet};
use kerros_protocol::proto::{self, BatchState};
use kerros_sequencer::Config;
use std::time::Duration;
use tokio_stream::StreamExt;

const LEASE_MS: u64 = 600;

async fn rig() -> (Rig, Config) {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let config =
        Config { lease_ms: LEASE_MS, quarantine_after: 3, wallet: Some(wallet(0)), ..rig.config() };
    (rig, config)
}

/// Seals one more batch, of one deposit.
async fn seal(rig: &Rig, running: &mut Running, number: u8) {
    rig.deposit(1, 1_000, number, owner(0)).await;
    running.served(number.into()).await;
    assert_eq!(running.seal().await, u64::from(number));
}

/// A prover that can prove everything but batch 1; none if it got nothing.
async fn work(rig: &Rig, running: &mut Running, how: u64) -> Option<u64> {
    let lease = running.lease("no good").await?;
    match (lease.batch_number, how % 3) {
        (1, 0) => running.release(&lease, true).await.unwrap(),
        (1, 1) => {
            let mut wrong = proof(rig, &lease);
            wrong[31] ^= 1; // h
            running.submit_proof(&lease, wrong).await.unwrap_err();
        }
        // Says nothing until the lease has ended.
        (1, _) => tokio::time::sleep(Duration::from_millis(LEASE_MS + 200)).await,
        _ => {
            running.submit_proof(&lease, proof(rig, &lease)).await.unwrap();
        }
    }
    Some(lease.batch_number)
}

/// Works until this batch is Verified; batch 1 may be tried meanwhile.
async fn verified(rig: &Rig, running: &mut Running, number: u64) {
    for _ in 0..100 {
        if running.batch(number).await.state() >= BatchState::Verified {
            return;
        }
        work(rig, running, 0).await;
    }
    panic!("batch {number} is held up");
}

async fn quarantined(running: &mut Running) -> (u64, Vec<bool>) {
    let mut batches = Vec::new();
    for number in 1..=3 {
        batches.push(running.batch(number).await.quarantined);
    }
    (running.info().await.quarantined_batches, batches)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_proved_is_quarantined_and_the_later_ones_are_verified() {
    let (rig, config) = rig().await;
    let mut running = rig.start(config.clone()).await;
    for number in 1..=3 {
        seal(&rig, &mut running, number).await;
    }
    let watch = proto::WatchBatchesRequest { from_number: 1 };
    let mut watcher = running.client.watch_batches(watch).await.unwrap().into_inner();
    // Released as failed, refused, expired.
    for how in 0..3 {
        assert_eq!(quarantined(&mut running).await, (0, vec![false; 3]));
        assert_eq!(work(&rig, &mut running, how).await, Some(1));
    }
    verified(&rig, &mut running, 2).await;
    assert_eq!(quarantined(&mut running).await, (1, vec![true, false, false]));
    let told = async {
        loop {
            let batch = watcher.next().await.unwrap().unwrap().batch.unwrap();
            if batch.number == 1 && batch.quarantined {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("watchers are told");

    // Quarantine outlives a restart, and everything goes on: sealing, leasing, proving.
    drop(watcher);
    running.stop().await;
    let mut running = rig.start(config).await;
    assert_eq!(quarantined(&mut running).await, (1, vec![true, false, false]));
    seal(&rig, &mut running, 4).await;
    // The restart may be the cure: it is tried at once.
    assert_eq!(work(&rig, &mut running, 0).await, Some(1));
    for number in 3..=4 {
        verified(&rig, &mut running, number).await;
    }
    assert_eq!(running.batch(1).await.state(), BatchState::Sealed);

    // A prover that can saves it, and all four are posted.
    let lease = loop {
        match running.lease("good").await {
            Some(lease) => break lease,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(lease.batch_number, 1);
    assert!(lease.epoch > 4);
    running.submit_proof(&lease, proof(&rig, &lease)).await.unwrap();
    assert_eq!(quarantined(&mut running).await, (0, vec![false; 3]));
    running.reached(4, BatchState::Final).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_that_waits_is_given_a_quarantined_batch_when_its_pause_is_over() {
    let (rig, config) = rig().await;
    let mut running = rig.start(config).await;
    seal(&rig, &mut running, 1).await;
    for _ in 0..3 {
        assert_eq!(work(&rig, &mut running, 0).await, Some(1));
    }
    assert_eq!(running.lease("too early").await, None);
    // Nothing else happens meanwhile that could wake it.
    let wait = proto::LeaseBatchRequest { prover_id: "patient".to_owned(), wait_ms: 20_000 };
    let leased = running.prover.lease_batch(wait);
    let leased = tokio::time::timeout(Duration::from_millis(20 * LEASE_MS), leased).await;
    let lease = leased.expect("long before the wait is over").unwrap().into_inner().lease;
    assert_eq!(lease.map(|lease| (lease.batch_number, lease.epoch)), Some((1, 4)));
    running.stop().await;
}
