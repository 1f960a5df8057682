//! The prover's view of the sequencer: calls with time-outs, answers decoded strictly. Keeps no
//! state but the connection, which reconnects by itself.

use crate::limits::{CALL_MS_MAX, CONNECT_MS_MAX, LEASE_WAIT_MS, MESSAGE_BYTES_MAX, PHASES_MAX};
use ark_bn254::Fr;
use kerros_protocol::account::Address;
use kerros_protocol::batch::{BatchDataError, SealedBatch, Shape};
use kerros_protocol::encoding::{DecodeError, fr_from_be};
use kerros_protocol::proto::prover_service_client::ProverServiceClient;
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::{self, FollowBatchesResponse, RejectionDetail};
use kerros_protocol::transcript;
use std::time::Duration;
use thiserror::Error;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

/// Why a call failed.
#[derive(Debug, Error)]
pub enum CallError {
    /// The URL is none.
    #[error("sequencer URL: {0}")]
    Url(tonic::transport::Error),
    /// The lease has expired or a later epoch exists.
    #[error("the lease is no longer ours ({reason})")]
    LeaseLost {
        /// Code of the refusal.
        reason: String,
    },
    /// The sequencer refused; the same call will be refused again.
    #[error("sequencer refused: {reason}: {message}")]
    Refused {
        /// Code of the refusal.
        reason: String,
        /// For humans.
        message: String,
    },
    /// No answer, or a temporary refusal.
    #[error("sequencer not available: {message}")]
    Unavailable {
        /// For humans.
        message: String,
    },
    /// The answer does not decode.
    #[error("sequencer's answer: {0}")]
    Decode(#[from] DecodeError),
    /// The sealed batch does not decode.
    #[error("sequencer's batch: {0}")]
    Batch(#[from] BatchDataError),
    /// A field that must be there is missing or names something else.
    #[error("sequencer's answer: {0}")]
    Nonsense(&'static str),
}

impl CallError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match RejectionDetail::from_status(&status) {
            Some(detail) if matches!(detail.reason.as_str(), "STALE_LEASE" | "LEASE_EXPIRED") => {
                Self::LeaseLost { reason: detail.reason }
            }
            Some(detail) if detail.transient => Self::Unavailable { message },
            Some(detail) => Self::Refused { reason: detail.reason, message },
            None => match status.code() {
                Code::InvalidArgument
                | Code::NotFound
                | Code::PermissionDenied
                | Code::Unimplemented
                | Code::Unauthenticated
                | Code::OutOfRange => {
                    Self::Refused { reason: format!("{:?}", status.code()), message }
                }
                _ => Self::Unavailable { message },
            },
        }
    }
}

/// The deployment that the sequencer serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// Computed here from chain id and contract.
    pub domain: Fr,
    /// Hash of the verification key.
    pub vk_hash: [u8; 32],
}

impl Deployment {
    /// Reads an answer, strictly: its parts must fit each other.
    pub fn read(info: &proto::GetInfoResponse) -> Result<Self, CallError> {
        let array =
            |bytes: &[u8], what| <[u8; 32]>::try_from(bytes).map_err(|_| CallError::Nonsense(what));
        let contract = <[u8; 20]>::try_from(info.contract.as_slice())
            .map_err(|_| CallError::Nonsense("contract is no address"))?;
        let domain = transcript::domain(info.chain_id, &Address(contract));
        if fr_from_be("domain", &array(&info.domain, "domain is not 32 bytes")?)? != domain {
            return Err(CallError::Nonsense("domain is not that of its chain and contract"));
        }
        Ok(Self { domain, vk_hash: array(&info.vk_hash, "vk_hash is not 32 bytes")? })
    }
}

/// A batch to prove, as long as the lease lives.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The batch.
    pub batch: SealedBatch,
    /// Later leases of the batch have higher epochs.
    pub epoch: u64,
    /// Interval in which the server expects heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
}

/// A connection to the sequencer.
#[derive(Debug, Clone)]
pub struct Client {
    prover: ProverServiceClient<Channel>,
    sequencer: SequencerServiceClient<Channel>,
    shape: Shape,
}

fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(Duration::from_millis(CALL_MS_MAX));
    request
}

