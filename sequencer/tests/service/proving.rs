//! Leases and proofs over real gRPC, with the real verifier.

use crate::rig::{Rig, Running, owner, reason};
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::proto::{self, BatchState};
use kerros_verifier::trapdoor;
use std::time::Duration;
use tokio_stream::StreamExt;

/// So many batches of one deposit each are sealed; nothing is posted.
pub async fn sealed(batches: u8, lease_ms: u64) -> (Rig, Running) {
    let rig = Rig::new("4,2,8,2,2", 4, 5).await;
    let mut config = rig.config();
    config.lease_ms = lease_ms;
    let mut running = rig.start(config).await;
    for name in 1..=batches {
        rig.deposit(1, 1_000, name, owner(0)).await;
        running.served(name.into()).await;
        assert_eq!(running.seal().await, u64::from(name));
    }
    (rig, running)
}

pub fn proof(rig: &Rig, lease: &proto::Lease) -> Vec<u8> {
    let batch = SealedBatch::decode(&lease.sealed_batch, &rig.key.shape).unwrap();
    trapdoor::prove(&rig.key, rig.domain(), &batch).unwrap().encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_provers_hold_different_batches_at_once() {
    let (rig, mut running) = sealed(2, 30_000).await;
    let first = running.lease("one").await.unwrap();
    let second = running.lease("two").await.unwrap();
    assert_eq!((first.batch_number, second.batch_number), (1, 2));
    assert!(running.lease("three").await.is_none());
    // Proofs may come in any order.
    for lease in [&second, &first] {
        let state = running.submit_proof(lease, proof(&rig, lease)).await.unwrap();
        assert_eq!(state, BatchState::Verified);
    }
    let info = running.batch(2).await.proof.unwrap();
    assert_eq!((info.prover_id.as_str(), info.epoch, info.phases.len()), ("two", 1, 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_proof_is_refused_ends_the_lease_and_the_batch_is_sealed_again() {
    let (rig, mut running) = sealed(2, 30_000).await;
    let lease = running.lease("liar").await.unwrap();
    let mut wrong = proof(&rig, &lease);
    wrong[31] ^= 1; // h
    let status = running.submit_proof(&lease, wrong).await.unwrap_err();
    assert_eq!(reason(&status), "PROOF_INVALID");
    assert_eq!(running.batch(1).await.state(), BatchState::Sealed);
    let status = running.submit_proof(&lease, proof(&rig, &lease)).await.unwrap_err();
    assert_eq!(reason(&status), "STALE_LEASE");

    let again = running.lease("liar").await.unwrap();
    assert_eq!((again.batch_number, again.epoch), (1, 2));
    let other = running.lease("other").await.unwrap();
    let status = running.submit_proof(&again, proof(&rig, &other)).await.unwrap_err();
    assert_eq!(reason(&status), "PROOF_INVALID", "another batch's proof");
    let again = running.lease("liar").await.unwrap();
    let status = running.submit_proof(&again, vec![1; 700]).await.unwrap_err();
    assert_eq!(reason(&status), "PROOF_MALFORMED");
    let again = running.lease("honest").await.unwrap();
    assert_eq!(again.epoch, 4);
    running.submit_proof(&again, proof(&rig, &again)).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_expires_without_heartbeats_and_its_epoch_is_refused_afterwards() {
    let (rig, mut running) = sealed(1, 400).await;
    let old = running.lease("slow").await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let beat = proto::HeartbeatRequest {
            batch_number: 1,
            epoch: old.epoch,
            phase: "groth16".to_owned(),
        };
        running.prover.heartbeat(beat).await.unwrap();
    }
    assert!(running.lease("next").await.is_none(), "heartbeats keep it");
    // A prover that waits is woken by the expiry.
    let wait = proto::LeaseBatchRequest { prover_id: "next".to_owned(), wait_ms: 10_000 };
    let new = running.prover.lease_batch(wait).await.unwrap().into_inner().lease.unwrap();
    assert_eq!(new.epoch, old.epoch + 1);
    let status = running.submit_proof(&old, proof(&rig, &old)).await.unwrap_err();
    assert_eq!(reason(&status), "STALE_LEASE");
    let beat = proto::HeartbeatRequest { batch_number: 1, epoch: old.epoch, phase: String::new() };
    assert_eq!(reason(&running.prover.heartbeat(beat).await.unwrap_err()), "STALE_LEASE");
    let status = running.release(&old, true).await.unwrap_err();
    assert_eq!(reason(&status), "STALE_LEASE");
    running.submit_proof(&new, proof(&rig, &new)).await.unwrap();
    // The answer may have been lost: the same again is accepted again.
    let state = running.submit_proof(&new, proof(&rig, &new)).await.unwrap();
    assert_eq!(state, BatchState::Verified);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_a_provers_lease_and_never_repeats_an_epoch() {
    let (rig, mut running) = sealed(2, 30_000).await;
    let kept = running.lease("kept").await.unwrap();
    let given_back = running.lease("given back").await.unwrap();
    running.release(&given_back, false).await.unwrap();
    running.stop().await;
    let mut running = rig.start(rig.config()).await;
    let next = running.lease("next").await.unwrap();
    assert_eq!((next.batch_number, next.epoch), (2, 2));
    running.submit_proof(&kept, proof(&rig, &kept)).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_and_a_watcher_see_every_batch_in_order() {
    let (rig, mut running) = sealed(2, 30_000).await;
    let follow = proto::FollowBatchesRequest { from_number: 1 };
    let mut replica = running.prover.follow_batches(follow).await.unwrap().into_inner();
    let watch = proto::WatchBatchesRequest { from_number: 1 };
    let mut watcher = running.client.watch_batches(watch).await.unwrap().into_inner();
    for number in 1..=2 {
        assert_eq!(replica.next().await.unwrap().unwrap().batch_number, number);
        let batch = watcher.next().await.unwrap().unwrap().batch.unwrap();
        assert_eq!((batch.number, batch.state()), (number, BatchState::Sealed));
    }
    assert_eq!(watcher.next().await.unwrap().unwrap().batch.unwrap().state(), BatchState::Open);
    rig.deposit(1, 1_000, 3, owner(0)).await;
    running.served(3).await;
    running.seal().await;
    assert_eq!(replica.next().await.unwrap().unwrap().batch_number, 3);
    running.prove(&rig).await;
    let mut seen = Vec::new();
    while !seen.contains(&(1, BatchState::Verified)) {
        let batch = watcher.next().await.unwrap().unwrap().batch.unwrap();
        seen.push((batch.number, batch.state()));
    }
    assert!(seen.contains(&(3, BatchState::Sealed)));
    // Streams end when the service stops; it does not wait for their readers.
    let stopping = tokio::time::Instant::now();
    running.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(4));
}
