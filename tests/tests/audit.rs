//! The auditor against an honest history over HTTP, and against the same history with single bytes changed.

use kerros_protocol::commitment::Srs;
use kerros_prover::prove::prove_batch;
use kerros_sequencer::main_chain::{Embedded, Genesis, rpc};
use kerros_tests::command::built;
use kerros_tests::world::everything;
use kerros_tests::{Chain, World, keys};
use kerros_verifier::audit::diagnosis::field_at;
use kerros_verifier::chain::{
    Deployment, History, Item, Proofs, Reader, Replay, ReplayFault, Standing,
};
use kerros_verifier::deployed::compare_code;
use kerros_verifier::post::post;
use rand::rngs::OsRng;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;

struct Scene {
    _dir: TempDir,
    url: String,
    reader: Arc<Reader>,
    deployment: Deployment,
    items: Vec<Item>,
}

/// Two real batches on the embedded chain, read back over HTTP.
async fn honest() -> Scene {
    let dir = TempDir::new().expect("temporary directory");
    let clock = Arc::new(|| 1_700_000_100u64);
    let embedded = Embedded::open(dir.path(), &Genesis::development(10), clock).expect("new");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (options, served) = (rpc::RpcOptions::default(), Arc::clone(embedded.chain()));
    tokio::spawn(rpc::serve(listener, served, options, std::future::pending()));
    let keys = keys::small();
    let chain = Chain::deploy_on(Arc::new(embedded), &keys.verification).await;
    let domain = chain.domain().await;
    let mut world = World::new(keys.verification.shape, keys::K_GENESIS, domain);
    chain.deposit(1, 1, 10_000).await;
    chain.deposit(2, 1, 500).await;
    chain.force(2, 2).await;
    everything(&mut world);
    for batch in 1..=2 {
        if batch == 2 {
            chain.deposit(1, 1, 40).await;
            world.deposit(1, 1, 1, 40);
            world.transfer(1, 1, 1, 30, 0);
        }
        let before = world.sealed.clone();
        let sealed = world.seal(|k| keys.lagrange(k).expect("size"));
        let proved = prove_batch(&keys, &before, &sealed, domain, &mut OsRng).expect("provable");
        assert!(chain.post(&post(&sealed, &proved.proof)).await.expect("accepted").succeeded);
    }
    let reader = Arc::new(Reader::connect(&[url.clone(), url.clone()], 0).await.expect("a head"));
    let deployment = Deployment::read(&reader, chain.contract, None).await.expect("deployed");
    assert!(deployment.block_is_exact && deployment.block > 0);
    let mut history = History::start(reader.clone(), chain.contract, deployment.block);
    let mut items = Vec::new();
    while let Some(item) = history.next().await.expect("read") {
        items.push(item);
    }
    Scene { _dir: dir, url, reader, deployment, items }
}

fn replay(deployment: &Deployment, proofs: Proofs) -> Replay {
    let keys = keys::small();
    let dir = keys::key_dir(&keys.verification.shape, keys::K_GENESIS, keys::K_MAX);
    let srs = Srs::open(&dir.join("srs.bin")).expect("just made");
    let replay = Replay::new(keys.verification.clone(), deployment, proofs).expect("its key");
    replay.with_srs(Some(srs))
}

fn fault(replay: &Replay, item: &Item) -> Option<ReplayFault> {
    replay.clone().apply(item).err()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_history_holds_and_every_changed_byte_is_named() {
    let scene = honest().await;
    let mut trusting = replay(&scene.deployment, Proofs::Trusted);
    let mut checking = replay(&scene.deployment, Proofs::From(1));
    let stride = if std::env::var_os("KERROS_EVERY_BYTE").is_some() { 1 } else { 13 };
    let mut flipped = 0;
    for item in &scene.items {
        if let Some(transaction) = &item.post {
            for position in (0..transaction.input.len()).step_by(stride) {
                let mut bad = item.clone();
                let mut input = transaction.input.to_vec();
                input[position] ^= 1;
                bad.post.as_mut().expect("a post").input = input.into();
                let found = fault(&checking, &bad);
                let named = match &found {
                    Some(ReplayFault::Post { number, diagnosis, .. }) => {
                        assert_eq!(*number, checking.state.number + 1);
                        diagnosis.field.clone()
                    }
                    Some(ReplayFault::Call { field, .. }) => (*field).to_owned(),
                    other => panic!("byte {position} ({}): {other:?}", field_at(position)),
                };
                let expected = field_at(position);
                assert!(named.contains(expected), "byte {position} of {expected}: {found:?}");
                flipped += 1;
            }
            for position in 0..item.log.data.len() {
                let mut bad = item.clone();
                let mut data = item.log.data.to_vec();
                data[position] ^= 1;
                bad.log.data = data.into();
                assert!(fault(&checking, &bad).is_some(), "byte {position} of the event");
            }
            let mut other = item.clone();
            other.post.as_mut().expect("a post").computed.0[0] ^= 1;
            let found = fault(&checking, &other);
            assert!(
                matches!(found, Some(ReplayFault::Call { field: "transaction", .. })),
                "{found:?}"
            );
        }
        trusting.apply(item).expect("honest");
        checking.apply(item).expect("honest");
    }
    println!("{flipped} bytes of calldata changed, each named");
    let standing = Standing::read(&scene.reader, scene.deployment.contract).await.expect("read");
    checking.settled(&standing).expect("the same");
    assert_eq!((checking.state.number, &trusting.state.ledger), (2, &checking.state.ledger));
    scene.reader.still_there().await.expect("no reorganisation");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reports_an_honest_deployment_and_code_that_is_not_ours() {
    let scene = honest().await;
    let keys = keys::small();
    let contract = scene.deployment.contract;
    let code = scene.reader.code(contract).await.expect("read");
    let words = scene.reader.code(scene.deployment.key_code).await.expect("read");
    let key = &keys.verification;
    compare_code(&code, &words, &scene.deployment, key).expect("ours");
    for position in 0..code.len() {
        let mut bad = code.to_vec();
        bad[position] ^= 1;
        assert!(compare_code(&bad, &words, &scene.deployment, key).is_err(), "byte {position}");
    }
    for position in 0..words.len() {
        let mut bad = words.to_vec();
        bad[position] ^= 1;
        assert!(compare_code(&code, &bad, &scene.deployment, key).is_err(), "word {position}");
    }
    let dir = keys::key_dir(&key.shape, keys::K_GENESIS, keys::K_MAX);
    let output = tokio::process::Command::new(built("kerros-verifier"))
        .args(["audit", "--rpc", &scene.url, "--json", "--contract", &contract.to_string()])
        .arg("--key")
        .arg(dir.join("verification.key"))
        .arg("--srs")
        .arg(dir.join("srs.bin"))
        .output()
        .await
        .expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&report["verdict"], &report["batches"]), (&"ok".into(), &2.into()));
    assert_eq!(report["checks"].as_array().map(Vec::len), Some(7), "{text}");
}
