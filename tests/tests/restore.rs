//! The operator's disk is gone: `kerros-sequencer restore` builds its database from a node that is not ours
//! and the public files, and a sequencer goes on from there with real proofs.

use alloy::primitives::{Address as ChainAddress, U256};
use kerros_client::contract::Contract;
use kerros_client::rescue::rebuild;
use kerros_client::rescue::serve::{post as post_ready, prepare};
use kerros_client::sequencer::{AccountView, SequencerClient, SequencerError};
use kerros_protocol::account::{AccountKey, Address, AssetId};
use kerros_protocol::proto::{BatchState, Sections};
use kerros_protocol::receipt::{Promise, anchor};
use kerros_protocol::transaction::SignedTransaction;
use kerros_prover::worker::{Worker, WorkerConfig, WorkerHandle};
use kerros_sequencer::journal::Journal;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Ethereum, Wallet};
use kerros_sequencer::settlement::queue::Reorganised;
use kerros_sequencer::{Config, Sequencer, SequencerHandle, StartError};
use kerros_tests::anvil::Anvil;
use kerros_tests::chain::{OPERATOR, sequencer_config, start_sequencer, until};
use kerros_tests::command::built;
use kerros_tests::node::{enrich, pass, raw};
use kerros_tests::world::{index, key, wallet};
use kerros_tests::{Chain, World, keys};
use kerros_verifier::contract::{Kerros, TestToken};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Of `Chain::deploy_on`.
const FORCE_WINDOW: u64 = 7 * 86_400;
const SILENCE: u64 = 86_400;

struct Scene {
    anvil: Anvil,
    chain: Chain,
    dir: TempDir,
    /// What wallets know to sign with.
    world: World,
}

struct Running {
    sequencer: SequencerHandle,
    prover: WorkerHandle,
    client: SequencerClient,
}