impl Client {
    /// Does not connect yet: every call does if need be.
    pub fn new(url: &str, shape: Shape) -> Result<Self, CallError> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(CallError::Url)?
            .connect_timeout(Duration::from_millis(CONNECT_MS_MAX))
            .http2_keep_alive_interval(Duration::from_millis(CALL_MS_MAX))
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_lazy();
        let prover = ProverServiceClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { prover, sequencer: SequencerServiceClient::new(channel), shape })
    }

    /// Chain, contract and key that the sequencer works for.
    pub async fn deployment(&mut self) -> Result<Deployment, CallError> {
        let info = self.sequencer.get_info(timed(proto::GetInfoRequest {})).await?.into_inner();
        Deployment::read(&info)
    }

    /// Asks for a batch; none if nothing came up in the waiting time.
    pub async fn lease(&mut self, prover_id: &str) -> Result<Option<Lease>, CallError> {
        let request =
            proto::LeaseBatchRequest { prover_id: prover_id.to_owned(), wait_ms: LEASE_WAIT_MS };
        let answer = self.prover.lease_batch(timed(request)).await?.into_inner();
        let Some(lease) = answer.lease else { return Ok(None) };
        let batch = self.sealed(lease.batch_number, &lease.sealed_batch)?;
        let (epoch, heartbeat_ms) = (lease.epoch, u64::from(lease.heartbeat_ms));
        Ok(Some(Lease { batch, epoch, heartbeat_ms }))
    }

    /// Extends a lease and tells what the prover is doing.
    pub async fn heartbeat(
        &mut self,
        batch_number: u64,
        epoch: u64,
        phase: &str,
    ) -> Result<(), CallError> {
        let request = proto::HeartbeatRequest { batch_number, epoch, phase: phase.to_owned() };
        self.prover.heartbeat(timed(request)).await?;
        Ok(())
    }

    /// Returns a proof; `phases` beyond the protocol's bound are dropped.
    pub async fn submit(
        &mut self,
        lease: (u64, u64),
        proof: Vec<u8>,
        phases: &[(String, Duration)],
        constraints: u64,
    ) -> Result<(), CallError> {
        let phases = phases.iter().take(PHASES_MAX).map(|(name, time)| proto::Phase {
            name: name.clone(),
            micros: u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        });
        let request = proto::SubmitProofRequest {
            batch_number: lease.0,
            epoch: lease.1,
            proof,
            phases: phases.collect(),
            constraints,
        };
        self.prover.submit_proof(timed(request)).await?;
        Ok(())
    }

    /// Gives a batch back; `failed` if it could not be proved here.
    pub async fn release(
        &mut self,
        batch_number: u64,
        epoch: u64,
        reason: String,
        failed: bool,
    ) -> Result<(), CallError> {
        let request = proto::ReleaseLeaseRequest { batch_number, epoch, reason, failed };
        self.prover.release_lease(timed(request)).await?;
        Ok(())
    }

    /// Sealed batches from `from_number` on, in order, without end.
    pub async fn follow(&mut self, from_number: u64) -> Result<Follow, CallError> {
        // No time-out: the stream lives as long as it is read.
        let request = proto::FollowBatchesRequest { from_number };
        let stream = self.prover.follow_batches(request).await?.into_inner();
        Ok(Follow { stream, client: self.clone() })
    }

    fn sealed(&self, number: u64, bytes: &[u8]) -> Result<SealedBatch, CallError> {
        let batch = SealedBatch::decode(bytes, &self.shape)?;
        if batch.number != number {
            return Err(CallError::Nonsense("a batch under another batch's number"));
        }
        Ok(batch)
    }
}

/// A stream of sealed batches.
pub struct Follow {
    stream: Streaming<FollowBatchesResponse>,
    client: Client,
}

impl Follow {
    /// The next batch; waits for it, but not longer than a call may take.
    pub async fn next(&mut self) -> Result<SealedBatch, CallError> {
        let limit = Duration::from_millis(CALL_MS_MAX);
        let message = tokio::time::timeout(limit, self.stream.message()).await;
        let late = |_| CallError::Unavailable { message: "no batch in time".to_owned() };
        let ended = || CallError::Unavailable { message: "stream of batches ended".to_owned() };
        let message = message.map_err(late)??.ok_or_else(ended)?;
        self.client.sealed(message.batch_number, &message.sealed_batch)
    }
}
