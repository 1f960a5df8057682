//! The embedded chain as a node: JSON-RPC 2.0 over HTTP, so that the `kerros` command, wallets and
//! the auditor speak to it exactly as to a real one. Bodies, batches and concurrent requests are
//! bounded; whatever comes in, what goes out is a JSON-RPC answer. Holds the server and the
//! protocol's frame; `methods` holds the methods, `forms` the shape of blocks and receipts.

mod forms;
mod methods;

use super::embedded::Chain;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use methods::Failure;
use serde::Deserialize;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Bytes of a request: a transaction of the largest shape in hexadecimal, and room.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Requests in a batch.
const BATCH_MAX: usize = 200;
/// Requests served at a time; the others wait.
const CONCURRENT_MAX: usize = 16;

/// What the server offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RpcOptions {
    /// Offer `evm_increaseTime` and `evm_mine`: for tests and development only.
    pub test_hooks: bool,
}

struct Server {
    chain: Arc<Chain>,
    options: RpcOptions,
    seats: Semaphore,
}

#[derive(Deserialize)]
struct Request {
    jsonrpc: String,
    method: String,
    #[serde(default)]
    params: Value,
}

/// The routes of the JSON-RPC server, to be served alone or with others.
pub fn router(chain: Arc<Chain>, options: RpcOptions) -> Router {
    let server = Server { chain, options, seats: Semaphore::new(CONCURRENT_MAX) };
    Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(server))
}

/// Serves until `stop` resolves.
pub async fn serve(
    listener: TcpListener,
    chain: Arc<Chain>,
    options: RpcOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(chain, options)).with_graceful_shutdown(stop).await
}

async fn answer(
    State(server): State<Arc<Server>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let failure = Failure::invalid_request(&rejection.body_text());
            return respond(Some(failed(Value::Null, failure)));
        }
    };
    let Ok(_seat) = server.seats.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let working = Arc::clone(&server);
    let answered = tokio::task::spawn_blocking(move || working.body(&body)).await;
    match answered {
        Ok(answer) => respond(answer),
        Err(_) => respond(Some(failed(Value::Null, Failure::internal("the request was dropped")))),
    }
}

fn respond(answer: Option<Value>) -> Response {
    match answer {
        // Only notifications: nothing to say.
        None => StatusCode::NO_CONTENT.into_response(),
        Some(answer) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, answer.to_string()).into_response()
        }
    }
}

impl Server {
    fn body(&self, body: &[u8]) -> Option<Value> {
        let parsed: Value = match serde_json::from_slice(body) {
            Ok(parsed) => parsed,
            Err(error) => {
                return Some(failed(Value::Null, Failure::parse(&error.to_string())));
            }
        };
        match parsed {
            Value::Array(requests) if requests.is_empty() || requests.len() > BATCH_MAX => {
                let reason = format!("a batch holds 1 to {BATCH_MAX} requests");
                Some(failed(Value::Null, Failure::invalid_request(&reason)))
            }
            Value::Array(requests) => {
                let answers: Vec<Value> =
                    requests.into_iter().filter_map(|request| self.one(request)).collect();
                (!answers.is_empty()).then_some(Value::Array(answers))
            }
            request => self.one(request),
        }
    }

    /// `None` for a notification.
    fn one(&self, request: Value) -> Option<Value> {
        let id = request.get("id").cloned();
        let request: Request = match serde_json::from_value(request) {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::invalid_request(&error.to_string());
                return Some(failed(id.unwrap_or_default(), failure));
            }
        };
        if request.jsonrpc != "2.0" {
            let failure = Failure::invalid_request("jsonrpc must be \"2.0\"");
            return Some(failed(id.unwrap_or_default(), failure));
        }
        let answer = methods::dispatch(&self.chain, self.options, &request.method, &request.params);
        let id = id?;
        Some(match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(failure) => failed(id, failure),
        })
    }
}

fn failed(id: Value, failure: Failure) -> Value {
    let mut error = json!({"code": failure.code, "message": failure.message});
    if let Some(data) = failure.data {
        error["data"] = data;
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}
