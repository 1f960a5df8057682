//! The prover's life: lease, prove, check, return, again; until it is shut down.
//!
//! One batch at a time. Heartbeats run from the lease to the return; a lost lease makes the result
//! worthless, never wrong: epochs keep late proofs out. A proof leaves only after it verified here
//! under the replica's own commitments. Failures of the network or of a batch pause the loop with a
//! bounded backoff; only a sequencer of another deployment or key ends it.

use crate::backoff::Backoff;
use crate::client::{CallError, Client, Deployment, Lease};
use crate::engine::{Engine, EngineError, Output};
use crate::limits::{
    HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN, ID_BYTES_MAX, PROVING_STACK_BYTES, REASON_BYTES_MAX,
    SUBMIT_ATTEMPTS_MAX,
};
use crate::measure;
use crate::replica::{Replica, ReplicaError};
use ark_bn254::Fr;
use kerros_protocol::commitment::Srs;
use kerros_protocol::ledger::Ledger;
use kerros_protocol::transcript::statement;
use kerros_verifier::VerifyError;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Where to work and under which name.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// gRPC endpoint of the sequencer, for example `http://127.0.0.1:7400`.
    pub sequencer_url: String,
    /// Name under which leases are taken: 1 to 64 bytes.
    pub prover_id: String,
}

/// Why a worker did not start, or ended by itself.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The name is empty or too long.
    #[error("prover id of {have} bytes, needs 1 to {ID_BYTES_MAX}")]
    ProverId {
        /// Bytes.
        have: usize,
    },
    /// The URL is none.
    #[error(transparent)]
    Url(CallError),
    /// The reference string or the key do not serve.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The sequencer works under another verification key.
    #[error("sequencer's verification key is {theirs}, this prover has {ours}")]
    OtherKey {
        /// Hash, hex.
        theirs: String,
        /// Hash, hex.
        ours: String,
    },
    /// The sequencer changed chain or contract while running.
    #[error("the sequencer serves another deployment than before")]
    OtherDeployment,
    /// The worker's task ended by a panic: a bug.
    #[error("the worker panicked")]
    Panicked,
}

/// Why a leased batch was not returned proved.
#[derive(Debug, Error)]
pub enum BatchError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The batch, or one before it, does not match the replica.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// No proof.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The proof made here does not verify: a bug or broken hardware.
    #[error("own proof does not verify: {0}")]
    OwnProof(VerifyError),
    /// The lease was lost while proving.
    #[error("lease lost while proving")]
    LeaseLost,
    /// The proving thread could not start or panicked.
    #[error("proving thread: {0}")]
    Thread(String),
    /// The worker is shut down.
    #[error("prover shuts down")]
    ShutDown,
}

impl BatchError {
    /// Whether the batch could not be proved, not only not returned.
    fn is_of_batch(&self) -> bool {
        !matches!(self, Self::Call(_) | Self::LeaseLost | Self::ShutDown)
    }
}

/// What a worker is doing, for observers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The batch leased, 0 if none.
    pub batch: u64,
    /// "idle", "replaying", "proving", "checking", "returning".
    pub phase: &'static str,
    /// Proofs accepted by the sequencer so far.
    pub proofs: u64,
    /// The last failure, for humans; empty after a success.
    pub failure: String,
}

/// Starts workers.
pub struct Worker;

