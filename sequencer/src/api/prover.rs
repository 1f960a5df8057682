//! `kerros.v1.ProverService`.

use super::refusal::Refusal;
use super::sequencer::busy;
use super::watch;
use crate::journal::{Journal, PhaseRecord};
use crate::lifecycle::Lifecycle;
use crate::limits::{
    LEASE_WAIT_MS_MAX, PHASE_BYTES_MAX, PHASES_MAX, PROVER_ID_BYTES_MAX, REASON_BYTES_MAX,
};
use crate::proving::{Proving, Submission};
use kerros_protocol::proto::prover_service_server::ProverService;
use kerros_protocol::proto::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

/// The service.
#[derive(Clone)]
pub struct ProverApi {
    /// Leases and proofs.
    pub proving: Arc<Proving>,
    /// States of batches.
    pub lifecycle: Arc<Lifecycle>,
    /// Disk.
    pub journal: Arc<Journal>,
    /// Interval told to provers, ms.
    pub heartbeat_ms: u32,
    /// Places for long calls.
    pub seats: Arc<Semaphore>,
}

fn bounded(field: &str, text: &str, min: usize, max: usize) -> Result<(), Refusal> {
    let have = text.len();
    if (min..=max).contains(&have) {
        return Ok(());
    }
    Err(Refusal::argument(field, format!("{have} bytes, needs {min} to {max}")))
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ProverService for ProverApi {
    async fn lease_batch(&self, request: Request<LeaseBatchRequest>) -> Answer<LeaseBatchResponse> {
        let LeaseBatchRequest { prover_id, wait_ms } = request.into_inner();
        bounded("prover_id", &prover_id, 1, PROVER_ID_BYTES_MAX)?;
        let wait = Duration::from_millis(u64::from(wait_ms).min(LEASE_WAIT_MS_MAX));
        let until = Instant::now() + wait;
        let mut revision = self.lifecycle.watch();
        loop {
            revision.mark_unchanged();
            let (proving, id) = (Arc::clone(&self.proving), prover_id.clone());
            let leased = tokio::task::spawn_blocking(move || proving.lease(&id)).await;
            let leased = leased.map_err(Refusal::internal)?.map_err(Refusal::from)?;
            let lease = leased.map(|(lease, sealed_batch)| Lease {
                batch_number: lease.number,
                epoch: lease.epoch,
                expires_ms: lease.expires_ms,
                sealed_batch,
                heartbeat_ms: self.heartbeat_ms,
            });
            if lease.is_some() {
                return Ok(Response::new(LeaseBatchResponse { lease }));
            }
            match tokio::time::timeout_at(until, revision.changed()).await {
                Ok(Ok(())) if !self.lifecycle.is_stopping() => {}
                Ok(_) | Err(_) => return Ok(Response::new(LeaseBatchResponse { lease })),
            }
        }
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Answer<HeartbeatResponse> {
        let HeartbeatRequest { batch_number, epoch, phase } = request.into_inner();
        bounded("phase", &phase, 0, PHASE_BYTES_MAX)?;
        let expires_ms = self.proving.heartbeat(batch_number, epoch).map_err(Refusal::from)?;
        tracing::debug!(batch = batch_number, epoch, phase, "heartbeat");
        Ok(Response::new(HeartbeatResponse { expires_ms }))
    }

    async fn submit_proof(
        &self,
        request: Request<SubmitProofRequest>,
    ) -> Answer<SubmitProofResponse> {
        let SubmitProofRequest { batch_number, epoch, proof, phases, constraints } =
            request.into_inner();
        if phases.len() > PHASES_MAX {
            let problem = format!("{} phases, at most {PHASES_MAX}", phases.len());
            return Err(Refusal::argument("phases", problem).into());
        }
        for phase in &phases {
            bounded("phases", &phase.name, 1, PHASE_BYTES_MAX)?;
        }
        let phase = |phase: Phase| PhaseRecord { name: phase.name, micros: phase.micros };
        let phases = phases.into_iter().map(phase).collect();
        let submission = Submission { number: batch_number, epoch, proof, phases, constraints };
        let state = self.proving.submit(submission).await.map_err(Refusal::from)?;
        Ok(Response::new(SubmitProofResponse { state: state.into() }))
    }

    async fn release_lease(
        &self,
        request: Request<ReleaseLeaseRequest>,
    ) -> Answer<ReleaseLeaseResponse> {
        let ReleaseLeaseRequest { batch_number, epoch, reason, failed } = request.into_inner();
        bounded("reason", &reason, 0, REASON_BYTES_MAX)?;
        self.proving.release(batch_number, epoch, failed).map_err(Refusal::from)?;
        tracing::info!(batch = batch_number, epoch, reason, failed, "lease released");
        Ok(Response::new(ReleaseLeaseResponse {}))
    }

    async fn get_batch_data(
        &self,
        request: Request<GetBatchDataRequest>,
    ) -> Answer<GetBatchDataResponse> {
        let number = request.into_inner().batch_number;
        let missing =
            || Refusal::new(Code::NotFound, "BATCH_NOT_FOUND", format!("no sealed batch {number}"));
        let sealed = self.journal.sealed(number).map_err(Refusal::internal)?;
        let sealed_batch = sealed.ok_or_else(missing)?;
        Ok(Response::new(GetBatchDataResponse { sealed_batch }))
    }

    type FollowBatchesStream = ReceiverStream<Result<FollowBatchesResponse, Status>>;

    async fn follow_batches(
        &self,
        request: Request<FollowBatchesRequest>,
    ) -> Answer<Self::FollowBatchesStream> {
        let from = request.into_inner().from_number.max(1);
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| busy())?;
        let (lifecycle, journal) = (Arc::clone(&self.lifecycle), Arc::clone(&self.journal));
        Ok(Response::new(watch::follow_batches(lifecycle, journal, from, seat)))
    }
}
