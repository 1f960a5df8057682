//! Reorganisations of a node that is not ours: deposits that stay, change and vanish, and our own posts.

use alloy::primitives::U256;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{BatchState, GetInfoRequest};
use kerros_prover::prove::prove_batch;
use kerros_prover::worker::{Worker, WorkerConfig, WorkerHandle};
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Ethereum, Wallet};
use kerros_sequencer::settlement::queue::Reorganised;
use kerros_sequencer::{Config, SequencerHandle};
use kerros_tests::anvil::Anvil;
use kerros_tests::chain::{OPERATOR, sequencer_config, start_sequencer, until};
use kerros_tests::node::{enrich, raw};
use kerros_tests::world::index;
use kerros_tests::{Chain, World, keys};
use kerros_verifier::contract::Kerros;
use kerros_verifier::post::post;
use rand::rngs::OsRng;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Scene {
    anvil: Anvil,
    chain: Chain,
    data: TempDir,
}

impl Scene {
    async fn start() -> Option<Self> {
        let anvil = Anvil::start().await?;
        let node = Arc::new(Ethereum::connect(&anvil.url).expect("a URL"));
        enrich(&anvil.url, 4).await;
        let chain = Chain::deploy_on(node, &keys::small().verification).await;
        let data = TempDir::new().expect("temporary directory");
        Some(Self { anvil, chain, data })
    }
    fn config(&self, confirmations: u64) -> Config {
        let mut config = sequencer_config(self.data.path(), &self.chain);
        config.poll_ms = 20;
        config.confirmations = confirmations;
        config
    }
    async fn sequencer(&self, config: Config) -> SequencerHandle {
        start_sequencer(config, &self.chain, &keys::small().verification).await
    }
    async fn mine(&self, blocks: u64) {
        raw(&self.anvil.url, "anvil_mine", json!([format!("{blocks:#x}")])).await;
    }
    /// The last blocks are replaced by as many empty ones.
    async fn reorganise(&self, depth: u64) {
        raw(&self.anvil.url, "anvil_reorg", json!([depth, []])).await;
    }
}

async fn balance(sequencer: &SequencerHandle, i: u32) -> u64 {
    sequencer.shared().read().await.ledger().get(index(i)).balance
}