/// A running worker. Dropping it stops the loop without waiting and without releasing a lease.
pub struct WorkerHandle {
    stop: watch::Sender<bool>,
    status: watch::Receiver<Status>,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Worker {
    /// Starts on the present Tokio runtime. `srs` belongs to the engine's key.
    pub async fn start(
        config: WorkerConfig,
        engine: Arc<dyn Engine>,
        srs: Srs,
    ) -> Result<WorkerHandle, WorkerError> {
        let have = config.prover_id.len();
        if !(1..=ID_BYTES_MAX).contains(&have) {
            return Err(WorkerError::ProverId { have });
        }
        let shape = engine.verification_key().shape;
        let client = Client::new(&config.sequencer_url, shape).map_err(WorkerError::Url)?;
        let replica = Replica::genesis(srs)?;
        let (stop, stopped) = watch::channel(false);
        let (status, status_out) = watch::channel(Status { phase: "idle", ..Status::default() });
        let prover_id = config.prover_id;
        let state =
            Loop { prover_id, engine, client, replica, deployment: None, stop: stopped, status };
        Ok(WorkerHandle { stop, status: status_out, task: tokio::spawn(state.run()) })
    }
}

impl WorkerHandle {
    /// What the worker is doing; changes wake the receiver.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
    /// Releases the lease, if there is one, and ends. A proof in the making goes on in its thread
    /// until it is done, and is dropped.
    pub async fn shutdown(self) -> Result<(), WorkerError> {
        // The loop may have ended by itself.
        let _ = self.stop.send(true);
        self.task.await.unwrap_or(Err(WorkerError::Panicked))
    }
    /// Waits until the worker ends by itself (it never does without a reason).
    pub async fn wait(&mut self) -> Result<(), WorkerError> {
        (&mut self.task).await.unwrap_or(Err(WorkerError::Panicked))
    }
}

struct Loop {
    prover_id: String,
    engine: Arc<dyn Engine>,
    client: Client,
    replica: Replica,
    deployment: Option<Deployment>,
    stop: watch::Receiver<bool>,
    status: watch::Sender<Status>,
}

impl Loop {
    async fn run(mut self) -> Result<(), WorkerError> {
        let mut backoff = Backoff::default();
        loop {
            if *self.stop.borrow() {
                return Ok(());
            }
            let failure = match self.round().await? {
                Ok(()) => {
                    backoff.reset();
                    continue;
                }
                Err(BatchError::ShutDown) => return Ok(()),
                Err(failure) => failure,
            };
            tracing::warn!(prover = %self.prover_id, %failure, "will try again");
            measure::failure(&failure);
            self.status.send_modify(|status| {
                (status.batch, status.phase, status.failure) = (0, "idle", failure.to_string());
            });
            let pause = backoff.pause(rand::random());
            tokio::select! {
                () = stopped(&mut self.stop) => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One lease. The outer error ends the worker.
    async fn round(&mut self) -> Result<Result<(), BatchError>, WorkerError> {
        let deployment = match self.client.deployment().await {
            Ok(deployment) => deployment,
            Err(error) => return Ok(Err(error.into())),
        };
        self.require_deployment(deployment)?;
        // A lease granted while this call is given up is not known here: it expires.
        let lease = tokio::select! {
            () = stopped(&mut self.stop) => return Ok(Err(BatchError::ShutDown)),
            lease = self.client.lease(&self.prover_id) => lease,
        };
        let lease = match lease {
            Ok(Some(lease)) => lease,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error.into())),
        };
        let (number, epoch) = (lease.batch.number, lease.epoch);
        tracing::info!(prover = %self.prover_id, batch = number, epoch, "leased");
        let done = self.with_lease(lease, deployment.domain).await;
        match &done {
            Ok(()) => {
                tracing::info!(prover = %self.prover_id, batch = number, "proof accepted");
                measure::proved(number);
                self.status.send_modify(|status| {
                    let proofs = status.proofs + 1;
                    *status = Status { phase: "idle", proofs, ..Status::default() };
                });
            }
            Err(BatchError::LeaseLost | BatchError::Call(CallError::LeaseLost { .. })) => {}
            Err(failure) => self.release(number, epoch, failure).await,
        }
        Ok(done)
    }

    fn require_deployment(&mut self, found: Deployment) -> Result<(), WorkerError> {
        match self.deployment {
            Some(known) if known == found => Ok(()),
            Some(_) => Err(WorkerError::OtherDeployment),
            None => {
                let ours = self.engine.verification_key().hash();
                if found.vk_hash != ours {
                    let (theirs, ours) = (hex::encode(found.vk_hash), hex::encode(ours));
                    return Err(WorkerError::OtherKey { theirs, ours });
                }
                self.deployment = Some(found);
                Ok(())
            }
        }
    }

    async fn with_lease(&mut self, lease: Lease, domain: Fr) -> Result<(), BatchError> {
        let (phase, phase_out) = watch::channel("replaying");
        let mut alive = heartbeat(self.client.clone(), &lease, phase_out);
        let mut stop = self.stop.clone();
        let work = self.prove_and_return(lease, domain, phase);
        let done = tokio::select! {
            () = stopped(&mut stop) => Err(BatchError::ShutDown),
            lost = &mut alive => Err(lost.unwrap_or(BatchError::LeaseLost)),
            done = work => done,
        };
        alive.abort();
        done
    }

    async fn prove_and_return(
        &mut self,
        lease: Lease,
        domain: Fr,
        phase: watch::Sender<&'static str>,
    ) -> Result<(), BatchError> {
        let number = lease.batch.number;
        let status = self.status.clone();
        let enter = |name| {
            // Nobody listens any more if the lease was lost; then this future is dropped.
            let _ = phase.send(name);
            status.send_modify(|status| (status.batch, status.phase) = (number, name));
        };
        enter("replaying");
        self.catch_up(number).await?;
        let before = self.replica.ledger().clone();
        // Refuses a batch that does not follow from its data before any time goes into it.
        self.replica.apply(&lease.batch)?;
        measure::replica(self.replica.next());

        enter("proving");
        let started = Instant::now();
        let Output { proof, mut phases, constraints } =
            prove(self.engine.clone(), before, lease.batch.clone(), domain).await?;
        let proving = started.elapsed();

        enter("checking");
        let started = Instant::now();
        let engine = self.engine.clone();
        let batch = lease.batch;
        let check = tokio::task::spawn_blocking(move || {
            let key = engine.verification_key();
            let statement = statement(key, domain, &batch);
            kerros_verifier::verify_batch(key, &statement, &batch.data, &proof)
        });
        let check = check.await.map_err(|error| BatchError::Thread(error.to_string()))?;
        check.map_err(BatchError::OwnProof)?;
        phases.push(("self_check".to_owned(), started.elapsed()));
        measure::phases(&phases, proving);

        enter("returning");
        self.submit((number, lease.epoch), proof.encode(), &phases, constraints).await
    }

    /// Brings the replica to the state before batch `number`.
    async fn catch_up(&mut self, number: u64) -> Result<(), BatchError> {
        self.replica.rewind(number)?;
        if self.replica.next() == number {
            return Ok(());
        }
        let mut follow = self.client.follow(self.replica.next()).await?;
        while self.replica.next() < number {
            let batch = follow.next().await?;
            self.replica.apply(&batch)?;
            measure::replica(self.replica.next());
        }
        Ok(())
    }

    async fn submit(
        &mut self,
        lease: (u64, u64),
        proof: Vec<u8>,
        phases: &[(String, Duration)],
        constraints: u64,
    ) -> Result<(), BatchError> {
        let mut backoff = Backoff::default();
        let mut attempt = 1;
        loop {
            match self.client.submit(lease, proof.clone(), phases, constraints).await {
                Err(error) if error.is_transient() && attempt < SUBMIT_ATTEMPTS_MAX => {
                    tracing::warn!(%error, attempt, "proof not returned yet");
                    tokio::time::sleep(backoff.pause(rand::random())).await;
                    attempt += 1;
                }
                done => return done.map_err(BatchError::from),
            }
        }
    }

    async fn release(&mut self, number: u64, epoch: u64, failure: &BatchError) {
        let mut reason = failure.to_string();
        let end = (0..=REASON_BYTES_MAX).rev().find(|end| reason.is_char_boundary(*end));
        reason.truncate(end.unwrap_or_default());
        if let Err(error) = self.client.release(number, epoch, reason, failure.is_of_batch()).await
        {
            tracing::warn!(batch = number, epoch, %error, "lease not released; it will expire");
        }
    }
}

/// Resolves when the worker is to stop, also if its handle is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which stops the worker too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Sends heartbeats until the lease is lost; the task ends with the reason only then.
fn heartbeat(
    mut client: Client,
    lease: &Lease,
    phase: watch::Receiver<&'static str>,
) -> JoinHandle<BatchError> {
    let (number, epoch) = (lease.batch.number, lease.epoch);
    let interval =
        Duration::from_millis(lease.heartbeat_ms.clamp(HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            let name = *phase.borrow();
            match client.heartbeat(number, epoch, name).await {
                Ok(()) => {}
                // The sequencer may come back before the lease ends.
                Err(error) if error.is_transient() => {
                    tracing::warn!(batch = number, epoch, %error, "heartbeat failed");
                }
                Err(error) => {
                    tracing::warn!(batch = number, epoch, %error, "lease lost");
                    return BatchError::LeaseLost;
                }
            }
        }
    })
}

/// Runs the engine on a thread of its own, which outlives a cancelled caller.
async fn prove(
    engine: Arc<dyn Engine>,
    before: Ledger,
    batch: kerros_protocol::batch::SealedBatch,
    domain: Fr,
) -> Result<Output, BatchError> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name(format!("prove-{}", batch.number))
        .stack_size(PROVING_STACK_BYTES)
        .spawn(move || {
            // The receiver is gone if the lease was lost meanwhile.
            let _ = done.send(engine.prove(&before, &batch, domain));
        });
    thread.map_err(|error: io::Error| BatchError::Thread(error.to_string()))?;
    match result.await {
        Ok(output) => Ok(output?),
        Err(_) => Err(BatchError::Thread("panicked".to_owned())),
    }
}
