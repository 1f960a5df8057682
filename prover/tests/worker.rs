//! The worker against a sequencer that the tests control: leases, proofs, refusals, lost
//! connections. The real sequencer meets it in the workspace's `tests`.

mod fake;

use fake::{Fake, World, development_keys};
use kerros_protocol::transcript::{BatchProof, statement};
use kerros_prover::engine::{Engine, EngineError, Output};
use kerros_prover::keys::ProverKeys;
use kerros_prover::worker::{Worker, WorkerConfig, WorkerError, WorkerHandle};
use std::sync::Arc;
use std::time::Duration;

/// Sleeps, then returns a proof of nothing.
struct Slow {
    key: kerros_protocol::verification_key::VerificationKey,
    sleep: Duration,
}

impl Engine for Slow {
    fn verification_key(&self) -> &kerros_protocol::verification_key::VerificationKey {
        &self.key
    }
    fn prove(
        &self,
        _before: &kerros_protocol::ledger::Ledger,
        _batch: &kerros_protocol::batch::SealedBatch,
        _domain: ark_bn254::Fr,
    ) -> Result<Output, EngineError> {
        std::thread::sleep(self.sleep);
        let proof = BatchProof::decode(&[0; BatchProof::LEN]).expect("zeros decode");
        Ok(Output { proof, phases: Vec::new(), constraints: 0 })
    }
}

async fn worker(url: &str, engine: Arc<dyn Engine>, world: &World) -> WorkerHandle {
    let config = WorkerConfig { sequencer_url: url.to_owned(), prover_id: "p1".to_owned() };
    Worker::start(config, engine, world.srs.clone()).await.expect("started")
}

fn slow(world: &World, ms: u64) -> Arc<dyn Engine> {
    Arc::new(Slow { key: world.key.clone(), sleep: Duration::from_millis(ms) })
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_leased_proved_checked_and_returned_in_order() {
    let mut world = World::new();
    let batches = [world.open_and_deposit(), world.transfer(), world.grow_and_transfer()];
    let keys = ProverKeys::load(development_keys()).expect("keys");
    let fake = Fake::serve(&world, &batches, None).await;
    let handle = worker(&fake.url, Arc::new(keys), &world).await;
    for (number, batch) in (1..).zip(&batches) {
        let proof = fake.proof(number).await;
        let proof = BatchProof::decode(&proof).expect("canonical");
        let statement = statement(&world.key, world.domain, batch);
        let verified = kerros_verifier::verify_batch(&world.key, &statement, &batch.data, &proof);
        assert_eq!(verified, Ok(()), "batch {number}");
    }
    assert_eq!(handle.status().borrow().proofs, 3);
    handle.shutdown().await.expect("clean");
    assert!(fake.released().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_that_joins_late_replays_the_batches_before_its_lease() {
    let mut world = World::new();
    let batches = [world.open_and_deposit(), world.transfer(), world.transfer()];
    let keys = ProverKeys::load(development_keys()).expect("keys");
    let fake = Fake::serve(&world, &batches, None).await;
    // Others have proved these.
    fake.mark_proved(1);
    fake.mark_proved(2);
    let handle = worker(&fake.url, Arc::new(keys), &world).await;
    fake.proof(3).await;
    handle.shutdown().await.expect("clean");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_does_not_follow_from_its_data_is_refused_and_released() {
    let mut world = World::new();
    let mut batch = world.open_and_deposit();
    batch.new.0.swap(0, 1);
    let fake = Fake::serve(&world, &[batch], None).await;
    let handle = worker(&fake.url, slow(&world, 1), &world).await;
    let reason = fake.release().await;
    assert!(reason.contains("commitments after the batch"), "{reason}");
    assert!(fake.released()[0].3, "the batch has failed");
    handle.shutdown().await.expect("clean");
    assert!(fake.proofs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_does_not_verify_never_leaves_the_prover() {
    let mut world = World::new();
    let batch = world.open_and_deposit();
    let fake = Fake::serve(&world, &[batch], None).await;
    let handle = worker(&fake.url, slow(&world, 1), &world).await;
    let reason = fake.release().await;
    assert!(reason.contains("own proof does not verify"), "{reason}");
    handle.shutdown().await.expect("clean");
    assert!(fake.proofs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_releases_the_lease() {
    let mut world = World::new();
    let batch = world.open_and_deposit();
    let fake = Fake::serve(&world, &[batch], None).await;
    let handle = worker(&fake.url, slow(&world, 5_000), &world).await;
    fake.heartbeat().await;
    handle.shutdown().await.expect("clean");
    assert_eq!(fake.released(), vec![(1, 1, "prover shuts down".to_owned(), false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_is_given_up_and_the_next_one_has_another_epoch() {
    let mut world = World::new();
    let batch = world.open_and_deposit();
    let fake = Fake::serve(&world, &[batch], None).await;
    let handle = worker(&fake.url, slow(&world, 2_000), &world).await;
    fake.heartbeat().await;
    fake.revoke();
    fake.leased(2).await;
    fake.heartbeat().await;
    handle.shutdown().await.expect("clean");
    let epochs: Vec<u64> = fake.released().iter().map(|(_, epoch, ..)| *epoch).collect();
    assert_eq!(epochs, vec![2], "the first lease was lost, not released");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_waits_for_a_sequencer_that_is_not_there_yet() {
    let mut world = World::new();
    let batch = world.open_and_deposit();
    let port = fake::free_port().await;
    let keys = ProverKeys::load(development_keys()).expect("keys");
    let url = format!("http://127.0.0.1:{port}");
    let handle = worker(&url, Arc::new(keys), &world).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!handle.status().borrow().failure.is_empty());
    let fake = Fake::serve(&world, &[batch], Some(port)).await;
    fake.proof(1).await;
    handle.shutdown().await.expect("clean");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequencer_with_another_key_ends_the_worker() {
    let world = World::new();
    let fake = Fake::serve(&world, &[], None).await;
    let mut key = world.key.clone();
    key.ic.swap(0, 1);
    let engine = Arc::new(Slow { key, sleep: Duration::ZERO });
    let mut handle = worker(&fake.url, engine, &world).await;
    assert!(matches!(handle.wait().await, Err(WorkerError::OtherKey { .. })));
}
