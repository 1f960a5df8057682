//! The operator has gone: everybody's money leaves through the escape hatch, or a stranger serves the
//! queue, on a node that is not ours, with nothing but the main chain and the public files.

use alloy::primitives::{Address as ChainAddress, U256};
use alloy::providers::{Provider, ProviderBuilder};
use kerros_client::contract::Contract;
use kerros_client::rescue::escape::{Done, Whose, escape, freeze};
use kerros_client::rescue::serve::{may_post, post as post_ready, prepare};
use kerros_client::rescue::{Rebuilt, RescueError, rebuild};
use kerros_client::wallet::Wallet as Holder;
use kerros_protocol::account::Address;
use kerros_protocol::batch::Shape;
use kerros_protocol::commitment::Srs;
use kerros_prover::prove::prove_batch;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Ethereum, Wallet};
use kerros_tests::anvil::Anvil;
use kerros_tests::command::built;
use kerros_tests::world::{index, wallet};
use kerros_tests::{Chain, World, keys};
use kerros_verifier::contract::{Kerros, KerrosErrors, Revert, TestToken};
use kerros_verifier::post::post;
use rand::rngs::OsRng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

const RICH_WEI: &str = "0x3635c9adc5dea00000";
/// Of `Chain::deploy_on`.
const SILENCE: u64 = 86_400;
const FORCE_WINDOW: u64 = 7 * 86_400;
/// Neither operator nor holder.
const STRANGER: u32 = 6;

struct Scene {
    anvil: Anvil,
    chain: Chain,
    world: World,
}

fn dir() -> PathBuf {
    let shape = Shape::new(keys::SMALL).expect("a good shape");
    keys::key_dir(&shape, keys::K_GENESIS, keys::K_MAX)
}
fn srs() -> Srs {
    Srs::open(&dir().join("srs.bin")).expect("just made")
}
fn stranger() -> Wallet {
    Wallet::new(development_wallet(STRANGER))
}

impl Scene {
    /// Wallets 1 and 2 have asset 1, wallet 3 asset 2, and 2 has left with a part.
    async fn start() -> Option<Self> {
        let anvil = Anvil::start().await?;
        let node = Arc::new(Ethereum::connect(&anvil.url).expect("a URL"));
        let scene_url = anvil.url.clone();
        for w in 0..=STRANGER {
            let account = development_wallet(w).address();
            raw(&scene_url, "anvil_setBalance", json!([account, RICH_WEI])).await;
        }
        let chain = Chain::deploy_on(node, &keys::small().verification).await;
        let domain = chain.domain().await;
        let world = World::new(keys::small().verification.shape, keys::K_GENESIS, domain);
        let mut scene = Self { anvil, chain, world };
        for (i, w, asset, amount) in [(1, 1u8, 1, 10_000), (2, 2, 1, 500), (3, 3, 2, 77)] {
            scene.chain.deposit(w, asset, amount).await;
            scene.world.open(i, w, asset);
            scene.world.deposit(i, w, asset, amount);
            if i == 2 {
                scene.post().await;
            }
        }
        scene.world.transfer(1, 1, 2, 1_000, 0);
        scene.world.exit(2, 2, 200, 0, wallet(2).1);
        scene.post().await;
        Some(scene)
    }
    /// The operator's last acts.
    async fn post(&mut self) {
        let keys = keys::small();
        let before = self.world.sealed.clone();
        let batch = self.world.seal(|k| keys.lagrange(k).expect("size"));
        let domain = self.chain.domain().await;
        let proved = prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable");
        let receipt = self.chain.post(&post(&batch, &proved.proof)).await.expect("posted");
        assert!(receipt.succeeded);
    }
    async fn pass(&self, seconds: u64) {
        raw(&self.anvil.url, "evm_increaseTime", json!([seconds])).await;
        raw(&self.anvil.url, "evm_mine", json!([])).await;
    }
    async fn rebuilt(&self) -> Rebuilt {
        let key = &keys::small().verification;
        let contract = Address(self.chain.contract.into_array());
        rebuild(std::slice::from_ref(&self.anvil.url), contract, key, None, |_| {})
            .await
            .expect("sound")
    }
    fn contract(&self) -> Contract {
        Contract::new(self.chain.chain.clone(), Address(self.chain.contract.into_array()))
    }
    async fn tokens(&self, asset: u16, holder: ChainAddress) -> U256 {
        let token = self.chain.tokens[usize::from(asset) - 1];
        self.chain.ask_at(token, TestToken::balanceOfCall(holder)).await
    }
    async fn supply(&self, asset: u16) -> u64 {
        self.chain.ask(Kerros::assetsCall(asset)).await.supply
    }
    /// `kerros` as a stranger's or a holder's terminal would run it.
    fn run(&self, line: &str, w: u32) -> (i32, Value, String) {
        let home = tempfile::tempdir().expect("directory");
        let path = home.path().join("holder.wallet");
        let key = development_wallet(w).to_bytes();
        Holder::from_bytes([w as u8; 32], &key.0).expect("keys").create(&path).expect("written");
        let output = Command::new(built("kerros"))
            .args(line.split(' '))
            .args(["--json", "--rpc", &self.anvil.url, "--contract"])
            .arg(self.chain.contract.to_string())
            .arg("--wallet")
            .arg(&path)
            .output()
            .expect("started");
        let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("not killed"), said, errors)
    }
}

