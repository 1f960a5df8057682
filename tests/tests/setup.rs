//! A key with known secrets reaches no main chain on which something has value, whatever else is
//! allowed: neither by `kerros deploy` nor by a sequencer. A key of a ceremony does.

#[path = "../../circuits/setup/tests/files/known.rs"]
mod known;
#[path = "../../circuits/setup/tests/ceremony/snarkjs.rs"]
#[allow(dead_code)] // a part of it is used here
mod snarkjs;

use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use kerros_circuits::setup::SetupFiles;
use kerros_client::wallet::Wallet as Holder;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain, rpc};
use kerros_sequencer::{Sequencer, StartError};
use kerros_setup::zkey::Zkey;
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
    MainChain::nonce(chain, payer).await.expect("embedded")
}

/// What `kerros` does: exit code, data, messages.
fn kerros(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(built("kerros")).arg("--json").args(arguments).output();
    let output = output.expect("started");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), said, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The operator's wallet in a file.
fn operator(dir: &Path) -> String {
    let path = dir.join("operator.wallet");
    let holder = Holder::from_bytes([7; 32], &development_wallet(OPERATOR).to_bytes().0);
    holder.expect("keys").create(&path).expect("written");
    snarkjs::text(&path).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_key_is_deployed_on_test_chains_only() {
    let dir = TempDir::new().expect("directory");
    let wallet = operator(dir.path());
    let key = keys::small_dir().join("verification.key");
    let deploy = |url: &str, flags: &[&str]| {
        let line = ["deploy", "--rpc", url, "--wallet", &wallet, "--key", snarkjs::text(&key)];
        kerros(&[&line, flags].concat())
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

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_ceremony_is_deployed_anywhere() {
    if snarkjs::scripts().is_none() {
        return;
    }
    let dir = TempDir::new().expect("directory");
    let path = |name: &str| snarkjs::text(&dir.path().join(name)).to_owned();
    let phase1 = dir.path().join("known.ptau");
    let bytes = known::phase1(14, [5u64, 7, 11].map(|secret| Fr::from(secret << 40 | 1)));
    std::fs::write(&phase1, bytes).expect("written");
    // One signature: the smallest circuit of a batch.
    let over = ["--shape", "1,1,0,1,1", "--ptau", snarkjs::text(&phase1)];
    let ceremony = |arguments: &[&str]| kerros(&[&["setup", "ceremony"], arguments].concat());
    let names = ["r1cs", "0.zkey", "1.zkey", "2.zkey", "3.zkey", "keys", "dice"];
    let [r1cs, first, second, third, last, keys, dice] = names.map(path);

    let (code, said, errors) = ceremony(&[&["new", &first, "--r1cs", &r1cs], &over[..]].concat());
    assert_eq!(code, Some(0), "{errors}");
    let circuit_hash = said["circuit_hash"].clone();
    let ptau_hash = said["ptau_hash"].as_str().expect("text").to_owned();
    let contribute = |from: &str, to: &str, more: &[&str]| {
        let line = ["contribute", from, to, "--name", "Ada"];
        ceremony(&[&line, more, &over[..]].concat())
    };
    // A key in which somebody has put points that he wants divided by the next secret.
    let baited = path("baited.zkey");
    let mut key = Zkey::open(Path::new(&first)).expect("just made");
    key.c.push(key.alpha1);
    key.a.push(G1Affine::zero());
    key.b1.push(G1Affine::zero());
    key.b2.push(G2Affine::zero());
    key.save(Path::new(&baited)).expect("written");
    let (code, _, errors) = contribute(&baited, &second, &[]);
    assert!(code == Some(1) && errors.contains("number of variables"), "{errors}");
    let mut key = Zkey::open(Path::new(&first)).expect("just made");
    *key.c.last_mut().expect("wires") = key.alpha1;
    key.save(Path::new(&baited)).expect("written");
    let (code, _, errors) = contribute(&baited, &second, &[]);
    assert!(code == Some(1) && errors.contains("C is not divided"), "{errors}");
    let (code, _, errors) = contribute(&first, &second, &["--entropy", "/dev/urandom"]);
    assert!(code == Some(1) && errors.contains("longer than 1 MiB"), "{errors}");
    assert!(!Path::new(&second).exists(), "nothing was written");

    std::fs::write(&dice, b"4 2 5 5 1 6").expect("written");
    let (code, ada, errors) = contribute(&first, &second, &["--entropy", &dice]);
    assert_eq!(code, Some(0), "{errors}");
    let (code, _, errors) = contribute(&first, &second, &[]);
    assert!(code == Some(1) && errors.contains("exists already"), "{errors}");
    // The next one uses snarkjs.
    snarkjs::snarkjs(&["zkey", "contribute", &second, &third, "--name=Grace", "-e=some text"]);

    // Not before the end, and not without a contribution of somebody.
    let refused = |arguments: &[&str], why: &str| {
        let (code, _, errors) = ceremony(&[arguments, &over[..]].concat());
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(why), "{errors}");
    };
    refused(&["verify", &third], "has not ended with a beacon");
    refused(&["import", &third, "--dir", &keys], "has not ended with a beacon");
    let (code, said, errors) = ceremony(&[&["verify", &third, "--unfinished"], &over[..]].concat());
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(said["contributions"][0]["hash"], ada["contribution_hash"]);
    let hash = "0x00000000000000000000aabbccddeeff";
    let beacon = ["beacon", &third, &last, "--name", "a block", "--hash", hash];
    let (code, _, errors) = ceremony(&[&beacon[..], &["--iterations", "10"]].concat());
    assert_eq!(code, Some(0), "{errors}");
    refused(&["verify", &first], "nobody's secret");

    // Verified by both, from the first byte.
    let (code, said, errors) = ceremony(&[&["verify", &last], &over[..]].concat());
    assert_eq!((code, &said["circuit_hash"]), (Some(0), &circuit_hash), "{errors}");
    let names: Vec<_> = (0..3).map(|i| said["contributions"][i]["name"].clone()).collect();
    assert_eq!(names, ["Ada", "Grace", "a block"]);
    let [r1cs, last_path] = [&r1cs, &last].map(Path::new);
    assert!(snarkjs::verify(r1cs, &phase1, last_path).is_some());

    // Powers of tau that nobody vouches for may be of somebody who knows tau.
    let import = |dir: &str, more: &[&str]| {
        let line = ["import", &last, "--dir", dir, "--k-genesis", "4", "--k-max", "6"];
        ceremony(&[&line, more, &over[..]].concat())
    };
    let (code, _, errors) = import(&keys, &["--ptau-hash", &ptau_hash.replace('a', "b")]);
    assert!(code == Some(1) && errors.contains(&ptau_hash), "{errors}");
    let (code, unpinned, errors) = import(&path("unpinned"), &[]);
    assert_eq!((code, &unpinned["development"]), (Some(0), &true.into()), "{errors}");
    let (code, imported, errors) = import(&keys, &["--ptau-hash", &ptau_hash]);
    assert_eq!((code, &imported["development"]), (Some(0), &false.into()), "{errors}");
    assert_eq!(imported["vk_hash"], unpinned["vk_hash"], "the same contract each time");
    let files = SetupFiles::in_dir(Path::new(&keys));
    let (_mainnet, url) = chain(dir.path(), MAINNET).await;
    let wallet = operator(dir.path());
    let key = snarkjs::text(&files.verification_key);
    let (code, said, errors) =
        kerros(&["deploy", "--rpc", &url, "--wallet", &wallet, "--key", key]);
    assert_eq!((code, &said["chain_id"]), (Some(0), &MAINNET.into()), "{errors}");
}
