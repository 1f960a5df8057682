//! A node that is not ours: sequencer and prover on anvil, from deposits to final roots and a claim.

use alloy::primitives::{Address as ChainAddress, U256};
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::Srs;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{
    BatchState, GetInfoRequest, SubmitTransactionRequest, WatchBatchesRequest,
};
use kerros_prover::worker::{Worker, WorkerConfig, WorkerHandle};
use kerros_sequencer::journal::{Happened, Journal};
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Call, Ethereum, Fees, MainChain, Wallet};
use kerros_sequencer::{Config, SequencerHandle};
use kerros_tests::anvil::Anvil;
use kerros_tests::chain::{OPERATOR, balance_once_funded, sequencer_config, start_sequencer};
use kerros_tests::node::{enrich, raw};
use kerros_tests::world::wallet;
use kerros_tests::{Chain, World, keys};
use kerros_verifier::contract::{Kerros, TestToken};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn batches_of_a_real_prover_become_final_on_anvil_and_pay_out() {
    let Some(anvil) = Anvil::start().await else { return };
    let node = Arc::new(Ethereum::connect(&anvil.url).expect("a URL"));
    enrich(&anvil.url, 4).await;
    let keys = keys::small();
    let chain = Chain::deploy_on(node, &keys.verification).await;
    chain.deposit(1, 1, 10_000).await;
    chain.deposit(2, 1, 500).await;

    let data = tempfile::TempDir::new().expect("temporary directory");
    let mut config = sequencer_config(data.path(), &chain);
    config.wallet = Some(Wallet::new(development_wallet(OPERATOR)));
    config.batch_age_ms_max = 300;
    let sequencer = start_sequencer(config, &chain, &keys.verification).await;
    let endpoint = format!("http://{}", sequencer.address);
    let dir = keys::key_dir(
        &Shape::new(keys::SMALL).expect("a good shape"),
        keys::K_GENESIS,
        keys::K_MAX,
    );
    let worker = WorkerConfig { sequencer_url: endpoint.clone(), prover_id: "anvil".to_owned() };
    let srs = Srs::open(&dir.join("srs.bin")).expect("just made");
    let prover = Worker::start(worker, keys.clone(), srs).await.expect("started");

    let mut client = SequencerServiceClient::connect(endpoint).await.expect("listens");
    let mut world = World::new(keys.verification.shape, keys::K_GENESIS, chain.domain().await);
    for (w, amount) in [(1u8, 10_000), (2, 500)] {
        assert_eq!(balance_once_funded(&mut client, w).await, (u32::from(w), amount));
        world.open(w.into(), w, 1);
        world.deposit(w.into(), w, 1, amount);
    }
    let mut last = 0;
    let leaving = wallet(3).1;
    for signed in [world.transfer_of(1, 1, 2, 1_000, 20), world.exit_of(2, 2, 1_400, 10, leaving)] {
        let request = SubmitTransactionRequest { transaction: signed.encode() };
        let answer = client.submit_transaction(request).await.expect("accepted").into_inner();
        last = answer.receipt.expect("a receipt").batch_number;
    }

    let request = WatchBatchesRequest { from_number: 1 };
    let mut states = client.watch_batches(request).await.expect("watched").into_inner();
    let becomes_final = async {
        loop {
            let answer = states.message().await.expect("the stream holds").expect("not ended");
            let batch = answer.batch.expect("a batch");
            println!("batch {} {:?}", batch.number, batch.state());
            if batch.number == last && batch.state() == BatchState::Final {
                return batch;
            }
        }
    };
    let batch = tokio::time::timeout(Duration::from_secs(60), becomes_final).await;
    let Ok(batch) = batch else {
        let info = client.get_info(GetInfoRequest {}).await.expect("answers").into_inner();
        panic!("not final within a minute; settlement halted: {:?}", info.settlement_halted);
    };
    assert_eq!(chain.ask(Kerros::batchNumberCall {}).await, last);
    assert_eq!(chain.ask(Kerros::rootCall {}).await.to_vec(), batch.new_root);

    let recipient = ChainAddress::from(leaving.0);
    chain
        .send(3, U256::ZERO, Kerros::claimCall { asset: 1, account: recipient })
        .await
        .expect("claim");
    let call = TestToken::balanceOfCall(recipient);
    assert_eq!(chain.ask_at(chain.tokens[0], call).await, U256::from(1_400));
    prover.shutdown().await.expect("a clean end");
    sequencer.shutdown().await.expect("a clean end");
}