async fn raw(url: &str, method: &'static str, arguments: Value) {
    let provider = ProviderBuilder::new().connect_http(url.parse().expect("a URL"));
    let _: Value = provider.raw_request(method.into(), arguments).await.expect("anvil's method");
}

fn owner(w: u8) -> ChainAddress {
    ChainAddress::from(wallet(w).1.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_leaves_a_vanished_operators_rollup_once_in_both_assets() {
    let Some(mut scene) = Scene::start().await else { return };
    // Nobody serves these any more: a deposit in each asset, and a forced exit.
    scene.chain.deposit(1, 2, 40).await;
    scene.chain.deposit(3, 1, 9).await;
    scene.chain.force(2, 2).await;
    // A batch that would have served them, proved in time, and late.
    scene.world.open(4, 1, 2);
    scene.world.deposit(4, 1, 2, 40);
    let keys = keys::small();
    let before = scene.world.sealed.clone();
    let late = scene.world.seal(|k| keys.lagrange(k).expect("size"));
    let domain = scene.chain.domain().await;
    let proved = prove_batch(&keys, &before, &late, domain, &mut OsRng).expect("provable");

    let (rebuilt, contract) = (scene.rebuilt().await, scene.contract());
    let srs = srs();
    let early = freeze(&rebuilt, &contract, &stranger(), &srs, Whose::Everybody).await;
    assert!(matches!(early, Err(RescueError::NothingOverdue { waiting: 3, .. })), "{early:?}");
    let dir = dir().display().to_string();
    let (code, _, errors) = scene.run(&format!("escape --keys {dir}"), 1);
    assert_eq!(code, 3, "refused: {errors}");
    assert!(errors.contains("no entry of its queue is overdue"), "{errors}");
    let (code, ..) = scene.run("claim --asset 1", 2);
    assert_eq!(code, 0, "what had left before is paid without a sequencer");

    scene.pass(FORCE_WINDOW + 3 * 60 + 1).await;
    // Who has nothing freezes nothing, and nothing is taken out before the freeze.
    let rebuilt = scene.rebuilt().await;
    let nobody = Whose::Of(wallet(9).1);
    let refused = freeze(&rebuilt, &contract, &stranger(), &srs, nobody).await;
    assert!(matches!(refused, Err(RescueError::NothingToTake { .. })), "{refused:?}");
    let refused = escape(&rebuilt, &contract, &stranger(), &srs, Whose::Everybody, |_| {}).await;
    assert!(matches!(refused, Err(RescueError::FreezeNotSeen)), "{refused:?}");
    // One holder for himself, by the command.
    let (code, said, errors) = scene.run(&format!("escape --keys {dir}"), 1);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(said["frozen_over"], 3, "the first entry overdue");
    assert_eq!(said["accounts"][0]["units"], 9_000);
    assert_eq!(said["accounts"].as_array().map(Vec::len), Some(1));
    assert_eq!(said["refunded"], json!([3]));
    assert_eq!(scene.tokens(1, owner(1)).await, U256::from(9_000));
    assert_eq!(scene.tokens(2, owner(1)).await, U256::from(40));
    // The normal way is closed for ever.
    let refused = scene.chain.try_post(&post(&late, &proved.proof)).await;
    assert!(matches!(refused, Err(Revert::Kerros(KerrosErrors::IsFrozen(_)))), "{refused:?}");

    // A stranger pays the gas for all others.
    let rebuilt = scene.rebuilt().await;
    let everybody = Whose::Everybody;
    let payer = stranger();
    let done = escape(&rebuilt, &contract, &payer, &srs, everybody, |_| {}).await;
    let done = done.expect("all of them");
    let left: Vec<u32> = done.accounts.iter().map(|(index, _)| index.get()).collect();
    assert_eq!((left, &done.refunded), (vec![2, 3], &vec![4, 5]));
    let mut paid = BTreeMap::new();
    for (asset, address, units) in &done.paid {
        *paid.entry((asset.get(), *address)).or_insert(0) += units;
    }
    // 500 + 1,000 - 200; what was put in and never served.
    let right = [((1, wallet(2).1), 1_300), ((1, wallet(3).1), 9), ((2, wallet(3).1), 77)];
    assert_eq!(paid, BTreeMap::from(right));
    assert_eq!(scene.tokens(1, owner(2)).await, U256::from(200 + 1_300));
    assert_eq!(scene.tokens(1, owner(3)).await, U256::from(9));
    assert_eq!(scene.tokens(2, owner(3)).await, U256::from(77));
    for asset in [1, 2] {
        assert_eq!(scene.supply(asset).await, 0);
        assert_eq!(scene.tokens(asset, scene.chain.contract).await, U256::ZERO);
    }

    // Again, with a state from before and with a new one: nothing is paid twice.
    for state in [rebuilt, scene.rebuilt().await] {
        let again = escape(&state, &contract, &payer, &srs, everybody, |_| {}).await;
        assert_eq!(again.expect("nothing to do"), Done::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_serves_the_queue_of_a_silent_operator() {
    let Some(scene) = Scene::start().await else { return };
    // More than a batch holds (two deposits, two exits); one deposit goes to an account that exists.
    scene.chain.deposit(1, 1, 40).await;
    scene.chain.force(2, 2).await;
    scene.chain.deposit(4, 2, 9).await;
    scene.chain.force(4, 3).await;
    scene.chain.deposit(4, 2, 1).await;
    let keys = keys::small();
    let refused = may_post(&scene.rebuilt().await, &stranger());
    assert!(matches!(refused, Err(RescueError::NotSilent { silence: SILENCE, .. })), "{refused:?}");
    let dir = dir().display().to_string();
    let (code, _, errors) = scene.run(&format!("serve-queue --keys {dir}"), STRANGER);
    assert_eq!(code, 3, "refused: {errors}");

    scene.pass(SILENCE + 1).await;
    let (code, said, errors) = scene.run(&format!("serve-queue --keys {dir}"), STRANGER);
    assert_eq!(code, 0, "{errors}");
    assert_eq!((&said["batch"], &said["first"], &said["end"]), (&3.into(), &3.into(), &7.into()));
    let rebuilt = scene.rebuilt().await;
    let ledger = &rebuilt.replay.state.ledger;
    assert_eq!(ledger.get(index(1)).balance, 9_000 + 40);
    assert_eq!(ledger.get(index(2)).balance, 0, "its owner has left");
    assert_eq!(ledger.get(index(3)).balance, 77, "a stranger's forced exit takes nothing");
    let opened = ledger.get(index(4));
    assert_eq!((opened.asset, opened.balance, opened.owner), (2, 9, wallet(4).1));
    assert_eq!(rebuilt.replay.withdrawable[&(1, wallet(2).1)], 200 + 1_300);

    // The rest, as a library; once.
    may_post(&rebuilt, &stranger()).expect("still silent");
    let ready = prepare(&rebuilt, &keys, wallet(5).1).expect("proved");
    assert_eq!((ready.batch.first, ready.batch.end), (7, 8));
    let posted = post_ready(&ready, &scene.contract(), &stranger()).await.expect("accepted");
    assert!(posted.succeeded);
    assert!(post_ready(&ready, &scene.contract(), &stranger()).await.is_err(), "twice");
    let rebuilt = scene.rebuilt().await;
    assert_eq!(rebuilt.replay.state.ledger.get(index(4)).balance, 10);
    assert!(rebuilt.replay.ether.contains_key(&wallet(5).1), "credited with the entries' fees");
    let nothing = prepare(&rebuilt, &keys, wallet(5).1).err();
    assert!(matches!(nothing, Some(RescueError::NothingToServe)), "{nothing:?}");
}
