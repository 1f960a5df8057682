//! The embedded main chain as a node: bodies of JSON-RPC requests.

#![no_main]

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use kerros_fuzz::{bounded, scratch};
use kerros_sequencer::main_chain::Genesis;
use kerros_sequencer::main_chain::embedded::Chain;
use kerros_sequencer::main_chain::rpc::{RpcOptions, router};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tower::ServiceExt;

struct Node {
    runtime: tokio::runtime::Runtime,
    router: axum::Router,
}

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let chain =
        Chain::open(&scratch("chain"), &Genesis::development(2), Arc::new(|| 1_800_000_000));
    let options = RpcOptions { test_hooks: false };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    Node { runtime, router: router(Arc::new(chain.expect("a new chain")), options) }
});

fn ask(body: &[u8]) -> (StatusCode, Vec<u8>) {
    let request = Request::post("/").body(Body::from(body.to_vec())).expect("a request");
    NODE.runtime.block_on(async {
        let answer = NODE.router.clone().oneshot(request).await.expect("always answers");
        let status = answer.status();
        (status, to_bytes(answer.into_body(), 64 << 20).await.expect("a body").to_vec())
    })
}

fuzz_target!(|body: &[u8]| {
    LazyLock::force(&NODE);
    // A call runs in the virtual machine, whose memory is bounded by gas.
    let (status, answer) = bounded(body, 64 << 20, 4_096, ask);
    assert!(matches!(status, StatusCode::OK | StatusCode::NO_CONTENT), "{status}");
    if status == StatusCode::OK {
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        let answers = answer.as_array().map_or(std::slice::from_ref(&answer), Vec::as_slice);
        for answer in answers {
            assert_eq!(answer["jsonrpc"], "2.0");
            assert_ne!(answer.get("result").is_some(), answer.get("error").is_some());
            // Something panicked behind the answer.
            assert_ne!(answer["error"]["message"], "the request was dropped");
        }
    }
});
