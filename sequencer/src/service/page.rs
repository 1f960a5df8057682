//! Pages for machines that watch: `/metrics`, `/health/live`, `/health/ready`.

use super::failure::TaskError;
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

/// Serves for ever; nothing if there is no listener.
pub async fn serve(
    listener: Option<std::net::TcpListener>,
    health: watch::Receiver<Vec<Reason>>,
) -> Result<(), TaskError> {
    let Some(listener) = listener else { return std::future::pending().await };
    let listener = TcpListener::from_std(listener).map_err(TaskError::Metrics)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(async move || ready(&health.borrow())));
    axum::serve(listener, router).await.map_err(TaskError::Metrics)
}
