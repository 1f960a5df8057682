//! The auditor against an honest history over HTTP, and against the same history with single bytes changed.

use alloy::primitives::{Address as ChainAddress, U256, keccak256};
use alloy::sol_types::SolValue;
use kerros_protocol::commitment::Srs;
use kerros_prover::prove::prove_batch;
use kerros_sequencer::main_chain::embedded::development_wallet;
use kerros_sequencer::main_chain::{At, Embedded, Genesis, Wallet, deploy, rpc};
use kerros_tests::chain::OPERATOR;
use kerros_tests::command::built;
use kerros_tests::proxy::Proxy;
use kerros_tests::world::everything;
use kerros_tests::{Chain, World, keys};
use kerros_verifier::audit::diagnosis::field_at;
use kerros_verifier::chain::{
    CreatedBy, Deployment, History, Item, Proofs, Reader, Replay, ReplayFault, Standing,
};
use kerros_verifier::contract::Kerros;
use kerros_verifier::deployed::{compare_code, compare_creation};
use kerros_verifier::post::post;
use rand::rngs::OsRng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;

struct Scene {
    _dir: TempDir,
    chain: Chain,
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
    Scene { _dir: dir, chain, url, reader, deployment, items }
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
    let by = CreatedBy::Block(scene.deployment.block);
    let creation = scene.reader.creation(contract, by).await.expect("read").expect("found");
    compare_creation(&creation.input, &scene.deployment, key).expect("ours");
    for position in 0..creation.input.len() {
        let mut bad = creation.input.to_vec();
        bad[position] ^= 1;
        let found = compare_creation(&bad, &scene.deployment, key);
        assert!(found.is_err(), "byte {position} of the creation");
    }
    let named = CreatedBy::Transaction(creation.named);
    let found = scene.reader.creation(contract, named).await.expect("read");
    assert_eq!(found.as_ref(), Some(&creation));
    let other = scene.items.iter().find_map(|item| item.post.as_ref()).expect("a post").named;
    let other = CreatedBy::Transaction(other);
    assert_eq!(scene.reader.creation(contract, other).await.expect("read"), None);

    let (success, report, text) = audit(&scene.url, contract, true).await;
    assert!(success, "{text}");
    assert_eq!((&report["verdict"], &report["batches"]), (&"ok".into(), &2.into()));
    assert_eq!(report["checks"].as_array().map(Vec::len), Some(8), "{text}");
}

/// The command: whether it was content, its report (null if none), all that it said.
async fn audit(url: &str, contract: ChainAddress, with_srs: bool) -> (bool, Value, String) {
    let keys = keys::small();
    let dir = keys::key_dir(&keys.verification.shape, keys::K_GENESIS, keys::K_MAX);
    let mut command = tokio::process::Command::new(built("kerros-verifier"));
    command
        .args(["audit", "--rpc", url, "--json", "--contract", &contract.to_string()])
        .arg("--key")
        .arg(dir.join("verification.key"));
    if with_srs {
        command.arg("--srs").arg(dir.join("srs.bin"));
    }
    let output = command.output().await.expect("started");
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = text + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), report, text)
}

