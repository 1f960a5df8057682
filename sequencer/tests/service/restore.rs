//! A lost database, built again from the main chain's JSON-RPC alone.

use crate::child::{BINARY, Site};
use crate::rig::{Rig, Running, account_key, at, exit, owner, wallet};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use kerros_protocol::batch::SealedBatch;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::proto::BatchState;
use kerros_protocol::receipt::{Opening, Promise, anchor};
use kerros_sequencer::journal::{BatchRecord, Checkpoint, Journal, JournalError, Origin};
use kerros_sequencer::main_chain::rpc::{RpcOptions, serve};
use kerros_sequencer::main_chain::{Embedded, Genesis, MainChain};
use kerros_sequencer::{
    Config, RestoreError, RestoreReport, Sequencer, StartError, Trust, restore_from_chain,
};
use kerros_verifier::chain::{ChainError, Proofs, ReplayFailure, ReplayFault};
use kerros_verifier::trapdoor;
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

const TRUST: Trust = Trust { proofs: Proofs::From(1), pending: false };

fn posting(rig: &Rig) -> Config {
    Config { wallet: Some(wallet(0)), ..rig.config() }
}

/// Serves the rig's chain for as long as the test runs; gives the URL.
async fn served(rig: &Rig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let chain = Arc::clone(rig.chain.chain());
    tokio::spawn(serve(listener, chain, RpcOptions::default(), std::future::pending()));
    url
}

async fn restore(rig: &Rig, config: &Config, url: &str) -> Result<RestoreReport, RestoreError> {
    restore_from_chain(config, &[url.to_owned()], &rig.key, &rig.srs, TRUST).await
}

/// Three final batches: deposits, openings, a transfer, an exit; growth and a forced exit in the last.
async fn lived(rig: &Rig) -> Running {
    let mut running = rig.start(posting(rig)).await;
    rig.deposit(1, 1_000, 1, owner(0)).await;
    rig.deposit(2, 500, 2, owner(0)).await;
    running.served(2).await;
    assert_eq!(running.open(1, owner(0), 3).await.unwrap(), 3);
    running.seal().await;
    running.submit(rig.transfer((1, 1), (3, 3), 70, 0)).await.unwrap();
    running.submit(rig.sign(exit(1, 1, 40, 0, 1), 1)).await.unwrap();
    running.seal().await;
    assert_eq!(running.handle.grow().await, Some(5));
    rig.deposit(1, 9, 4, owner(0)).await;
    rig.force_exit(0, 2).await;
    running.served(4).await;
    running.seal().await;
    for _ in 0..3 {
        running.prove(rig).await;
    }
    running.reached(3, BatchState::Final).await;
    running
}

/// All that a restore can bring back.
#[derive(Debug, PartialEq)]
struct Kept {
    deployment: Option<Vec<u8>>,
    checkpoint: Checkpoint,
    ledger: Ledger,
    batches: Vec<(SealedBatch, BatchRecord)>,
    origins: Vec<Option<Origin>>,
}