/// Waits until the writer has taken so many entries.
async fn taken(sequencer: &SequencerHandle, entries: u64) {
    for _ in 0..3_000 {
        if sequencer.shared().read().await.queue_next() == entries {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let have = sequencer.shared().read().await.queue_next();
    panic!("{have} entries taken, not {entries}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reorganisation_up_to_the_confirmations_credits_what_is_not_there() {
    const CONFIRMATIONS: u64 = 64;
    let Some(scene) = Scene::start().await else { return };
    scene.mine(CONFIRMATIONS).await;
    let sequencer = scene.sequencer(scene.config(CONFIRMATIONS)).await;
    let (mut entries, mut right) = (0, 0);
    // The deep ones first: anvil forgets old states after some 900 blocks.
    for (round, depth) in [64u64, 1, 63, 2, 33, 3, 17, 5, 8].into_iter().enumerate() {
        scene.chain.deposit(1, 1, 100).await;
        // The deposit is the first of the blocks that go.
        if depth > 1 {
            scene.mine(depth - 1).await;
        }
        scene.reorganise(depth).await;
        match round % 3 {
            0 => {}
            again => {
                let amount = if again == 1 { 100 } else { 7 };
                scene.chain.deposit(1, 1, amount).await;
                (entries, right) = (entries + 1, right + amount);
            }
        }
        scene.mine(CONFIRMATIONS).await;
        taken(&sequencer, entries).await;
        assert_eq!(balance(&sequencer, 1).await, right, "depth {depth}");
        assert_eq!(scene.chain.ask(Kerros::assetsCall(1)).await.supply, right);
    }
    assert_eq!(sequencer.shared().pulse().reorganised(), None);
    sequencer.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deeper_one_stops_acceptance_until_the_same_deposit_is_there_again() {
    let Some(scene) = Scene::start().await else { return };
    let sequencer = scene.sequencer(scene.config(2)).await;
    scene.chain.deposit(1, 1, 100).await;
    scene.mine(3).await;
    taken(&sequencer, 1).await;
    let reorganised = || sequencer.shared().pulse().reorganised();

    scene.reorganise(4).await;
    until("gone", || matches!(reorganised(), Some(Reorganised::Gone { entry: 0, .. }))).await;
    // Another deposit in its place is no cure.
    scene.chain.deposit(1, 1, 99).await;
    scene.mine(3).await;
    until("changed", || matches!(reorganised(), Some(Reorganised::Changed { entry: 0, .. }))).await;
    assert_eq!(balance(&sequencer, 1).await, 100);
    // A restart sees the same.
    sequencer.shutdown().await.expect("a clean end");
    let sequencer = scene.sequencer(scene.config(2)).await;
    let reorganised = || sequencer.shared().pulse().reorganised();
    until("changed", || matches!(reorganised(), Some(Reorganised::Changed { entry: 0, .. }))).await;

    scene.reorganise(4).await;
    scene.chain.deposit(1, 1, 100).await;
    scene.chain.deposit(1, 1, 5).await;
    scene.mine(3).await;
    until("there again", || reorganised().is_none()).await;
    taken(&sequencer, 2).await;
    assert_eq!(balance(&sequencer, 1).await, 105);
    sequencer.shutdown().await.expect("a clean end");
}

/// A batch that nobody told the sequencer of: a block of it that goes again changes nothing, one that stays halts.
#[tokio::test(flavor = "multi_thread")]
async fn what_halts_must_be_deep() {
    const CONFIRMATIONS: u64 = 4;
    for stays in [false, true] {
        let Some(scene) = Scene::start().await else { return };
        let mut config = scene.config(CONFIRMATIONS);
        config.wallet = Some(Wallet::new(development_wallet(OPERATOR)));
        config.batch_age_ms_max = 100;
        scene.chain.deposit(1, 1, 100).await;
        let (keys, domain) = (keys::small(), scene.chain.domain().await);
        let mut world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
        world.open(1, 1, 1);
        world.deposit(1, 1, 1, 100);
        let before = world.sealed.clone();
        let sealed = world.seal(|k| keys.lagrange(k).expect("size"));
        let proved = prove_batch(&keys, &before, &sealed, domain, &mut OsRng).expect("provable");

        let sequencer = scene.sequencer(config).await;
        let foreign = post(&sealed, &proved.proof);
        assert!(scene.chain.post(&foreign).await.expect("accepted").succeeded);
        let url = format!("http://{}", sequencer.address);
        let mut client = SequencerServiceClient::connect(url).await.expect("listens");
        let mut halted = async || {
            client
                .get_info(GetInfoRequest {})
                .await
                .expect("answers")
                .into_inner()
                .settlement_halted
        };
        // Many looks.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(halted().await, "");
        if stays {
            scene.mine(CONFIRMATIONS).await;
            let mut said = String::new();
            for _ in 0..3_000 {
                said = halted().await;
                if !said.is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(said.contains("the contract has 1 batches"), "{said}");
        } else {
            scene.reorganise(1).await;
            let prover = prover(&sequencer).await;
            scene.mine(CONFIRMATIONS).await;
            until("posted", || state(&sequencer, 1) == Some(BatchState::Posted)).await;
            scene.mine(CONFIRMATIONS).await;
            until("final", || state(&sequencer, 1) == Some(BatchState::Final)).await;
            assert_eq!(halted().await, "");
            prover.shutdown().await.expect("a clean end");
        }
        drop(client);
        sequencer.shutdown().await.expect("a clean end");
    }
}

async fn prover(sequencer: &SequencerHandle) -> WorkerHandle {
    let sequencer_url = format!("http://{}", sequencer.address);
    let worker = WorkerConfig { sequencer_url, prover_id: "reorganised".to_owned() };
    Worker::start(worker, keys::small().clone(), keys::small_srs()).await.expect("started")
}

fn state(sequencer: &SequencerHandle, number: u64) -> Option<BatchState> {
    let record = sequencer.lifecycle().record(number).expect("readable");
    record.map(|record| record.state())
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_that_are_reorganised_away_are_posted_again() {
    let Some(scene) = Scene::start().await else { return };
    let mut config = scene.config(8);
    config.wallet = Some(Wallet::new(development_wallet(OPERATOR)));
    config.batch_age_ms_max = 100;
    scene.chain.deposit(1, 1, 100).await;
    scene.mine(8).await;
    let sequencer = scene.sequencer(config).await;
    let prover = prover(&sequencer).await;
    let state = |number| state(&sequencer, number);
    for depth in [1, 3, 8] {
        until("posted", || state(1) == Some(BatchState::Posted)).await;
        let place = sequencer.lifecycle().record(1).expect("readable").and_then(|r| r.settlement);
        let before = place.expect("posted").block_hash;
        if depth > 1 {
            scene.mine(depth - 1).await;
        }
        scene.reorganise(depth).await;
        // Verified in between, which may be too short to be seen; then in another block.
        until("posted in another block", || {
            let record = sequencer.lifecycle().record(1).expect("readable").expect("sealed");
            record.settlement.is_some_and(|place| place.block_hash != before)
        })
        .await;
        assert_eq!(scene.chain.ask(Kerros::batchNumberCall {}).await, 1);
    }
    scene.mine(8).await;
    until("final", || state(1) == Some(BatchState::Final)).await;
    assert_eq!(scene.chain.ask(Kerros::headCall {}).await, 1);
    assert_ne!(scene.chain.ask(Kerros::lastOperatorPostCall {}).await, 0);
    assert_eq!(U256::from(balance(&sequencer, 1).await), U256::from(100));
    prover.shutdown().await.expect("a clean end");
    sequencer.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_waits_for_the_deposits_that_went_with_it_and_pays_for_no_revert() {
    let Some(scene) = Scene::start().await else { return };
    let mut config = scene.config(2);
    config.wallet = Some(Wallet::new(development_wallet(OPERATOR)));
    config.batch_age_ms_max = 100;
    scene.chain.deposit(1, 1, 100).await;
    scene.mine(2).await;
    let sequencer = scene.sequencer(config).await;
    let prover = prover(&sequencer).await;
    let poster = development_wallet(OPERATOR).address();
    until("posted", || state(&sequencer, 1) == Some(BatchState::Posted)).await;
    let nonce = scene.chain.chain.nonce(poster).await.expect("answers");

    // The deposit's block, two more, and the post's.
    scene.reorganise(4).await;
    let reorganised = || sequencer.shared().pulse().reorganised();
    until("gone", || matches!(reorganised(), Some(Reorganised::Gone { entry: 0, .. }))).await;
    until("taken back", || state(&sequencer, 1) == Some(BatchState::Verified)).await;
    scene.mine(3).await;
    assert_eq!(scene.chain.chain.nonce(poster).await.expect("answers"), nonce - 1);

    scene.chain.deposit(1, 1, 100).await;
    scene.mine(3).await;
    until("posted again", || state(&sequencer, 1) == Some(BatchState::Posted)).await;
    scene.mine(3).await;
    until("final", || state(&sequencer, 1) == Some(BatchState::Final)).await;
    assert_eq!(reorganised(), None);
    assert_eq!(scene.chain.ask(Kerros::batchNumberCall {}).await, 1);
    assert_eq!(scene.chain.chain.nonce(poster).await.expect("answers"), nonce, "no revert");
    prover.shutdown().await.expect("a clean end");
    sequencer.shutdown().await.expect("a clean end");
}
