//! Against other implementations: circomlibjs signs and hashes, snarkjs verifies.
//!
//! Needs `npm ci` in `tests/interop` (which `.ci/run` does). Without it these tests say loudly that
//! they did not run, and fail where CI is set.

use ark_bn254::Fr;
use ark_ff::PrimeField;
use kerros_protocol::amount::Fee;
use kerros_protocol::batch::evaluate;
use kerros_protocol::eddsa::{self, Point, PrivateKey, Signature};
use kerros_protocol::poseidon;
use kerros_protocol::proto::SubmitTransactionRequest;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::transaction::SignedTransaction;
use kerros_protocol::transcript::{Challenges, public_inputs, statement};
use kerros_prover::prove::prove_batch;
use kerros_tests::chain::{balance_once_funded, sequencer_config, start_sequencer};
use kerros_tests::world::{everything, index, key, wallet};
use kerros_tests::{Chain, World, keys};
use kerros_verifier::snarkjs;
use rand::rngs::OsRng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

fn scripts() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    if dir.join("node_modules/circomlibjs").exists() && dir.join("node_modules/snarkjs").exists() {
        return Some(dir);
    }
    assert!(std::env::var_os("CI").is_none(), "run `npm ci` in tests/interop first");
    eprintln!("SKIPPED: run `npm ci` in tests/interop to compare with circomlibjs and snarkjs");
    None
}

