//! The service's metrics, all names in one place.
//!
//! `kerros_prover_proofs_total`, `kerros_prover_failures_total{reason}`,
//! `kerros_prover_phase_seconds{phase}`, `kerros_prover_proving_seconds`,
//! `kerros_prover_replica_next` (number of the next batch), `kerros_prover_last_proved`.

use crate::client::CallError;
use crate::worker::BatchError;
use metrics::{counter, gauge, histogram};
use std::time::Duration;

/// A proof was accepted.
pub fn proved(number: u64) {
    counter!("kerros_prover_proofs_total").increment(1);
    // Exact below 2^53 batches.
    #[allow(clippy::cast_precision_loss)]
    gauge!("kerros_prover_last_proved").set(number as f64);
}

/// The replica moved.
pub fn replica(next: u64) {
    #[allow(clippy::cast_precision_loss)]
    gauge!("kerros_prover_replica_next").set(next as f64);
}

/// Wall times of one proof.
pub fn phases(phases: &[(String, Duration)], proving: Duration) {
    histogram!("kerros_prover_proving_seconds").record(proving.as_secs_f64());
    for (name, time) in phases {
        histogram!("kerros_prover_phase_seconds", "phase" => name.clone())
            .record(time.as_secs_f64());
    }
}

/// A round failed.
pub fn failure(failure: &BatchError) {
    let reason = match failure {
        BatchError::Call(CallError::Unavailable { .. }) => "unavailable",
        BatchError::Call(CallError::LeaseLost { .. }) | BatchError::LeaseLost => "lease_lost",
        BatchError::Call(_) => "refused",
        BatchError::Replica(_) => "replica",
        BatchError::Engine(_) => "engine",
        BatchError::OwnProof(_) => "own_proof",
        BatchError::Thread(_) => "thread",
        BatchError::ShutDown => "shutdown",
    };
    counter!("kerros_prover_failures_total", "reason" => reason).increment(1);
}