impl Running {
    async fn stop_proving(self) -> (SequencerHandle, SequencerClient) {
        self.prover.shutdown().await.expect("a clean end");
        (self.sequencer, self.client)
    }
    /// Waits until entries and batches are Final, and nothing is left to do.
    async fn settled(&self, scene: &Scene, entries: u64) -> u64 {
        for _ in 0..3_000 {
            let newest = self.client.batches(2).await.expect("answers");
            let open = newest.first().expect("there always is an open batch");
            let last = newest.get(1).filter(|last| last.state() == BatchState::Final);
            let empty = open.counts.is_none_or(|counts| counts == Sections::default());
            let head = scene.chain.ask(Kerros::headCall {}).await;
            if let (Some(last), true, true) = (last, empty, head == entries) {
                return last.number;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not settled in a minute: {:?}", self.client.info().await.expect("answers").message);
    }
}

async fn accounts(client: &SequencerClient) -> Vec<AccountView> {
    let mut found = Vec::new();
    for i in 1.. {
        match client.account(index(i)).await {
            Ok(account) => found.push(account),
            Err(SequencerError::NotFound { .. }) => break,
            Err(other) => panic!("account {i}: {other}"),
        }
    }
    found
}

fn asset(id: u16) -> AssetId {
    AssetId::new(id).expect("not 0")
}

impl Scene {
    async fn start() -> Option<Self> {
        let anvil = Anvil::start().await?;
        let node = Arc::new(Ethereum::connect(&anvil.url).expect("a URL"));
        enrich(&anvil.url, 6).await;
        let keys = keys::small();
        let chain = Chain::deploy_on(node, &keys.verification).await;
        let dir = TempDir::new().expect("temporary directory");
        let domain = chain.domain().await;
        let world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
        Some(Self { anvil, chain, dir, world })
    }
    fn data(&self) -> PathBuf {
        self.dir.path().join("sequencer")
    }
    fn config(&self) -> Config {
        let mut config = sequencer_config(&self.data(), &self.chain);
        config.wallet = Some(Wallet::new(development_wallet(OPERATOR)));
        config.batch_age_ms_max = 300;
        config
    }
    /// The sequencer on its data directory, and a real prover.
    async fn run(&self, config: Config) -> Running {
        let keys = keys::small();
        let sequencer = start_sequencer(config, &self.chain, &keys.verification).await;
        let sequencer_url = format!("http://{}", sequencer.address);
        let client = SequencerClient::new(&sequencer_url).expect("a URL");
        let worker = WorkerConfig { sequencer_url, prover_id: "restored".to_owned() };
        let prover = Worker::start(worker, keys, keys::small_srs()).await.expect("started");
        Running { sequencer, prover, client }
    }
    /// `kerros-sequencer restore` as an operator would run it: exit code, and all that it said.
    fn restore(&self, contract: ChainAddress, data: &Path) -> (Option<i32>, String) {
        self.restore_with(contract, data, &["--confirmations", "0"])
    }
    fn restore_with(
        &self,
        contract: ChainAddress,
        data: &Path,
        more: &[&str],
    ) -> (Option<i32>, String) {
        let keys = keys::small_dir();
        let (fee_key, owner) = (key(9), wallet(9).1);
        let output = Command::new(built("kerros-sequencer"))
            .args(["restore", "--allow-development", "--main-chain", &self.anvil.url])
            .args(["--contract", &contract.to_string()])
            .args(more)
            .args(["--fee-key", &hex::encode(fee_key.to_be()), "--owner", &owner.to_string()])
            .arg("--data-dir")
            .arg(data)
            .arg("--key")
            .arg(keys.join("verification.key"))
            .arg("--srs")
            .arg(keys.join("srs.bin"))
            .output()
            .expect("started");
        let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        (output.status.code(), format!("{out}{err}"))
    }
    /// A deposit that the sequencer and the wallets' own books know.
    async fn fund(&mut self, i: u32, w: u8, asset: u16, amount: u64) {
        self.chain.deposit(w, asset, amount).await;
        self.world.open(i, w, asset);
        self.world.deposit(i, w, asset, amount);
    }
    async fn pay(&mut self, client: &SequencerClient, w: u8, from: u32, to: u32, amount: u64) {
        let signed = self.world.transfer_of(w, from, to, amount, 1);
        client.submit(&signed).await.expect("acknowledged");
        self.world.transfer(w, from, to, amount, 1);
    }
    async fn leave(&mut self, client: &SequencerClient, w: u8, from: u32, amount: u64) {
        let recipient = wallet(w).1;
        let signed = self.world.exit_of(w, from, amount, 1, recipient);
        client.submit(&signed).await.expect("acknowledged");
        self.world.exit(w, from, amount, 1, recipient);
    }
    /// Claims all of a wallet's own; what its address then has.
    async fn paid(&self, w: u8, asset: u16) -> U256 {
        let account = ChainAddress::from(wallet(w).1.0);
        let claim = Kerros::claimCall { asset, account };
        self.chain.send(w.into(), U256::ZERO, claim).await.expect("claim");
        let token = self.chain.tokens[usize::from(asset) - 1];
        self.chain.ask_at(token, TestToken::balanceOfCall(account)).await
    }
}

async fn balance(client: &SequencerClient, i: u32) -> u64 {
    client.account(index(i)).await.expect("exists").account.balance
}

/// The index that acknowledged a transaction which then was lost.
struct Lost {
    signed: SignedTransaction,
    opened: u32,
}

/// Deposits, payments in both assets, an exit and a forced exit, all Final; then what is only acknowledged.
async fn lived(scene: &mut Scene) -> (Vec<AccountView>, SignedTransaction, Lost, u64) {
    for (i, w, asset, amount) in [(1, 1, 1, 10_000), (2, 2, 1, 500), (3, 3, 2, 77), (4, 1, 2, 40)] {
        scene.fund(i, w, asset, amount).await;
    }
    let running = scene.run(scene.config()).await;
    running.settled(scene, 4).await;
    let client = running.client.clone();
    let first = scene.world.transfer_of(1, 1, 2, 1_000, 1);
    scene.pay(&client, 1, 1, 2, 1_000).await;
    scene.pay(&client, 3, 3, 4, 7).await;
    scene.leave(&client, 2, 2, 1_400).await;
    scene.chain.force(3, 3).await;
    let last = running.settled(scene, 5).await;
    let before = accounts(&client).await;
    let balances: Vec<u64> = before.iter().map(|it| it.account.balance).collect();
    assert_eq!(balances[..4], [8_999, 99, 0, 47]);
    let fees: u64 = balances[4..].iter().sum();
    assert_eq!(fees, 3, "the operator's accounts");

    let (sequencer, client) = running.stop_proving().await;
    let signed = scene.world.transfer_of(1, 1, 2, 55, 1);
    client.submit(&signed).await.expect("acknowledged");
    let opened = client.open(asset(1), wallet(5).1, key(5)).await.expect("acknowledged");
    drop(client);
    sequencer.shutdown().await.expect("a clean end");
    let lost = Lost { signed, opened: opened.index.get() };
    (before, first, lost, last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_costs_no_user_anything_and_the_rollup_goes_on() {
    let Some(mut scene) = Scene::start().await else { return };
    let (before, posted, lost, last) = lived(&mut scene).await;
    let data = scene.data();
    std::fs::remove_dir_all(&data).expect("the thief was thorough");
    // While there is no sequencer: a deposit, and one who wants to leave.
    scene.chain.deposit(4, 1, 9).await;
    scene.chain.force(2, 2).await;

    // No other contract, nor one that is none.
    for (contract, why) in [
        (scene.chain.tokens[0], "does not answer shape() as Kerros does"),
        (ChainAddress::repeat_byte(7), "there is no contract at"),
    ] {
        let (code, said) = scene.restore(contract, &data);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(Journal::look(&data).expect("readable").is_none(), "nothing was begun");
    }
    // Nor where a post of the lost sequencer may still come, or where nodes stand still.
    let url = &scene.anvil.url;
    let poster = development_wallet(OPERATOR).address();
    raw(url, "evm_setAutomine", json!([false])).await;
    raw(url, "anvil_impersonateAccount", json!([poster])).await;
    raw(url, "eth_sendTransaction", json!([{"from": poster, "to": poster, "value": "0x0"}])).await;
    let (code, said) = scene.restore(scene.chain.contract, &data);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 transactions of the operator"), "{said}");
    raw(url, "anvil_stopImpersonatingAccount", json!([poster])).await;
    raw(url, "evm_mine", json!([])).await;
    raw(url, "evm_setAutomine", json!([true])).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let (code, said) = scene.restore_with(scene.chain.contract, &data, &["--head-age-ms", "1000"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ms old, above 1000 ms"), "{said}");
    assert!(Journal::look(&data).expect("readable").is_none(), "nothing was begun");

    let (code, said) = scene.restore(scene.chain.contract, &data);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        format!("restored {last} batches with 2 transfers, {} accounts", before.len()),
        "0 batches are not deep enough to be final, 2 queue entries wait".to_owned(),
        "lost: what was acknowledged and not posted".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}: {said}");
    }
    let (code, said) = scene.restore(scene.chain.contract, &data);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("holds a database"), "{said}");
    let journal = Journal::look(&data).expect("readable").expect("a database");
    let ledger = journal.ledger(keys::K_GENESIS).expect("readable");
    let restored: Vec<_> = ledger
        .existing()
        .map(|(index, account)| AccountView { index, account: *account })
        .collect();
    assert_eq!(restored, before, "balances, nonces, assets, keys and owners");
    drop(journal);

    let running = scene.run(scene.config()).await;
    let client = running.client.clone();
    // Nothing that is on the main chain can be executed again.
    let again = client.submit(&posted).await;
    assert!(
        matches!(&again, Err(SequencerError::Refused { reason, .. }) if reason == "WRONG_NONCE"),
        "{again:?}"
    );
    // What was lost is not known, and can be handed in again: once.
    let unknown = client.transaction(lost.signed.transaction.id()).await;
    assert!(matches!(unknown, Err(SequencerError::NotFound { .. })), "{unknown:?}");
    let receipt = client.submit(&lost.signed).await.expect("acknowledged again");
    assert_eq!(receipt.promise.previous, anchor::<Promise>(scene.world.domain, last));
    assert_eq!(client.submit(&lost.signed).await.expect("the same"), receipt);
    assert_eq!(balance(&client, 1).await, 8_999 - 56);
    scene.world.transfer(1, 1, 2, 55, 1);
    let holder = |w: u8| -> (Address, AccountKey) { (wallet(w).1, key(w)) };
    let (owner, name) = holder(5);
    let opened = client.open(asset(1), owner, name).await.expect("acknowledged again");
    assert!(opened.index.get() >= lost.opened && opened.receipt.is_some());

    // Both assets move on; what is proved of them the contract takes.
    scene.pay(&client, 1, 4, 3, 2).await;
    scene.leave(&client, 1, 4, 3).await;
    let number = running.settled(&scene, 7).await;
    assert!(number > last);
    assert_eq!(scene.chain.ask(Kerros::batchNumberCall {}).await, number);
    let batch = client.batch(number, false).await.expect("known");
    assert_eq!(scene.chain.ask(Kerros::rootCall {}).await.to_vec(), batch.new_root);
    let (owner, name) = holder(4);
    let deposited = client.account_of(asset(1), owner, name).await.expect("answers");
    assert_eq!(deposited.expect("opened").account.balance, 9);
    for (i, right) in [(1, 8_999 - 56), (3, 2), (4, 47 - 3 - 4)] {
        assert_eq!(balance(&client, i).await, right, "account {i}");
    }
    // The forced exit took all there was: the payment too, unless its batch was closed before.
    let stayed = balance(&client, 2).await;
    assert!([0, 55].contains(&stayed), "{stayed}");
    // Left before the disk was lost, and after.
    assert_eq!(scene.paid(2, 1).await, U256::from(1_400 + 99 + 55 - stayed));
    assert_eq!(scene.paid(3, 2).await, U256::from(77 - 7 - 1));
    assert_eq!(scene.paid(1, 2).await, U256::from(3));
    let output = Command::new(built("kerros-verifier"))
        .args(["audit", "--rpc", &scene.anvil.url, "--contract"])
        .arg(scene.chain.contract.to_string())
        .arg("--key")
        .arg(keys::small_dir().join("verification.key"))
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (sequencer, client) = running.stop_proving().await;
    drop(client);
    sequencer.shutdown().await.expect("a clean end");

    // And if the operator stays away too long, there is nothing left for a sequencer to do.
    scene.chain.deposit(4, 1, 1).await;
    pass(&scene.anvil.url, FORCE_WINDOW + 61).await;
    let freeze = Kerros::freezeCall { entry: 7 };
    scene.chain.send(5, U256::ZERO, freeze).await.expect("overdue");
    let elsewhere = scene.dir.path().join("elsewhere");
    let (code, said) = scene.restore(scene.chain.contract, &elsewhere);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is frozen for ever and takes no batch any more"), "{said}");
    assert!(!elsewhere.exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_after_a_restore_is_seen_and_the_batch_posted_again_by_the_proof_it_had() {
    const CONFIRMATIONS: u64 = 3;
    let Some(scene) = Scene::start().await else { return };
    let mine = |blocks: u64| {
        let url = scene.anvil.url.clone();
        async move { raw(&url, "anvil_mine", json!([format!("{blocks:#x}")])).await }
    };
    let config = || Config { confirmations: CONFIRMATIONS, ..scene.config() };
    let state = |sequencer: &SequencerHandle| {
        let record = sequencer.lifecycle().record(1).expect("readable");
        record.map(|record| record.state())
    };
    mine(CONFIRMATIONS).await;
    scene.chain.deposit(1, 1, 100).await;
    mine(CONFIRMATIONS).await;
    let running = scene.run(config()).await;
    until("posted", || state(&running.sequencer) == Some(BatchState::Posted)).await;
    let (sequencer, client) = running.stop_proving().await;
    drop(client);
    sequencer.shutdown().await.expect("a clean end");
    std::fs::remove_dir_all(scene.data()).expect("lost");
    let contract = scene.chain.contract;
    let (code, said) = scene.restore_with(
        contract,
        &scene.data(),
        &["--confirmations", &CONFIRMATIONS.to_string()],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 batches are not deep enough to be final"), "{said}");

    // Deposit and post are taken back, and the deposit is made again: nothing is posted meanwhile.
    raw(&scene.anvil.url, "anvil_reorg", json!([CONFIRMATIONS + 2, []])).await;
    assert_eq!(scene.chain.ask(Kerros::tailCall {}).await, 0);
    let watching = Config { wallet: None, ..config() };
    let key = &keys::small().verification;
    let sequencer = start_sequencer(watching, &scene.chain, key).await;
    let reorganised = || sequencer.shared().pulse().reorganised();
    until("gone", || matches!(reorganised(), Some(Reorganised::Gone { entry: 0, .. }))).await;
    scene.chain.deposit(1, 1, 100).await;
    mine(CONFIRMATIONS).await;
    until("there again", || reorganised().is_none()).await;
    sequencer.shutdown().await.expect("a clean end");

    let sequencer = start_sequencer(config(), &scene.chain, key).await;
    until("posted again", || state(&sequencer) == Some(BatchState::Posted)).await;
    mine(CONFIRMATIONS).await;
    until("final", || state(&sequencer) == Some(BatchState::Final)).await;
    assert_eq!(scene.chain.ask(Kerros::batchNumberCall {}).await, 1);
    assert_eq!(scene.chain.ask(Kerros::headCall {}).await, 1);
    sequencer.shutdown().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whom_a_stranger_overtook_restores_and_goes_on() {
    let Some(scene) = Scene::start().await else { return };
    scene.chain.deposit(1, 1, 100).await;
    let running = scene.run(scene.config()).await;
    running.settled(&scene, 1).await;
    let (sequencer, client) = running.stop_proving().await;
    drop(client);
    sequencer.shutdown().await.expect("a clean end");

    scene.chain.deposit(2, 2, 7).await;
    pass(&scene.anvil.url, SILENCE + 1).await;
    let keys = keys::small();
    let contract = Address(scene.chain.contract.into_array());
    let url = std::slice::from_ref(&scene.anvil.url);
    let rebuilt = rebuild(url, contract, &keys.verification, None, |_| {}).await.expect("sound");
    let ready = prepare(&rebuilt, &keys, wallet(5).1).expect("proved");
    let stranger = Wallet::new(development_wallet(5));
    let called = Contract::new(scene.chain.chain.clone(), contract);
    assert!(post_ready(&ready, &called, &stranger).await.expect("accepted").succeeded);

    // The old database does not know that batch.
    let (node, key) = (scene.chain.chain.clone(), keys.verification.clone());
    let behind = Sequencer::start(scene.config(), node, key, keys::small_srs()).await.err();
    assert!(matches!(behind, Some(StartError::Behind { have: 2, ours: 1 })), "{behind:?}");
    std::fs::rename(scene.data(), scene.dir.path().join("old")).expect("kept");
    let (code, said) = scene.restore(scene.chain.contract, &scene.data());
    assert_eq!(code, Some(0), "{said}");
    let running = scene.run(scene.config()).await;
    let client = running.client.clone();
    assert_eq!(balance(&client, 2).await, 7, "by the stranger's batch");
    scene.chain.deposit(1, 1, 1).await;
    assert_eq!(running.settled(&scene, 3).await, 3);
    assert_eq!(balance(&client, 1).await, 101);
    let (sequencer, _) = running.stop_proving().await;
    sequencer.shutdown().await.expect("a clean end");
}
