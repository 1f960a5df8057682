//! Sealed batches out, verified proofs in: leases written down, proofs checked before they are
//! stored.
//!
//! The shell around `jobs`. A proof is checked against the batch as this sequencer sealed it; nothing
//! a prover says about the batch is believed.

use crate::jobs::{Jobs, Lease, LeaseError, Standing};
use crate::journal::{Journal, JournalError, LeaseRecord, PhaseRecord, ProofRecord};
use crate::lifecycle::Lifecycle;
use crate::limits::VERIFICATIONS_MAX;
use crate::ordering::Clock;
use crate::planted::{Bug, planted};
use crate::verification::BatchVerifier;
use ark_bn254::Fr;
use kerros_protocol::batch::{BatchDataError, SealedBatch};
use kerros_protocol::encoding::DecodeError;
use kerros_protocol::proto::BatchState;
use kerros_protocol::transcript::{self, BatchProof};
use kerros_protocol::verification_key::VerificationKey;
use kerros_verifier::VerifyError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use thiserror::Error;
use tokio::sync::Semaphore;

/// Why a lease could not be handed out.
#[derive(Debug, Error)]
pub enum LeaseBatchError {
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a proof was refused.
#[derive(Debug, Error)]
pub enum ProofError {
    /// No such sealed batch.
    #[error("no sealed batch {number}")]
    NoBatch {
        /// Asked for.
        number: u64,
    },
    /// The lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Not the bytes of a proof.
    #[error("malformed proof: {0}")]
    Malformed(#[from] DecodeError),
    /// The proof does not verify.
    #[error("proof of batch {number} refused: {source}")]
    Invalid {
        /// The batch.
        number: u64,
        /// The failed check.
        source: VerifyError,
    },
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The sealed batch on disk cannot be read.
    #[error("sealed batch on disk: {0}")]
    Sealed(#[from] BatchDataError),
    /// The service is stopping.
    #[error("the sequencer is stopping")]
    Stopping,
}

/// What comes with a proof.
pub struct Submission {
    /// Batch.
    pub number: u64,
    /// Epoch of the lease.
    pub epoch: u64,
    /// `BatchProof::encode`.
    pub proof: Vec<u8>,
    /// The prover's measurement.
    pub phases: Vec<PhaseRecord>,
    /// Constraints of the circuit.
    pub constraints: u64,
}

/// What became of a proof that came.
pub enum Accepted {
    /// It was stored before.
    Known(BatchState),
    /// To be checked; the lease holds until then.
    Lease(Lease),
}

/// Leases and proofs.
pub struct Proving {
    jobs: Mutex<Jobs>,
    lifecycle: Arc<Lifecycle>,
    journal: Arc<Journal>,
    key: VerificationKey,
    domain: Fr,
    verifier: Arc<dyn BatchVerifier>,
    seats: Arc<Semaphore>,
    clock: Clock,
}

impl Proving {
    /// Restores epochs, leases and quarantine of the batches that wait for a proof.
    pub fn new(
        mut jobs: Jobs,
        lifecycle: Arc<Lifecycle>,
        journal: Arc<Journal>,
        key: VerificationKey,
        domain: Fr,
        verifier: Arc<dyn BatchVerifier>,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let now = clock();
        for number in lifecycle.in_state(BatchState::Sealed) {
            if let Some(lease) = journal.lease(number)? {
                let LeaseRecord { epoch, prover_id, failures } = lease;
                let prover_id = (!prover_id.is_empty()).then_some(prover_id);
                jobs.restore(now, number, Standing { epoch, prover_id, failures });
            }
        }
        lifecycle.set_quarantined(&jobs.quarantined());
        let seats = Arc::new(Semaphore::new(VERIFICATIONS_MAX));
        let jobs = Mutex::new(jobs);
        Ok(Self { jobs, lifecycle, journal, key, domain, verifier, seats, clock })
    }
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Leases held.
    pub fn held(&self) -> usize {
        self.jobs().held_count()
    }
    /// Ends leases whose time is over; gives their number. Provers that wait wake up if there is one,
    /// or if a quarantined batch's pause is over.
    pub fn expire(&self) -> Result<usize, JournalError> {
        let mut jobs = self.jobs();
        let now = (self.clock)();
        let (over, due) = (jobs.expire(now), jobs.due(now));
        for number in &over {
            tracing::warn!(batch = number, "lease expired");
            self.write(&jobs, *number)?;
        }
        if !over.is_empty() {
            self.alert(jobs);
        }
        if due || !over.is_empty() {
            self.lifecycle.poke();
        }
        Ok(over.len())
    }
    /// Writes down how a batch's leases stand; under the lock, so that a later record is never
    /// overtaken by an earlier one.
    fn write(&self, jobs: &Jobs, number: u64) -> Result<(), JournalError> {
        let Standing { epoch, prover_id, failures } = jobs.standing(number);
        let prover_id = prover_id.unwrap_or_default();
        self.journal.put_lease(number, &LeaseRecord { epoch, prover_id, failures })
    }
    /// Tells about batches that are quarantined now and were not before.
    fn alert(&self, jobs: MutexGuard<'_, Jobs>) {
        for number in self.lifecycle.set_quarantined(&jobs.quarantined()) {
            let failures = jobs.standing(number).failures;
            tracing::error!(
                batch = number,
                failures,
                "BATCH QUARANTINED: no prover could prove it; later batches go on, but nothing \
                 after it can be posted"
            );
        }
    }

    /// Leases the lowest sealed batch that nobody holds and that is in no pause, with its bytes.
    pub fn lease(&self, prover_id: &str) -> Result<Option<(Lease, Vec<u8>)>, LeaseBatchError> {
        let mut jobs = self.jobs();
        let sealed = self.lifecycle.in_state(BatchState::Sealed);
        let Some(lease) = jobs.lease((self.clock)(), prover_id, &sealed) else { return Ok(None) };
        let written = self.write(&jobs, lease.number);
        let bytes = written.and_then(|()| self.sealed(lease.number));
        if bytes.is_err() {
            jobs.end(lease.number);
        }
        drop(jobs);
        let bytes = bytes?;
        tracing::info!(batch = lease.number, epoch = lease.epoch, prover_id, "leased");
        Ok(Some((lease, bytes)))
    }
    fn sealed(&self, number: u64) -> Result<Vec<u8>, JournalError> {
        let family = crate::journal::keys::SEALED;
        let missing = JournalError::Missing { family, what: "a sealed batch" };
        self.journal.sealed(number)?.ok_or(missing)
    }
    /// Extends a lease; gives its new end.
    pub fn heartbeat(&self, number: u64, epoch: u64) -> Result<u64, LeaseError> {
        self.jobs().heartbeat((self.clock)(), number, epoch)
    }
    /// Ends a lease at its holder's wish; `failed` if it could not prove the batch.
    pub fn release(&self, number: u64, epoch: u64, failed: bool) -> Result<(), ProofError> {
        let mut jobs = self.jobs();
        jobs.release((self.clock)(), number, epoch, failed)?;
        self.ended(jobs, number)?;
        Ok(())
    }
    /// A lease has ended: on disk too, and provers that wait wake up.
    fn ended(&self, jobs: MutexGuard<'_, Jobs>, number: u64) -> Result<(), JournalError> {
        self.write(&jobs, number)?;
        self.alert(jobs);
        self.lifecycle.set_proving(number, false);
        self.lifecycle.poke();
        Ok(())
    }

    /// Takes a proof: checks it, stores it, and moves the batch to Verified.
    pub async fn submit(
        self: &Arc<Self>,
        submission: Submission,
    ) -> Result<BatchState, ProofError> {
        let lease = match self.accept(&submission)? {
            Accepted::Known(state) => return Ok(state),
            Accepted::Lease(lease) => lease,
        };
        let this = Arc::clone(self);
        // From here on the work goes on even if the prover's call is cancelled, so that the lease
        // always ends.
        let work = tokio::spawn(async move {
            let number = lease.number;
            if let Ok(seat) = Arc::clone(&this.seats).acquire_owned().await {
                let working = Arc::clone(&this);
                let check = tokio::task::spawn_blocking(move || {
                    let result = working.finish(submission, lease);
                    drop(seat);
                    result
                });
                if let Ok(result) = check.await {
                    return result;
                }
            }
            // Stopping, or a panic: the lease must not stay.
            let mut jobs = this.jobs();
            jobs.end(number);
            this.ended(jobs, number)?;
            Err(ProofError::Stopping)
        });
        work.await.unwrap_or(Err(ProofError::Stopping))
    }
    /// Holds the lease of a proof that has come, until [`Proving::finish`].
    pub fn accept(&self, submission: &Submission) -> Result<Accepted, ProofError> {
        let Submission { number, epoch, .. } = *submission;
        let record = self.lifecycle.record(number)?.ok_or(ProofError::NoBatch { number })?;
        if let Some(known) = &record.proof
            && (known.epoch, &known.proof) == (epoch, &submission.proof)
        {
            return Ok(Accepted::Known(record.state()));
        }
        Ok(Accepted::Lease(self.jobs().verify((self.clock)(), number, epoch)?))
    }
    /// Checks and stores the proof; ends the lease whatever comes of it.
    pub fn finish(&self, submission: Submission, lease: Lease) -> Result<BatchState, ProofError> {
        let number = lease.number;
        let result = self.check(submission, lease);
        if let Err(error) = &result {
            let mut jobs = self.jobs();
            match error {
                ProofError::Malformed(_) | ProofError::Invalid { .. } => {
                    jobs.fail((self.clock)(), number);
                }
                // Not the proof's fault.
                _ => jobs.end(number),
            }
            self.ended(jobs, number)?;
        }
        result
    }
    fn check(&self, submission: Submission, lease: Lease) -> Result<BatchState, ProofError> {
        let Submission { number, epoch, proof: bytes, phases, constraints } = submission;
        let started = Instant::now();
        let proof = BatchProof::decode(&bytes)?;
        self.lifecycle.set_proving(number, true);
        tracing::info!(batch = number, prover_id = lease.prover_id, "Proved");
        let sealed = SealedBatch::decode(&self.sealed(number)?, &self.key.shape)?;
        let statement = transcript::statement(&self.key, self.domain, &sealed);
        let mut result = self.verifier.batch(&statement, &sealed.data, &proof);
        if let (Ok(()), Some(before)) = (&result, &sealed.before_growth) {
            result = self.verifier.growth(before, &sealed.old, sealed.k - 1);
        }
        if planted(Bug::Unverified) {
            result = Ok(());
        }
        let elapsed = started.elapsed();
        metrics::histogram!(crate::metrics::VERIFY_SECONDS).record(elapsed.as_secs_f64());
        let outcome = if result.is_ok() { "accepted" } else { "refused" };
        metrics::counter!(crate::metrics::PROOFS, "result" => outcome).increment(1);
        if let Err(source) = result {
            tracing::warn!(batch = number, prover_id = lease.prover_id, %source, "proof refused");
            return Err(ProofError::Invalid { number, source });
        }
        let stored = ProofRecord {
            prover_id: lease.prover_id,
            epoch,
            phases,
            constraints,
            verified_ms: (self.clock)(),
            verify_micros: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            proof: bytes,
        };
        let updated = self.lifecycle.update(number, |record| {
            record.proof = Some(stored);
            // A stranger may have posted it meanwhile.
            if record.state() < BatchState::Verified {
                record.set_state(BatchState::Verified);
            }
        })?;
        self.jobs().forget(number);
        tracing::info!(batch = number, "Verified");
        Ok(updated.map_or(BatchState::Verified, |record| record.state()))
    }
}
