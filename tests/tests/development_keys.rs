//! A key with known secrets reaches no main chain on which something has value, whatever else is
//! allowed: neither by `kerros deploy` nor by a sequencer.

use kerros_client::wallet::Wallet as Holder;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{At, Embedded, Genesis, MainChain, rpc};
use kerros_sequencer::{Sequencer, StartError};
use kerros_tests::chain::{OPERATOR, sequencer_config};
use kerros_tests::command::built;
use kerros_tests::{Chain, keys};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Ethereum.
const MAINNET: u64 = 1;

async fn chain(dir: &Path, chain_id: u64) -> (Arc<Embedded>, String) {
    let genesis = Genesis { chain_id, ..Genesis::development(3) };
    let clock = Arc::new(|| 1_700_000_100u64);
    let chain = Embedded::open(&dir.join(chain_id.to_string()), &genesis, clock).expect("new");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (options, served) = (rpc::RpcOptions::default(), Arc::clone(chain.chain()));
    tokio::spawn(rpc::serve(listener, served, options, std::future::pending()));
    (Arc::new(chain), url)
}

async fn nonce(chain: &Embedded) -> u64 {
    let payer = development_wallet(OPERATOR).address();
    MainChain::nonce(chain, payer, At::Latest).await.expect("embedded")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_key_is_deployed_on_test_chains_only() {
    let dir = TempDir::new().expect("directory");
    let wallet = dir.path().join("operator.wallet");
    let holder = Holder::from_bytes([7; 32], &development_wallet(OPERATOR).to_bytes().0);
    holder.expect("keys").create(&wallet).expect("written");
    let key = keys::small_dir().join("verification.key");
    let deploy = |url: &str, flags: &[&str]| {
        let mut command = Command::new(built("kerros"));
        command.args(["--json", "deploy", "--rpc", url, "--wallet"]).arg(&wallet);
        let output = command.arg("--key").arg(&key).args(flags).output().expect("started");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), said, String::from_utf8_lossy(&output.stderr).into_owned())
    };

    let (mainnet, url) = chain(dir.path(), MAINNET).await;
    let (code, _, errors) = deploy(&url, &[]);
    assert!(code == Some(1) && errors.contains("--allow-development"), "{errors}");
    for flags in [&["--allow-development"][..], &["--allow-development", "--test-chain", "2"]] {
        let (code, _, errors) = deploy(&url, flags);
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("chain 1 is not a test chain"), "{errors}");
        assert_eq!(nonce(&mainnet).await, 0, "nothing was sent");
    }
    // Marked by hand, or known.
    let (code, said, errors) = deploy(&url, &["--allow-development", "--test-chain", "2,1"]);
    assert_eq!((code, &said["chain_id"]), (Some(0), &MAINNET.into()), "{errors}");
    assert_eq!(nonce(&mainnet).await, 1);
    let (_sepolia, url) = chain(dir.path(), 11_155_111).await;
    let (code, said, errors) = deploy(&url, &["--allow-development"]);
    assert_eq!((code, &said["chain_id"]), (Some(0), &11_155_111.into()), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequencer_serves_a_development_key_on_test_chains_only() {
    let dir = TempDir::new().expect("directory");
    let keys = keys::small();
    let (mainnet, _) = chain(dir.path(), MAINNET).await;
    let chain = Chain::deploy_on(mainnet, &keys.verification).await;
    let mut config = sequencer_config(&dir.path().join("data"), &chain);
    let start = |config| {
        let (main_chain, key) = (chain.chain.clone(), keys.verification.clone());
        Sequencer::start(config, main_chain, key, keys::small_srs())
    };
    config.allow_development = false;
    let refused = start(config.clone()).await.err();
    assert!(matches!(refused, Some(StartError::Development { .. })), "{refused:?}");
    config.allow_development = true;
    let refused = start(config.clone()).await.err();
    let expected = matches!(refused, Some(StartError::DevelopmentOnChain { chain_id: MAINNET }));
    assert!(expected, "{refused:?}");
    config.test_chains = vec![MAINNET];
    start(config).await.expect("marked").shutdown().await.expect("stopped");
}
