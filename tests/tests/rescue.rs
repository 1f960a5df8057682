//! The operator has gone: everybody's money leaves through the escape hatch, or a stranger serves the
//! queue, on a node that is not ours, with nothing but the main chain and the public files.

use alloy::primitives::{Address as ChainAddress, U256};
use kerros_client::contract::{Contract, PAYOUT_GAS_MAX};
use kerros_client::rescue::escape::{Done, Whose, escape, freeze};
use kerros_client::rescue::serve::{may_post, post as post_ready, prepare};
use kerros_client::rescue::{Patience, Rebuilt, RescueError, rebuild, rebuild_frozen};
use kerros_client::wallet::Wallet as Holder;
use kerros_protocol::account::Address;
use kerros_prover::prove::prove_batch;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Ethereum, Wallet};
use kerros_tests::anvil::Anvil;
use kerros_tests::chain::{OPERATOR, sequencer_config, start_sequencer};
use kerros_tests::command::built;
use kerros_tests::node::{self, enrich};
use kerros_tests::proxy::Proxy;
use kerros_tests::world::{index, wallet};
use kerros_tests::{Chain, World, keys};
use kerros_verifier::contract::{Kerros, KerrosErrors, Revert, TestToken};
use kerros_verifier::post::post;
use rand::rngs::OsRng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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

fn stranger() -> Wallet {
    Wallet::new(development_wallet(STRANGER))
}

impl Scene {
    /// Wallets 1 and 2 have asset 1, wallet 3 asset 2, and 2 has left with a part.
    async fn start() -> Option<Self> {
        let anvil = Anvil::start().await?;
        let node = Arc::new(Ethereum::connect(&anvil.url).expect("a URL"));
        enrich(&anvil.url, STRANGER + 1).await;
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
        node::pass(&self.anvil.url, seconds).await;
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
        self.run_at(&self.anvil.url, line, w)
    }
    fn run_at(&self, node: &str, line: &str, w: u32) -> (i32, Value, String) {
        let home = tempfile::tempdir().expect("directory");
        let line = format!("{line} --rpc {node} --contract {}", self.chain.contract);
        kerros(&line, &holder(home.path(), w))
    }
}

/// A wallet's file with a development wallet's key of the main chain.
fn holder(home: &Path, w: u32) -> PathBuf {
    let path = home.join("holder.wallet");
    let key = development_wallet(w).to_bytes();
    Holder::from_bytes([w as u8; 32], &key.0).expect("keys").create(&path).expect("written");
    path
}

fn kerros(line: &str, wallet: &Path) -> (i32, Value, String) {
    let output = Command::new(built("kerros"))
        .args(line.split(' '))
        .args(["--json", "--wallet"])
        .arg(wallet)
        .output()
        .expect("started");
    let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("not killed"), said, errors)
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
    let srs = keys::small_srs();
    let early = freeze(&rebuilt, &contract, &stranger(), &srs, Whose::Everybody).await;
    assert!(matches!(early, Err(RescueError::NothingOverdue { waiting: 3, .. })), "{early:?}");
    let dir = keys::small_dir().display().to_string();
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
    let (payer, everybody) = (stranger(), Whose::Everybody);
    let refused =
        escape(&rebuilt, &contract, &payer, &srs, everybody, PAYOUT_GAS_MAX, |_| {}).await;
    assert!(matches!(refused, Err(RescueError::FreezeNotSeen { looks: 1, .. })), "{refused:?}");
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
    let done = escape(&rebuilt, &contract, &payer, &srs, everybody, PAYOUT_GAS_MAX, |_| {}).await;
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
        let again =
            escape(&state, &contract, &payer, &srs, everybody, PAYOUT_GAS_MAX, |_| {}).await;
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
    let dir = keys::small_dir().display().to_string();
    let (code, _, errors) = scene.run(&format!("serve-queue --keys {dir}"), STRANGER);
    assert_eq!(code, 3, "refused: {errors}");

    scene.pass(SILENCE + 1).await;
    let (code, said, errors) = scene.run(&format!("serve-queue --keys {dir}"), STRANGER);
    assert_eq!(code, 0, "{errors}");
    assert_eq!((&said["batch"], &said["first"], &said["end"]), (&3.into(), &3.into(), &7.into()));
    assert_eq!(said["operator"], false);
    let earned = scene.chain.ask(Kerros::etherCreditCall(stranger().address())).await;
    assert!(!earned.is_zero() && said["ether_credit"] == earned.to_string(), "{said}");
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