fn node(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("node").current_dir(dir).args(arguments).output().expect("node");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn element(value: &Value) -> Fr {
    Fr::from_str(value.as_str().expect("a decimal string")).expect("below r")
}

fn hex32(value: &Value) -> [u8; 32] {
    hex::decode(value.as_str().expect("hex")).expect("hex").try_into().expect("32 bytes")
}

#[test]
fn poseidon_points_and_signatures_agree_with_circomlibjs_on_1024_random_vectors() {
    let Some(dir) = scripts() else { return };
    let seed = format!("{:x}", rand::random::<u64>());
    println!("seed {seed}");
    let vectors: Value =
        serde_json::from_str(&node(&dir, &["vectors.mjs", "1024", &seed])).expect("JSON");
    let list = |name: &str| vectors[name].as_array().expect("a list").clone();
    for vector in list("poseidon") {
        let inputs: Vec<Fr> =
            vector["inputs"].as_array().expect("a list").iter().map(element).collect();
        assert_eq!(poseidon::hash(&inputs), element(&vector["output"]), "{vector}");
    }
    for vector in list("points") {
        let scalar = ark_ed_on_bn254::Fr::from_str(vector["scalar"].as_str().expect("decimal"));
        let point = eddsa::BASE8.times(scalar.expect("below the order"));
        assert_eq!((point.x, point.y), (element(&vector["x"]), element(&vector["y"])), "{vector}");
        assert_eq!(point.pack(), hex32(&vector["packed"]), "{vector}");
        assert_eq!(Point::unpack(&point.pack()), Ok(point));
    }
    for vector in list("signatures") {
        let secret = PrivateKey::from_bytes(hex32(&vector["secret"]));
        let (key, message) = (secret.public_key(), element(&vector["message"]));
        assert_eq!((key.0.x, key.0.y), (element(&vector["x"]), element(&vector["y"])), "{vector}");
        let bytes = hex::decode(vector["signature"].as_str().expect("hex")).expect("hex");
        let bytes: [u8; 64] = bytes.try_into().expect("64 bytes");
        assert_eq!(secret.sign(message).pack(), bytes, "{vector}");
        let signature = Signature::unpack(&bytes).expect("a signature");
        assert_eq!(eddsa::verify(&key, message, &signature), Ok(()));
    }
    let counts = ["poseidon", "points", "signatures"].map(|name| list(name).len());
    assert_eq!(counts, [1024, 1024, 256]);
}

/// A transfer that circomlibjs signs, as canonical bytes.
fn signed_elsewhere(dir: &Path, world: &World, amount: u64) -> SignedTransaction {
    let payee = wallet(2).1;
    let arguments = json!({
        "secret": hex::encode([1u8; 32]),
        "domain": world.domain.into_bigint().to_string(),
        "from": 1, "to": 2,
        "amount": amount.to_string(),
        "fee16": Fee::exact(20).expect("exact").float(),
        "nonce": world.ledger.get(index(1)).nonce,
        "payeeKey": key(2).get().into_bigint().to_string(),
        "payeeOwner": hex::encode(payee.0),
    });
    let bytes = node(dir, &["sign-transfer.mjs", &arguments.to_string()]);
    SignedTransaction::decode(&hex::decode(bytes).expect("hex")).expect("canonical bytes")
}

#[tokio::test]
async fn the_sequencer_accepts_a_transfer_signed_by_circomlibjs() {
    let Some(dir) = scripts() else { return };
    let keys = keys::small();
    let chain = Chain::deploy(&keys.verification).await;
    chain.deposit(1, 1, 10_000).await;
    chain.deposit(2, 1, 500).await;
    let data = tempfile::TempDir::new().expect("temporary directory");
    let sequencer =
        start_sequencer(sequencer_config(data.path(), &chain), &chain, &keys.verification).await;
    let endpoint = format!("http://{}", sequencer.address);
    let mut client = SequencerServiceClient::connect(endpoint).await.expect("listens");
    let mut world = World::new(keys.verification.shape, keys::K_GENESIS, chain.domain().await);
    for (w, amount) in [(1u8, 10_000), (2, 500)] {
        assert_eq!(balance_once_funded(&mut client, w).await, (u32::from(w), amount));
        world.open(w.into(), w, 1);
        world.deposit(w.into(), w, 1, amount);
    }

    let signed = signed_elsewhere(&dir, &world, 1_000);
    assert_eq!(signed, world.transfer_of(1, 1, 2, 1_000, 20));
    let request = SubmitTransactionRequest { transaction: signed.encode() };
    let answer = client.submit_transaction(request).await.expect("accepted").into_inner();
    let receipt = answer.receipt.expect("a receipt");
    assert_eq!(receipt.transaction_id, signed.transaction.id().0);
    assert_eq!(balance_once_funded(&mut client, 2).await, (2, 1_500));
    sequencer.shutdown().await.expect("a clean end");
}

#[test]
fn snarkjs_verifies_a_batch_and_refuses_changed_inputs() {
    let Some(dir) = scripts() else { return };
    let keys = keys::small();
    let domain = Fr::from(4242u64);
    let mut world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
    let before = world.sealed.clone();
    everything(&mut world);
    let batch = world.seal(|k| keys.lagrange(k).expect("size"));
    let proof = prove_batch(&keys, &before, &batch, domain, &mut OsRng).expect("provable").proof;
    let statement = statement(&keys.verification, domain, &batch);
    let challenges = Challenges::draw(&statement, &proof.h, &proof.q);
    let y = evaluate(&batch.data.elements(&keys.verification.shape), challenges.z);
    let mut inputs = public_inputs(&statement, &challenges, y, &proof);

    let files = tempfile::TempDir::new().expect("temporary directory");
    let write = |name: &str, value: Value| {
        std::fs::write(files.path().join(name), value.to_string()).expect("written");
    };
    write("verification_key.json", snarkjs::verification_key(&keys.verification));
    write("proof.json", snarkjs::proof(&proof.groth16));
    let path = files.path().to_str().expect("text").to_owned();
    write("public.json", snarkjs::public_inputs(&inputs));
    assert_eq!(node(&dir, &["verify-proof.mjs", &path]), "true");
    for position in 0..inputs.len() {
        inputs[position] += Fr::from(1u64);
        write("public.json", snarkjs::public_inputs(&inputs));
        assert_eq!(node(&dir, &["verify-proof.mjs", &path]), "false", "input {position}");
        inputs[position] -= Fr::from(1u64);
    }
}
