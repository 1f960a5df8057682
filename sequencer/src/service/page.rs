//! Pages for machines that watch: `/metrics`, `/health/live`, `/health/ready`.

use super::failure::TaskError;
use super::supervision::told;
use crate::health::Reason;
use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

async fn metrics() -> String {
    crate::metrics::recorder().map_or_else(String::new, |recorder| {
        recorder.run_upkeep();
        recorder.render()
    })
}

/// The process answers; whether it gets anywhere is the other page's matter. So that whoever
/// restarts what is not live does not restart what only waits for others.
async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

fn ready(reasons: &[Reason]) -> (StatusCode, Json<Value>) {
    let (code, status) = match reasons {
        [] => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
    };
    let reasons: Vec<_> = reasons
        .iter()
        .map(|reason| json!({ "reason": reason.code(), "message": reason.to_string() }))
        .collect();
    (code, Json(json!({ "status": status, "reasons": reasons })))
}

/// Serves until told to stop.
pub async fn serve(
    listener: TcpListener,
    health: watch::Receiver<Vec<Reason>>,
    stopped: watch::Receiver<bool>,
) -> Result<(), TaskError> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(async move || ready(&health.borrow())));
    let serving = axum::serve(listener, router).with_graceful_shutdown(told(stopped));
    serving.await.map_err(TaskError::Metrics)
}