fn kept(rig: &Rig) -> Kept {
    let journal = Journal::look(&rig.data_dir()).unwrap().expect("a database");
    let mut checkpoint = journal.checkpoint().unwrap().unwrap();
    checkpoint.head.opened_ms = 0;
    let batch = |number| {
        let sealed = journal.sealed(number).unwrap().unwrap();
        let mut sealed = SealedBatch::decode(&sealed, &rig.key.shape).unwrap();
        // Not published: authorisations, times of the sequencer, what provers measured.
        (sealed.transfers, sealed.exits) = Default::default();
        let mut record = journal.record(number).unwrap().unwrap();
        (record.opened_ms, record.sealed_ms) = (0, 0);
        let proof = record.proof.take().unwrap().proof;
        record.proof = Some(kerros_sequencer::journal::ProofRecord { proof, ..Default::default() });
        let settlement = record.settlement.as_mut().unwrap();
        (settlement.posted_ms, settlement.final_ms) = (0, 0);
        (sealed, record)
    };
    let entries = 0..checkpoint.head.first;
    Kept {
        deployment: journal.deployment().unwrap(),
        ledger: journal.ledger(checkpoint.head.k).unwrap(),
        batches: (1..checkpoint.head.number).map(batch).collect(),
        origins: entries.map(|entry| journal.origin(entry).unwrap()).collect(),
        checkpoint,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_is_built_from_the_main_chain_and_the_sequencer_goes_on() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    lived(&rig).await.stop().await;
    let before = kept(&rig);
    assert_eq!((before.batches.len(), before.origins.len()), (3, 4));
    std::fs::remove_dir_all(rig.data_dir()).unwrap();
    // Comes while there is no sequencer.
    rig.deposit(1, 7, 5, owner(0)).await;

    let url = served(&rig).await;
    let report = restore(&rig, &posting(&rig), &url).await.unwrap();
    assert_eq!((report.batches, report.shallow, report.accounts), (3, 0, 4));
    assert_eq!((report.transfers, report.waiting), (1, 1));
    assert_eq!(kept(&rig), before);

    let mut running = rig.start(posting(&rig)).await;
    assert_eq!(running.info().await.final_batch, 3);
    running.served(5).await;
    assert_eq!(running.account(5).await.balance, 7);
    assert_eq!(running.account(3).await.balance, 70);
    // Known accounts are found, although their openings' receipts are lost.
    assert_eq!(running.open(1, owner(0), 3).await.unwrap(), 3);
    let receipt = running.submit(rig.transfer((1, 1), (3, 3), 5, 2)).await.unwrap();
    assert_eq!(receipt.previous, anchor::<Promise>(rig.domain(), 3));
    assert_eq!((receipt.batch_number, receipt.order), (4, 0));
    let request = kerros_protocol::proto::OpenAccountRequest {
        asset: 1,
        owner: owner(0).0.to_vec(),
        key: account_key(6).to_be().to_vec(),
    };
    let opened = running.client.open_account(request).await.unwrap().into_inner();
    // The deposit's opening was the first one after the restore.
    assert_eq!(opened.index, 6);
    assert_ne!(opened.receipt.unwrap().previous, anchor::<Opening>(rig.domain(), 3));
    assert_eq!(running.seal().await, 4);
    assert_eq!(running.prove(&rig).await, 4, "restored batches need no proof");
    running.reached(4, BatchState::Final).await;
    let old = running.batch(2).await;
    assert_eq!(old.new_root, before.batches[1].1.new_root);
    running.stop().await;
    // And again, with what it did since.
    let before = kept(&rig);
    std::fs::remove_dir_all(rig.data_dir()).unwrap();
    restore(&rig, &posting(&rig), &url).await.unwrap();
    assert_eq!(kept(&rig), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_batch_that_a_reorganisation_takes_back_is_posted_again_without_a_prover() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let mut running = rig.start(posting(&rig)).await;
    let mut older = None;
    for name in [1, 2] {
        rig.deposit(1, 1_000, name, owner(0)).await;
        running.served(name.into()).await;
        if name == 2 {
            running.submit(rig.sign(exit(1, 1, 40, 0, 0), 1)).await.unwrap();
            // The chain without the second post.
            let copy = rig.dir.path().join("older");
            std::fs::create_dir(&copy).unwrap();
            for entry in std::fs::read_dir(rig.dir.path().join("chain")).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
            }
            older = Some(copy);
        }
        running.seal().await;
        running.prove(&rig).await;
        running.reached(name.into(), BatchState::Final).await;
    }
    let root = running.batch(2).await.new_root;
    running.stop().await;
    std::fs::remove_dir_all(rig.data_dir()).unwrap();
    let url = served(&rig).await;
    let config = Config { confirmations: 1_000, ..posting(&rig) };
    assert_eq!(restore(&rig, &config, &url).await.unwrap().shallow, 2);

    let genesis = Genesis::development(crate::rig::WALLETS);
    let clock = Arc::new(|| 1_800_000_000);
    let chain = Embedded::open(&older.unwrap(), &genesis, clock).unwrap();
    // A head below the post's block would rather be a node that lags.
    (0..3).for_each(|_| chain.chain().mine().unwrap());
    let Rig { dir, contract, key, srs, .. } = rig;
    let rig = Rig { dir, chain, contract, key, srs };
    let mut running = rig.start(posting(&rig)).await;
    let batch = running.reached(2, BatchState::Final).await;
    assert_eq!(batch.new_root, root);
    assert!(running.lease("nobody").await.is_none());
    running.stop().await;
}

/// What a node between us and the chain does.
enum Mischief {
    /// Changes the calldata of posts.
    Corrupts,
    /// Never answers again after so many answers.
    Hangs(usize),
}

struct Between {
    url: String,
    mischief: Mischief,
    answers: AtomicUsize,
}

async fn relay(State(between): State<Arc<Between>>, body: String) -> String {
    let client = reqwest::Client::new();
    let sent = client.post(&between.url).header("content-type", "application/json");
    let answer = sent.body(body.clone()).send().await.unwrap().text().await.unwrap();
    let answers = between.answers.fetch_add(1, Ordering::SeqCst);
    match between.mischief {
        Mischief::Hangs(after) if answers >= after => std::future::pending().await,
        Mischief::Corrupts if body.contains("eth_getTransactionByHash") => {
            let mut answer: Value = serde_json::from_str(&answer).unwrap();
            let input = answer["result"]["input"].as_str().unwrap().to_owned();
            // The last transfer's amount or what is there: it still decodes.
            let last = if input.ends_with('0') { '1' } else { '0' };
            answer["result"]["input"] = format!("{}{last}", &input[..input.len() - 1]).into();
            answer.to_string()
        }
        _ => answer,
    }
}

async fn between(url: &str, mischief: Mischief) -> (String, Arc<Between>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let answers = AtomicUsize::new(0);
    let state = Arc::new(Between { url: url.to_owned(), mischief, answers });
    let routes = Router::new().route("/", post(relay)).with_state(Arc::clone(&state));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (here, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_restore_is_no_database_and_the_next_one_finishes() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    lived(&rig).await.stop().await;
    let before = kept(&rig);
    std::fs::remove_dir_all(rig.data_dir()).unwrap();
    let url = served(&rig).await;
    // All questions of a whole one.
    let (relayed, count) = between(&url, Mischief::Hangs(usize::MAX)).await;
    restore(&rig, &posting(&rig), &relayed).await.unwrap();
    let questions = count.answers.load(Ordering::SeqCst);
    assert_eq!(kept(&rig), before);
    std::fs::remove_dir_all(rig.data_dir()).unwrap();

    let mut refused = 0;
    for after in (0..questions).step_by(3).chain([questions - 1]) {
        let (relayed, count) = between(&url, Mischief::Hangs(after)).await;
        let config = posting(&rig);
        let hangs = async {
            while count.answers.load(Ordering::SeqCst) <= after {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            ended = restore(&rig, &config, &relayed) => {
                panic!("it ended after {after} of {questions} answers: {ended:?}")
            }
            () = hangs => {}
        }
        let chain: Arc<dyn MainChain> = Arc::new(rig.chain.clone());
        if Journal::look(&rig.data_dir()).unwrap().is_some() {
            let (key, srs) = (rig.key.clone(), rig.srs.clone());
            let started = Sequencer::start(posting(&rig), chain, key, srs).await.err();
            let half = Some(StartError::Journal(JournalError::HalfBuilt));
            assert_eq!(started.map(|e| e.to_string()), half.map(|e| e.to_string()));
            refused += 1;
        }
    }
    assert!(refused > 2, "{refused} of {questions} came to the disk");
    restore(&rig, &posting(&rig), &url).await.unwrap();
    assert_eq!(kept(&rig), before);
    // Whole: not destroyed by another one.
    let again = restore(&rig, &posting(&rig), &url).await;
    assert!(matches!(again, Err(RestoreError::Occupied { what: "a database", .. })), "{again:?}");
    // Acknowledged operations whose database is gone.
    let mut running = rig.start(posting(&rig)).await;
    running.submit(rig.transfer((1, 1), (3, 3), 5, 2)).await.unwrap();
    running.stop().await;
    let mark = std::fs::read(rig.data_dir().join("watermark")).unwrap();
    std::fs::remove_dir_all(rig.data_dir()).unwrap();
    std::fs::create_dir(rig.data_dir()).unwrap();
    std::fs::write(rig.data_dir().join("watermark"), mark).unwrap();
    let refused = restore(&rig, &posting(&rig), &url).await;
    assert!(matches!(refused, Err(RestoreError::Occupied { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_belong_together_or_was_changed_is_refused() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    lived(&rig).await.stop().await;
    std::fs::remove_dir_all(rig.data_dir()).unwrap();
    let url = served(&rig).await;

    let other = trapdoor::key("4,2,9,2,2".parse().unwrap(), 4, 6);
    let urls = [url.clone()];
    let refused = restore_from_chain(&posting(&rig), &urls, &other, &rig.srs, TRUST).await;
    let fault = |refused: Result<RestoreReport, RestoreError>| match refused {
        Err(RestoreError::Replay(ReplayFailure::Fault(fault))) => *fault,
        other => panic!("{other:?}"),
    };
    assert!(matches!(fault(refused), ReplayFault::OtherKey { field: "hash", .. }));
    let elsewhere = Config { contract: owner(3), ..posting(&rig) };
    let refused = restore(&rig, &elsewhere, &url).await;
    assert!(
        matches!(
            refused,
            Err(RestoreError::Replay(ReplayFailure::Chain(ChainError::NoContract { .. })))
        ),
        "{refused:?}"
    );
    assert!(Journal::look(&rig.data_dir()).unwrap().is_none(), "nothing was begun");
    let (relayed, _) = between(&url, Mischief::Corrupts).await;
    let refused = fault(restore(&rig, &posting(&rig), &relayed).await);
    assert!(
        matches!(
            refused,
            ReplayFault::Call { number: 1, .. } | ReplayFault::Post { number: 1, .. }
        ),
        "{refused}"
    );
    assert_eq!(restore(&rig, &posting(&rig), &url).await.unwrap().batches, 3);
    assert_eq!(kept(&rig).ledger.get(at(3)).balance, 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_restores_from_an_embedded_chain_and_serves() {
    let site = Site::new().await;
    let command = |first: Option<&str>, more: &[&str]| {
        let settings = site.settings().into_iter().map(|(name, value)| format!("--{name}={value}"));
        let output = Command::new(BINARY).args(first).args(settings).args(more).output().unwrap();
        let (out, err) = (output.stdout.as_slice(), output.stderr.as_slice());
        let said = format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
        (output.status.code(), said)
    };
    let (code, said) = command(None, &["--trust-contract"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("only `kerros-sequencer restore` can"), "{said}");
    let (code, said) = command(Some("restore"), &["--trust-contract"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("restored 0 batches"), "{said}");
    assert!(said.contains("4 queue entries wait"), "{said}");
    let (code, said) = command(Some("restore"), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("holds a database"), "{said}");
    site.start().kill();
}
