//! A main-chain node's JSON-RPC with somebody in between, over real HTTP.

use alloy::transports::http::reqwest;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use kerros_verifier::chain::Node;
use serde_json::Value;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// May change the answer to a request.
pub type Change = dyn Fn(&Value, &mut Value) + Send + Sync;

/// Serves until dropped.
pub struct Proxy {
    /// Where it speaks JSON-RPC.
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Between {
    node: String,
    client: reqwest::Client,
    change: Arc<Change>,
}

impl Proxy {
    /// Stands before the node at this URL.
    pub async fn start(node: &str, change: Arc<Change>) -> Self {
        // Installs the process's TLS provider, without which no client is built.
        Node::new(node).expect("a node's URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let between = Between { node: node.to_owned(), client: reqwest::Client::new(), change };
        let router = Router::new().route("/", post(answer)).with_state(Arc::new(between));
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { url, task }
    }
}

async fn answer(State(between): State<Arc<Between>>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let asked = between.client.post(&between.node).header(header::CONTENT_TYPE, "application/json");
    let answer = asked.body(body.to_vec()).send().await.expect("the node answers");
    let text = answer.bytes().await.expect("a body");
    let mut answer: Value = serde_json::from_slice(&text).expect("JSON");
    (between.change)(&request, &mut answer);
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}