/// Hash and fee of the transaction with this number that waits on the node.
async fn waiting(url: &str, nonce: u64) -> Option<(String, U256)> {
    let content = raw(url, "txpool_content", json!([])).await;
    let senders = ["pending", "queued"].map(|pool| content[pool].as_object().cloned());
    let senders = senders.into_iter().flatten().flatten();
    let mut waiting = senders.filter_map(|(_, own)| own.get(nonce.to_string()).cloned());
    let found = waiting.next()?;
    let text = |name: &str| found[name].as_str().expect("a string").to_owned();
    Some((text("hash"), text("maxFeePerGas").parse().expect("a number")))
}
async fn comes<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    for _ in 0..600 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within a minute");
}

/// A sequencer with a deposit to prove on a node that mines only when it is told to.
struct Scene {
    anvil: Anvil,
    node: Arc<Ethereum>,
    chain: Chain,
    config: Config,
    /// The poster's next number.
    nonce: u64,
    _data: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Option<Self> {
        let anvil = Anvil::start().await?;
        let node = Arc::new(Ethereum::connect(&anvil.url).expect("a URL"));
        enrich(&anvil.url, 4).await;
        let chain = Chain::deploy_on(node.clone(), &keys::small().verification).await;
        chain.deposit(1, 1, 10_000).await;
        let data = tempfile::TempDir::new().expect("temporary directory");
        let mut config = sequencer_config(data.path(), &chain);
        config.wallet = Some(Wallet::new(development_wallet(OPERATOR)));
        config.batch_age_ms_max = 300;
        config.post_bump_ms = 2_000;
        let poster = development_wallet(OPERATOR).address();
        let nonce = node.nonce(poster).await.expect("answers");
        raw(&anvil.url, "evm_setAutomine", json!([false])).await;
        Some(Self { anvil, node, chain, config, nonce, _data: data })
    }
    async fn sequencer(&self) -> SequencerHandle {
        start_sequencer(self.config.clone(), &self.chain, &keys::small().verification).await
    }
    async fn prover(sequencer: &SequencerHandle) -> WorkerHandle {
        let shape = Shape::new(keys::SMALL).expect("a good shape");
        let dir = keys::key_dir(&shape, keys::K_GENESIS, keys::K_MAX);
        let sequencer_url = format!("http://{}", sequencer.address);
        let worker = WorkerConfig { sequencer_url, prover_id: "anvil".to_owned() };
        let srs = Srs::open(&dir.join("srs.bin")).expect("just made");
        Worker::start(worker, keys::small().clone(), srs).await.expect("started")
    }
    /// Mines until the first batch is final, by so many transactions of the poster.
    async fn becomes_final(&self, sequencer: &SequencerHandle, transactions: u64) {
        let url = self.anvil.url.as_str();
        let endpoint = format!("http://{}", sequencer.address);
        let client = SequencerServiceClient::connect(endpoint).await.expect("listens");
        let is_final = || async {
            raw(url, "evm_mine", json!([])).await;
            let mut client = client.clone();
            let info = client.get_info(GetInfoRequest {}).await.expect("answers").into_inner();
            assert_eq!(info.settlement_halted, "");
            (info.final_batch == 1).then_some(())
        };
        comes(is_final).await;
        assert_eq!(self.chain.ask(Kerros::batchNumberCall {}).await, 1);
        let poster = development_wallet(OPERATOR).address();
        let nonce = self.node.nonce(poster).await.expect("answers");
        assert_eq!(nonce, self.nonce + transactions);
    }
}

