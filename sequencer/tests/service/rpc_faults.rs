//! Nodes that fail over real HTTP: whatever a proxy before them does, no batch is posted twice and none is
//! skipped.

use crate::rig::{Rig, Running, becomes, owner, wallet};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use kerros_protocol::proto::BatchState;
use kerros_sequencer::main_chain::{CrossChecked, Ethereum, MainChain, Node, rpc};
use kerros_sequencer::settlement::contract::Contract;
use kerros_sequencer::verification::KeyVerifier;
use kerros_sequencer::{Config, Sequencer};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// The clock of the embedded chain, ms.
const NOW: u64 = 1_800_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The gateway answers, and not the node.
    Status(u16),
    /// Likewise, with the question's address in its words, and with or without a time to come again.
    Repeats(bool),
    /// Where JSON should be.
    Page,
    /// An error of the node's own.
    Error(i64),
    /// Another chain's id.
    Elsewhere,
    /// Its newest block stays this one.
    Stuck(u64),
    /// Transactions are handed over, and the gateway says that they were not in time.
    SentAndLate,
    /// Transactions are handed over, and nothing is answered, ever.
    SentAndForgotten,
    /// Nothing is answered, ever.
    Silent,
}

/// Before the embedded chain's JSON-RPC.
struct Proxy {
    url: String,
    upstream: String,
    client: reqwest::Client,
    fault: Mutex<Fault>,
    asked: AtomicU64,
    sent: AtomicU64,
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl Proxy {
    async fn start(rig: &Rig) -> Arc<Self> {
        let (node, upstream) = listen().await;
        let chain = Arc::clone(rig.chain.chain());
        let forever = std::future::pending();
        tokio::spawn(rpc::serve(node, chain, rpc::RpcOptions::default(), forever));
        let (listener, url) = listen().await;
        let (asked, sent) = (AtomicU64::new(0), AtomicU64::new(0));
        // A second installation is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (client, fault) = (reqwest::Client::new(), Mutex::new(Fault::None));
        let proxy = Arc::new(Self { url, upstream, client, fault, asked, sent });
        let answer =
            |State(proxy): State<Arc<Self>>, body: Bytes| async move { proxy.answer(&body).await };
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&proxy));
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }
    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
    async fn answer(&self, body: &[u8]) -> Response {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap();
        let mut request: Value = serde_json::from_slice(body).unwrap();
        let method = request["method"].as_str().unwrap().to_owned();
        let id = request["id"].clone();
        match fault {
            Fault::Status(code) => return StatusCode::from_u16(code).unwrap().into_response(),
            Fault::Repeats(later) => {
                let later = later.then_some([(header::RETRY_AFTER, "1")]);
                let words = "too many questions to /v3/aPiKeY";
                return (StatusCode::TOO_MANY_REQUESTS, later, words).into_response();
            }
            Fault::Page => return "<html>We are down for maintenance.</html>".into_response(),
            Fault::Error(code) => {
                let error = json!({ "code": code, "message": "internal error" });
                return said(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            }
            Fault::Elsewhere if method == "eth_chainId" => {
                return said(&json!({ "jsonrpc": "2.0", "id": id, "result": "0x1" }));
            }
            Fault::Stuck(block)
                if method == "eth_getBlockByNumber" && request["params"][0] == "latest" =>
            {
                request["params"][0] = json!(format!("{block:#x}"));
            }
            Fault::Silent => std::future::pending().await,
            _ => {}
        }
        let question = self.client.post(&self.upstream).header("content-type", "application/json");
        let answer = question.body(request.to_string()).send().await.unwrap();
        let answer = said(&serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap());
        if method != "eth_sendRawTransaction" {
            return answer;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        match fault {
            Fault::SentAndLate => StatusCode::GATEWAY_TIMEOUT.into_response(),
            Fault::SentAndForgotten => std::future::pending().await,
            _ => answer,
        }
    }
    fn node(&self, name: &str) -> Node {
        let chain = Arc::new(Ethereum::connect(&self.url).unwrap());
        Node { name: name.to_owned(), chain }
    }
}

fn said(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}
fn config(rig: &Rig) -> Config {
    let metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    // A post that waits is soon replaced: by nothing that could be included beside it.
    Config {
        metrics_listen,
        wallet: Some(wallet(0)),
        stall_ms: 500,
        post_bump_ms: 200,
        ..rig.config()
    }
}
async fn start(rig: &Rig, chain: Arc<dyn MainChain>) -> Running {
    let (key, srs) = (rig.key.clone(), rig.srs.clone());
    Running::new(Sequencer::start(config(rig), chain, key, srs).await.unwrap()).await
}
async fn nonce(rig: &Rig) -> u64 {
    rig.chain.nonce(wallet(0).address()).await.unwrap()
}
/// Every batch up to this one was posted, once, and nothing else was paid for.
async fn posted_once(rig: &Rig, running: &mut Running, number: u64, nonce_before: u64) {
    let contract = Contract { chain: Arc::new(rig.chain.clone()), address: rig.contract };
    let head = rig.chain.head().await.unwrap().number;
    let logs = contract.posts(0, head).await.unwrap();
    let events = (1..=number).filter(|number| contract.posted(*number, &logs).is_some());
    assert_eq!((logs.len() as u64, events.count() as u64), (number, number));
    assert_eq!(nonce(rig).await, nonce_before + 1);
    assert_eq!(running.info().await.settlement_halted, "");
}
/// Seals a batch, gives the poster its proof while the node fails, and sees what comes of it.
async fn survives(
    rig: &Rig,
    running: &mut Running,
    proxy: &Proxy,
    number: u64,
    fault: Fault,
    fatal: bool,
) {
    rig.deposit(1, 1_000, u8::try_from(number).unwrap(), owner(0)).await;
    running.served(number).await;
    assert_eq!(running.seal().await, number);
    let (before, sent) = (nonce(rig).await, proxy.sent.load(Ordering::Relaxed));
    proxy.set(fault);
    let at = running.handle.metrics_address.unwrap().to_string();
    if fatal {
        becomes(&at, |codes| !codes.is_empty()).await;
        running.prove(rig).await;
        becomes(&at, |codes| {
            codes.iter().any(|code| code == "POSTING_WAITS" || code == "MAIN_CHAIN_SILENT")
        })
        .await;
        assert_eq!(running.batch(number).await.state(), BatchState::Verified, "{fault:?}");
        assert_eq!(nonce(rig).await, before, "{fault:?}");
    } else {
        running.prove(rig).await;
        while proxy.sent.load(Ordering::Relaxed) == sent {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // It looks again and again, and the answers are the same.
        let asked = proxy.asked.load(Ordering::Relaxed);
        while proxy.asked.load(Ordering::Relaxed) < asked + 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(nonce(rig).await, before + 1, "{fault:?}");
    }
    proxy.set(Fault::None);
    becomes(&at, <[String]>::is_empty).await;
    running.reached(number, BatchState::Final).await;
    posted_once(rig, running, number, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_is_asked_again_and_gets_every_batch_once() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let proxy = Proxy::start(&rig).await;
    let mut running = start(&rig, Arc::new(Ethereum::connect(&proxy.url).unwrap())).await;
    let faults = [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Page,
        Fault::Error(-32_603),
        Fault::Error(-32_000),
        Fault::Elsewhere,
    ];
    for (number, fault) in (1..).zip(faults) {
        survives(&rig, &mut running, &proxy, number, fault, true).await;
    }
    let number = faults.len() as u64 + 1;
    survives(&rig, &mut running, &proxy, number, Fault::SentAndLate, false).await;
    // The post is in a block that the node does not show.
    let head = rig.chain.head().await.unwrap().number;
    survives(&rig, &mut running, &proxy, number + 1, Fault::Stuck(head + 1), false).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_was_sent_and_never_answered_is_found_in_its_block() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let proxy = Proxy::start(&rig).await;
    let node = Arc::new(Ethereum::connect(&proxy.url).unwrap());
    let mut running = start(&rig, node.clone()).await;
    let faults =
        [(Fault::SentAndForgotten, true), (Fault::SentAndForgotten, false), (Fault::Silent, false)];
    for (number, (fault, restart)) in (1u8..).zip(faults) {
        rig.deposit(1, 1_000, number, owner(0)).await;
        running.served(number.into()).await;
        running.seal().await;
        let (before, sent) = (nonce(&rig).await, proxy.sent.load(Ordering::Relaxed));
        proxy.set(fault);
        running.prove(&rig).await;
        if fault == Fault::Silent {
            let at = running.handle.metrics_address.unwrap().to_string();
            becomes(&at, |codes| codes.iter().any(|code| code == "MAIN_CHAIN_SILENT")).await;
        } else {
            while proxy.sent.load(Ordering::Relaxed) == sent {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        if restart {
            running.stop().await;
            proxy.set(Fault::None);
            running = start(&rig, node.clone()).await;
        }
        proxy.set(Fault::None);
        // Without a restart, when the question's time is over.
        while running.batch(number.into()).await.state() != BatchState::Final {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        posted_once(&rig, &mut running, number.into(), before).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_that_fails_stops_posting_and_nothing_is_posted_twice() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let (good, bad) = (Proxy::start(&rig).await, Proxy::start(&rig).await);
    let nodes = CrossChecked::new(vec![good.node("good"), bad.node("bad")]);
    let mut running = start(&rig, Arc::new(nodes)).await;
    let faults = [Fault::Status(503), Fault::Page, Fault::Elsewhere];
    for (number, fault) in (1..).zip(faults) {
        survives(&rig, &mut running, &bad, number, fault, true).await;
    }
    let number = faults.len() as u64 + 1;
    // The other one has taken it.
    survives(&rig, &mut running, &bad, number, Fault::SentAndLate, false).await;
    let head = rig.chain.head().await.unwrap().number;
    survives(&rig, &mut running, &bad, number + 1, Fault::Stuck(head + 1), false).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_posted_on_a_head_that_is_too_old() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let proxy = Proxy::start(&rig).await;
    let time = Arc::new(AtomicU64::new(NOW));
    let clock = Arc::clone(&time);
    let config = Config { head_age_ms_max: 60_000, ..config(&rig) };
    let (key, srs) = (rig.key.clone(), rig.srs.clone());
    let verifier = Arc::new(KeyVerifier(key.clone()));
    let chain = Arc::new(Ethereum::connect(&proxy.url).unwrap());
    let clock = Arc::new(move || clock.load(Ordering::Relaxed));
    let handle = Sequencer::start_with(config, chain, key, srs, verifier, clock).await.unwrap();
    let mut running = Running::new(handle).await;
    let at = running.handle.metrics_address.unwrap().to_string();
    rig.deposit(1, 1_000, 1, owner(0)).await;
    running.served(1).await;
    running.seal().await;
    let before = nonce(&rig).await;
    time.store(NOW + 120_000, Ordering::Relaxed);
    running.prove(&rig).await;
    becomes(&at, |codes| codes == ["POSTING_WAITS"]).await;
    assert_eq!(nonce(&rig).await, before);
    time.store(NOW, Ordering::Relaxed);
    running.reached(1, BatchState::Final).await;
    posted_once(&rig, &mut running, 1, before).await;
    becomes(&at, <[String]>::is_empty).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_says_is_not_repeated_it_may_hold_the_nodes_key() {
    let rig = Rig::new("4,2,8,2,2", 4, 6).await;
    let proxy = Proxy::start(&rig).await;
    let node = Ethereum::connect(&proxy.url).unwrap();
    for later in [false, true] {
        proxy.set(Fault::Repeats(later));
        for error in [
            node.chain_id().await.unwrap_err(),
            node.send_raw(alloy::primitives::Bytes::new()).await.unwrap_err(),
        ] {
            let said = format!("{error} {error:?}");
            assert!(said.contains("HTTP status 429") && !said.contains("aPiKeY"), "{said}");
        }
    }
}