/// Names of the checks that do not hold.
fn wrong(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().into_iter().flatten();
    let wrong = checks.filter(|check| check["verdict"] == "wrong");
    wrong.map(|check| check["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Honest code over storage in which somebody may claim what nobody paid in: only the transaction that
/// created it tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_other_init_code_created_is_refused() {
    let keys = keys::small();
    let dir = TempDir::new().expect("temporary directory");
    let clock = Arc::new(|| 1_700_000_100u64);
    let embedded = Embedded::open(dir.path(), &Genesis::development(10), clock).expect("new");
    let served = Arc::clone(embedded.chain());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let options = rpc::RpcOptions::default();
    tokio::spawn(rpc::serve(listener, Arc::clone(&served), options, std::future::pending()));
    let chain = Chain::deploy_on(Arc::new(embedded), &keys.verification).await;
    // Slots 0 to 15 hold whatever is no mapping; the poison is a credit of one ether.
    let credits = 4u64;
    let thief = ChainAddress::repeat_byte(0x66);
    let poisoned = keccak256((thief, U256::from(credits)).abi_encode());
    let mut init = Vec::new();
    let mut store = |slot: U256, value: U256| {
        init.push(0x7f); // PUSH32
        init.extend(value.to_be_bytes::<32>());
        init.push(0x7f);
        init.extend(slot.to_be_bytes::<32>());
        init.push(0x55); // SSTORE
    };
    for slot in (0..16).map(U256::from) {
        let value = served.slot(chain.contract, slot, At::Latest).expect("read");
        // The clone has no assets: one count of the honest contract that is set after its creation.
        if !value.is_zero() && slot != U256::ZERO {
            store(slot, value);
        }
    }
    store(poisoned.into(), U256::from(10).pow(U256::from(18)));
    // Its own time of deployment, as 4 bytes up in slot 7: TIMESTAMP, SHL, SSTORE.
    init.extend([0x42, 0x60, 32, 0x1b, 0x60, 7, 0x55]);
    // EXTCODESIZE, EXTCODECOPY and RETURN of the honest contract's code.
    for after in [&[0x3b, 0x80, 0x5f, 0x5f][..], &[0x3c, 0x5f, 0xf3]] {
        init.push(0x73); // PUSH20
        init.extend(chain.contract.0);
        init.extend(after);
    }
    let wallet = Wallet::new(development_wallet(OPERATOR));
    let clone = deploy(&*chain.chain, &wallet, init.into()).await.expect("deployed");
    let credit = chain.ask_at(clone, Kerros::etherCreditCall(thief)).await;
    assert_eq!(credit, U256::from(10).pow(U256::from(18)), "the poison works");
    let (success, report, text) = audit(&url, clone, true).await;
    assert!(!success);
    assert_eq!(wrong(&report), ["creation"], "{text}");
    let (success, _, text) = audit(&url, chain.contract, true).await;
    assert!(success, "{text}");
}

/// Places of hexadecimal digits in an answer that the auditor takes over, by request: nodes may lie about
/// everything, and about these by a single digit.
fn digits(request: &Value, answer: &Value, contract: ChainAddress) -> Vec<String> {
    let result = &answer["result"];
    match request["method"].as_str().unwrap_or_default() {
        // At the head; of older blocks only whether there is any is asked.
        "eth_getCode" if result != "0x" && request["params"][1].is_object() => {
            vec!["/result".to_owned()]
        }
        "eth_call" => {
            let to = request["params"][0]["to"].as_str().unwrap_or_default();
            let ours = to.eq_ignore_ascii_case(&contract.to_string());
            if ours { vec!["/result".to_owned()] } else { Vec::new() }
        }
        "eth_getTransactionByHash" => vec!["/result/input".to_owned()],
        "eth_getBlockByNumber" if request["params"][1] == true => {
            vec!["/result/transactions/0/input".to_owned()]
        }
        "eth_getLogs" => {
            let logs = 0..result.as_array().map_or(0, Vec::len);
            let topics = |i: usize| result[i]["topics"].as_array().map_or(0, Vec::len);
            let fields = logs.flat_map(|i| {
                let topics = (0..topics(i)).map(move |j| format!("/result/{i}/topics/{j}"));
                topics.chain([format!("/result/{i}/data")])
            });
            fields.collect()
        }
        _ => Vec::new(),
    }
}

/// What identifies a question: its id counts.
fn question(request: &Value) -> String {
    format!("{}{}", request["method"], request["params"])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_digit_of_a_nodes_answers_is_found_by_the_command() {
    let scene = honest().await;
    let contract = scene.deployment.contract;
    let seen: Arc<Mutex<BTreeMap<(String, String), usize>>> = Arc::default();
    let listening = Arc::clone(&seen);
    let listen = move |request: &Value, answer: &mut Value| {
        for place in digits(request, answer, contract) {
            let text = answer.pointer(&place).and_then(Value::as_str).unwrap_or_default();
            let count = text.len().saturating_sub(2);
            listening.lock().expect("whole").insert((question(request), place), count);
        }
    };
    let proxy = Proxy::start(&scene.url, Arc::new(listen)).await;
    let (success, _, text) = audit(&proxy.url, contract, false).await;
    assert!(success, "{text}");
    let seen: Vec<_> = std::mem::take(&mut *seen.lock().expect("whole")).into_iter().collect();
    let total: usize = seen.iter().map(|(_, count)| count).sum();
    // Of every answer and field at least one digit; more of long ones.
    let every = std::env::var_os("KERROS_EVERY_DIGIT").map_or(1_500, |_| 1);
    let mut changed = 0;
    for (i, ((asked, place), count)) in seen.iter().enumerate() {
        let first = (i * 37) % count.max(&1);
        for digit in (first..*count).step_by(every) {
            let (asked, place) = (asked.clone(), place.clone());
            let what = format!("digit {digit} of {place} in the answer to {asked}");
            let lie = move |request: &Value, answer: &mut Value| {
                if question(request) != asked {
                    return;
                }
                let Some(Value::String(text)) = answer.pointer_mut(&place) else { return };
                let old = text.as_bytes()[2 + digit];
                let new = if old == b'0' { "1" } else { "0" };
                text.replace_range(2 + digit..3 + digit, new);
            };
            let proxy = Proxy::start(&scene.url, Arc::new(lie)).await;
            let (success, _, text) = audit(&proxy.url, contract, false).await;
            assert!(!success, "{what} was not found: {text}");
            if what.contains("eth_getTransactionByHash") {
                assert!(text.contains("batch "), "{what} names no batch: {text}");
            }
            changed += 1;
        }
    }
    assert!(changed >= seen.len());
    println!("{changed} of {total} digits in {} fields of answers changed, each found", seen.len());
    drop(scene.chain);
}
