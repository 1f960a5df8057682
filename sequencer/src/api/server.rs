//! Serving: bounded connections and messages, health, reflection, graceful end.

use super::health::{self, Part};
use super::listener::BoundedIncoming;
use super::prover::ProverApi;
use super::sequencer::SequencerApi;
use crate::admission::Hall;
use crate::health::Reason;
use crate::limits::{
    ANSWER_BYTES_MAX, CALL_MS_MAX, CONNECTIONS_MAX, HEADER_BYTES_MAX, KEEPALIVE_MS,
    PROVER_REQUEST_BYTES_MAX, REQUEST_BYTES_MAX, STREAMS_PER_CONNECTION_MAX,
};
use kerros_protocol::proto::FILE_DESCRIPTOR_SET;
use kerros_protocol::proto::prover_service_server::ProverServiceServer;
use kerros_protocol::proto::sequencer_service_server::SequencerServiceServer;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic::transport::Server;

/// Why serving ended.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}")]
    Bind {
        /// Address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// HTTP/2.
    #[error("serving: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Our own descriptors.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Which services a listener offers.
#[derive(Clone, Default)]
pub struct Services {
    /// For wallets.
    pub sequencer: Option<SequencerApi>,
    /// For provers.
    pub prover: Option<ProverApi>,
}

/// Listens; port 0 takes a free one. Connections take their seats in `hall`.
pub async fn bind(address: SocketAddr, hall: Hall) -> Result<BoundedIncoming, ServeError> {
    let refuse = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(refuse)?;
    BoundedIncoming::new(listener, CONNECTIONS_MAX, hall).map_err(refuse)
}

/// Serves until `stop` resolves and open calls have ended; says how healthy it is.
pub async fn serve(
    incoming: BoundedIncoming,
    services: Services,
    reasons: watch::Receiver<Vec<Reason>>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let sequencer = services.sequencer.map(|api| {
        SequencerServiceServer::new(api)
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX)
    });
    let prover = services.prover.map(|api| {
        ProverServiceServer::new(api)
            .max_decoding_message_size(PROVER_REQUEST_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX)
    });
    let parts: Vec<Part> = [
        sequencer.is_some().then_some(Part::Wallets(SequencerServiceServer::<SequencerApi>::NAME)),
        prover.is_some().then_some(Part::Provers(ProverServiceServer::<ProverApi>::NAME)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let known = reasons.borrow().clone();
    health::report(&reporter, &parts, &known).await;
    let stop = health::follow(reporter, parts, reasons, stop);
    let keepalive = Duration::from_millis(KEEPALIVE_MS);
    Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(keepalive))
        .http2_keepalive_timeout(Some(keepalive))
        .timeout(Duration::from_millis(CALL_MS_MAX))
        .add_service(health_service)
        .add_service(reflection)
        .add_optional_service(sequencer)
        .add_optional_service(prover)
        .serve_with_incoming_shutdown(incoming, stop)
        .await?;
    Ok(())
}
