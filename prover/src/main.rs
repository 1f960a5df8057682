//! The `kerros-prover` service: loads keys, serves metrics, runs one worker until a signal.

use clap::Parser;
use kerros_circuits::setup::{SetupError, SetupFiles};
use kerros_kernels::Path;
use kerros_protocol::commitment::{Srs, SrsError};
use kerros_prover::config::{Config, LogFormat};
use kerros_prover::keys::ProverKeys;
use kerros_prover::worker::{Worker, WorkerConfig, WorkerError};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use std::process::ExitCode;
use std::sync::Arc;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// Why the service did not start, or ended by itself.
#[derive(Debug, Error)]
enum ServiceError {
    #[error("keys: {0}")]
    Keys(#[from] SetupError),
    #[error(transparent)]
    Srs(#[from] SrsError),
    #[error("these are development keys: pass --development-keys if you mean it")]
    DevelopmentKeys,
    #[error("this processor cannot run the path {0}")]
    Path(Path),
    #[error("metrics endpoint: {0}")]
    Metrics(#[from] BuildError),
    #[error("signals: {0}")]
    Signals(#[from] std::io::Error),
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

fn main() -> ExitCode {
    let config = Config::parse();
    let filter = EnvFilter::try_from_env("KERROS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    match config.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => {
            let json = subscriber.json().flatten_event(true);
            json.with_current_span(false).with_span_list(false).init();
        }
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run(config));
    // A proof in the making is abandoned: its lease has been released.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "prover ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), ServiceError> {
    if let Some(address) = config.metrics {
        PrometheusBuilder::new().with_http_listener(address).install()?;
    }
    let path = config.path.unwrap_or_else(Path::detect);
    if Path::available().all(|available| available != path) {
        return Err(ServiceError::Path(path));
    }
    let keys = ProverKeys::load_for(&config.keys, path)?;
    if keys.verification.development && !config.development_keys {
        return Err(ServiceError::DevelopmentKeys);
    }
    let srs = Srs::open(&SetupFiles::in_dir(&config.keys).srs)?;
    let prover_id = config.prover_id();
    tracing::info!(prover = %prover_id, sequencer = %config.sequencer, %path, "keys loaded");
    let worker = WorkerConfig { sequencer_url: config.sequencer, prover_id };
    let mut worker = Worker::start(worker, Arc::new(keys), srs).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = worker.wait() => return Ok(ended?),
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    Ok(worker.shutdown().await?)
}