#[tokio::test(flavor = "multi_thread")]
async fn no_recipient_burns_more_of_the_payers_gas_than_is_allowed() {
    let Some(scene) = Scene::start().await else { return };
    // They get back the entries' fees too, in ether: their code runs for it.
    scene.chain.deposit(1, 1, 9).await;
    scene.chain.deposit(3, 1, 9).await;
    scene.pass(FORCE_WINDOW + 3 * 60 + 1).await;
    // i = 100,000; while (--i); about 2,600,000 gas.
    let burner = "0x620186a05b600190038060045700";
    node::raw(&scene.anvil.url, "anvil_setCode", json!([owner(3), burner])).await;
    let wei = |of: ChainAddress| scene.chain.ask(Kerros::etherCreditCall(of));

    let line = format!("escape --everybody --keys {}", keys::small_dir().display());
    let (code, said, errors) = scene.run(&line, STRANGER);
    assert_eq!(code, 0, "{errors}");
    let unpaid = said["unpaid"].as_array().expect("a list");
    assert_eq!(unpaid.len(), 1, "{said}");
    assert_eq!(
        (&unpaid[0]["asset"], &unpaid[0]["address"]),
        (&Value::Null, &json!(wallet(3).1.to_string()))
    );
    let why = unpaid[0]["why"].as_str().expect("text");
    assert!(why.contains("more than 500000"), "{why}");
    assert!(said["gas_used"].as_u64().expect("gas") < 2_600_000, "{said}");
    assert_eq!((wei(owner(1)).await, scene.supply(1).await), (U256::ZERO, 0), "all others left");
    assert_eq!(scene.tokens(1, owner(3)).await, U256::from(9), "his tokens run no code of his");

    // Whoever wants to pays more for it.
    let waiting = wei(owner(3)).await;
    assert!(!waiting.is_zero());
    let line = format!("claim --ether --account {}", wallet(3).1);
    let (code, _, errors) = scene.run(&line, STRANGER);
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("--gas-max"), "{errors}");
    let (code, said, errors) = scene.run(&format!("{line} --gas-max 4000000"), STRANGER);
    assert_eq!((code, &said["wei"]), (0, &json!(waiting.to_string())), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_followed_until_a_node_that_lags_behind_shows_it() {
    let Some(scene) = Scene::start().await else { return };
    scene.chain.deposit(1, 2, 40).await;
    scene.pass(FORCE_WINDOW + 60 + 1).await;
    // A node that says for some questions that there is no block after this one.
    let newest = scene.chain.chain.head().await.expect("answers").number;
    let lags = Arc::new(AtomicU32::new(u32::MAX));
    let left = Arc::clone(&lags);
    let change = move |request: &Value, answer: &mut Value| {
        let number = answer["result"].as_str().and_then(|text| text.strip_prefix("0x"));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let behind = || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if request["method"] == "eth_blockNumber"
            && number.is_some_and(|number| number > newest)
            && behind().is_ok()
        {
            answer["result"] = json!(format!("{newest:#x}"));
        }
    };
    let node = Proxy::start(&scene.anvil.url, Arc::new(change)).await;

    let key = &keys::small().verification;
    let urls = [scene.anvil.url.clone(), node.url.clone()];
    let address = Address(scene.chain.contract.into_array());
    let patience = Patience { looks: 3, pause: Duration::from_millis(10) };
    let (rebuilt, contract) = (scene.rebuilt().await, scene.contract());
    let frozen =
        freeze(&rebuilt, &contract, &stranger(), &keys::small_srs(), Whose::Everybody).await;
    assert_eq!(frozen.expect("overdue"), Some(3));
    let unseen = rebuild_frozen(&urls, address, key, None, patience, |_| {}).await.err();
    let Some(RescueError::FreezeNotSeen { looks: 3, block }) = unseen else { panic!("{unseen:?}") };
    assert_eq!(block, newest);

    // The command waits for it, and takes everything out.
    lags.store(3, Ordering::SeqCst);
    let line = format!("escape --keys {}", keys::small_dir().display());
    let (code, said, errors) = scene.run_at(&urls.join(","), &line, 1);
    assert_eq!(code, 0, "{errors}");
    assert_eq!((&said["frozen_over"], &said["refunded"]), (&Value::Null, &json!([3])));
    assert_eq!(lags.load(Ordering::SeqCst), 0, "the node lagged, and was asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_opened_early_leaves_room_before_it() {
    let Some(mut scene) = Scene::start().await else { return };
    // The last index of all.
    scene.world.open(15, 4, 1);
    scene.post().await;
    scene.chain.deposit(5, 2, 9).await;
    let keys = keys::small();
    let ready = prepare(&scene.rebuilt().await, &keys, wallet(5).1).expect("proved");
    assert_eq!((ready.batch.before_growth, ready.batch.k), (None, keys::K_GENESIS));
    assert_eq!(ready.batch.data.opens[0].index, index(4));
    // And where the ledger cannot grow.
    for i in [31, 63] {
        scene.world.grow();
        scene.world.open(i, 4, 2);
        scene.post().await;
    }
    let (code, said, errors) =
        scene.run(&format!("serve-queue --keys {}", keys::small_dir().display()), OPERATOR);
    assert_eq!(code, 0, "{errors}");
    assert_eq!((&said["first"], &said["end"]), (&3.into(), &4.into()));
    assert_eq!(said["operator"], true);
    assert!(errors.contains("the operator's own key"), "{errors}");
    let opened = scene.rebuilt().await.replay.state.ledger.get(index(4));
    assert_eq!((opened.asset, opened.balance, opened.owner), (2, 9, wallet(5).1));
}

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_to_the_contract_and_chain_that_were_meant_or_nowhere() {
    let Some(scene) = Scene::start().await else { return };
    let deposit = "deposit --asset 1 --amount 5 --mint";
    let (code, _, errors) = scene.run(&format!("{deposit} --chain-id 1"), 1);
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("chain is 31337"), "{errors}");
    // A node that says that it is the main network's.
    let lie = |request: &Value, answer: &mut Value| {
        if request["method"] == "eth_chainId" {
            answer["result"] = json!("0x1");
        }
    };
    let liar = Proxy::start(&scene.anvil.url, Arc::new(lie)).await;
    let escape = format!("escape --keys {}", keys::small_dir().display());
    for line in [deposit, "claim --asset 1", "force-exit --index 1", &escape] {
        let (code, _, errors) = scene.run_at(&liar.url, line, 1);
        assert_eq!(code, 3, "{errors}");
        assert!(errors.contains("another domain than that of its address on chain 1"), "{errors}");
    }

    // A wallet that has met another deployment.
    let home = tempfile::tempdir().expect("directory");
    let path = holder(home.path(), 1);
    let pins = home.path().join("holder.wallet.signers");
    let other = format!("{} 0x{} http://bank:7400\n", "01".repeat(32), "07".repeat(20));
    std::fs::write(&pins, &other).expect("written");
    let line = format!("{deposit} --rpc {} --contract {}", scene.anvil.url, scene.chain.contract);
    let (code, _, errors) = kerros(&line, &path);
    assert_eq!(code, 8, "{errors}");
    assert!(errors.contains("--chain-id 31337"), "{errors}");
    let (code, said, errors) = kerros(&format!("{line} --chain-id 31337"), &path);
    assert_eq!(code, 0, "{errors}");
    let tail = scene.chain.ask(Kerros::tailCall {}).await;
    assert_eq!((&said["entry"], tail), (&3.into(), 4), "that one deposit and no other");

    // What was too much for the entry comes back, and is told.
    let wei = scene.chain.ask(Kerros::etherCreditCall(owner(1))).await;
    assert!(!wei.is_zero());
    assert_eq!(said["ether_credit"], wei.to_string());
    let (code, _, errors) = scene.run("claim --asset 1", 1);
    assert_eq!(code, 5, "{errors}");
    assert!(errors.contains(&format!("{wei} wei")) && errors.contains("--ether"), "{errors}");
    let (code, said, errors) = scene.run("claim --ether", 1);
    assert_eq!((code, &said["wei"]), (0, &json!(wei.to_string())), "{errors}");
    assert_eq!(scene.run("claim --ether", 1).0, 5, "once");

    // A sequencer of another chain than the node says is not remembered.
    let key = &keys::small().verification;
    let elsewhere = Chain::deploy(key).await;
    let data = tempfile::tempdir().expect("directory");
    let config = sequencer_config(data.path(), &elsewhere);
    let sequencer = start_sequencer(config, &elsewhere, key).await;
    std::fs::remove_file(&pins).expect("removed");
    let at = format!("--rpc {} --sequencer http://{}", liar.url, sequencer.address);
    let (code, _, errors) = kerros(&format!("{deposit} {at}"), &path);
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("the node's chain is 1;"), "{errors}");
    assert!(!pins.exists(), "nothing is pinned before the chains are compared");
    sequencer.shutdown().await.expect("stopped");
}