#[tokio::test]
async fn a_post_that_is_dropped_and_stuck_on_anvil_is_sent_again_bumped_and_included_once() {
    let Some(scene) = Scene::start().await else { return };
    let (url, nonce) = (scene.anvil.url.as_str(), scene.nonce);
    let sequencer = scene.sequencer().await;
    let worker = Scene::prover(&sequencer).await;

    let (first, fee) = comes(|| waiting(url, nonce)).await;
    raw(url, "anvil_dropTransaction", json!([first])).await;
    // The same bytes, or more for the same number if its time has come meanwhile.
    let (again, _) = comes(|| waiting(url, nonce)).await;
    println!("dropped {first}, then {again}");
    let bumped = comes(|| async {
        let (hash, now) = waiting(url, nonce).await?;
        (hash != first && now >= fee * U256::from(9) / U256::from(8)).then_some(hash)
    });
    println!("bumped {}", bumped.await);
    // A restart in between forgets nothing.
    worker.shutdown().await.expect("a clean end");
    sequencer.shutdown().await.expect("a clean end");
    let sequencer = scene.sequencer().await;
    scene.becomes_final(&sequencer, 1).await;
    sequencer.shutdown().await.expect("a clean end");
}

#[tokio::test]
async fn a_number_that_a_foreign_transaction_takes_is_given_up_once_that_is_final() {
    let Some(mut scene) = Scene::start().await else { return };
    scene.config.confirmations = 4;
    raw(&scene.anvil.url, "anvil_mine", json!(["0x4"])).await;
    let (url, nonce) = (scene.anvil.url.as_str(), scene.nonce);
    let sequencer = scene.sequencer().await;
    let worker = Scene::prover(&sequencer).await;
    let (post, _) = comes(|| waiting(url, nonce)).await;

    // Somebody else with the operator's key, who pays more than the poster ever does.
    let operator = Wallet::new(development_wallet(OPERATOR));
    let address = operator.address();
    let call = Call { from: Some(address), to: Some(address), ..Call::default() };
    let wei = 1_000_000_000_000;
    let fees = Fees { max_fee_per_gas: wei, max_priority_fee_per_gas: wei };
    let chain_id = scene.node.chain_id().await.expect("answers");
    let foreign = operator.sign_for(chain_id, call, nonce, 21_000, fees);
    scene.node.send_raw(foreign.raw).await.expect("replaces the post");
    raw(url, "evm_mine", json!([])).await;
    let taken = scene.node.receipt(foreign.hash).await.expect("answers").expect("in a block");
    println!("{post} is replaced in block {}", taken.block);

    // A post that waits is mined too, and every block brings the end nearer.
    scene.becomes_final(&sequencer, 2).await;
    worker.shutdown().await.expect("a clean end");
    sequencer.shutdown().await.expect("a clean end");
    let journal = Journal::open(&scene.config.data_dir).expect("opens");
    let mut dead = 0;
    let mut attempts = Vec::new();
    for row in journal.attempts(1).expect("readable") {
        match row.record.what.expect("known") {
            Happened::Signed(post) => {
                // Nothing with a second number before all with the first were dead.
                let first = attempts.iter().filter(|used| **used == nonce).count();
                assert!(
                    post.nonce == nonce || dead == first,
                    "{row_attempt}",
                    row_attempt = row.attempt
                );
                attempts.push(post.nonce);
            }
            Happened::Dead(block) if attempts[row.attempt as usize - 1] == nonce => {
                assert!(block.number >= taken.block, "dead as of block {}", block.number);
                dead += 1;
            }
            Happened::Final(_) => assert_eq!(attempts[row.attempt as usize - 1], nonce + 1),
            _ => {}
        }
    }
    assert_eq!(attempts.last(), Some(&(nonce + 1)));
    assert!(dead > 0);
}
