//! Names of the metrics and the Prometheus page.
//!
//! States are named as everywhere: Open, Sealed, Proved, Verified, Posted, Final.

use crate::execution::TransactionError;
use crate::journal::BatchRecord;
use kerros_protocol::transaction::TransactionId;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// Transactions acknowledged.
pub const ACKNOWLEDGED: &str = "kerros_transactions_acknowledged_total";
/// Requests refused, by reason.
pub const REFUSED: &str = "kerros_requests_refused_total";
/// Transactions refused because their result could not be proved, a bug of ours: ALERT.
pub const EVICTED: &str = "kerros_transactions_evicted_total";
/// 1 once sealing has stopped, a bug of ours: ALERT.
pub const SEALING_HALTED: &str = "kerros_sealing_halted";
/// Seconds of a synced group write.
pub const GROUP_SECONDS: &str = "kerros_group_write_seconds";
/// Transactions in a synced group write.
pub const GROUP_SIZE: &str = "kerros_group_transactions";
/// Transactions whose signatures were checked together.
pub const CHUNK_SIZE: &str = "kerros_signature_chunk_transactions";
/// Seconds of such a check, decoding included.
pub const CHUNK_SECONDS: &str = "kerros_signature_chunk_seconds";
/// Batches sealed.
pub const SEALED: &str = "kerros_batches_sealed_total";
/// Seconds of a seal.
pub const SEAL_SECONDS: &str = "kerros_seal_seconds";
/// Transfers in sealed batches.
pub const TRANSFERS: &str = "kerros_batch_transfers_total";
/// Bytes of sealed batch data.
pub const DATA_BYTES: &str = "kerros_batch_data_bytes_total";
/// Requests waiting for the writer or their signature check.
pub const BACKLOG: &str = "kerros_backlog";
/// Leases held.
pub const LEASES: &str = "kerros_leases";
/// Leases that ended by time.
pub const LEASES_EXPIRED: &str = "kerros_leases_expired_total";
/// Batches that no prover could prove so far: ALERT if above 0.
pub const QUARANTINED: &str = "kerros_quarantined_batches";
/// Proofs verified, by result (`accepted`, `refused`).
pub const PROOFS: &str = "kerros_proofs_total";
/// Seconds of a verification.
pub const VERIFY_SECONDS: &str = "kerros_verify_seconds";
/// Batches sealed and not final.
pub const UNSETTLED: &str = "kerros_batches_unsettled";
/// Batches posted.
pub const POSTED: &str = "kerros_batches_posted_total";
/// Gas of posts.
pub const POST_GAS: &str = "kerros_post_gas_total";
/// Last final batch.
pub const FINAL: &str = "kerros_batch_final";
/// 1 once settlement has stopped for good: ALERT.
pub const HALTED: &str = "kerros_settlement_halted";
/// Failures of the main chain, by operation.
pub const CHAIN_FAILURES: &str = "kerros_main_chain_failures_total";
/// Free bytes of the data directory's file system.
pub const DISK_FREE: &str = "kerros_disk_free_bytes";
/// Queue entries waiting on the main chain and in no batch.
pub const QUEUE_WAITING: &str = "kerros_queue_waiting";

/// The process's recorder; installed once, shared by all services in it. None if another
/// recorder was installed before.
pub fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().ok()).as_ref()
}

pub(crate) fn group_written(transactions: usize, elapsed: Duration) {
    counter!(ACKNOWLEDGED).increment(transactions as u64);
    histogram!(GROUP_SIZE).record(transactions as f64);
    histogram!(GROUP_SECONDS).record(elapsed.as_secs_f64());
}

pub(crate) fn evicted(id: &TransactionId, error: &TransactionError) {
    counter!(EVICTED).increment(1);
    tracing::error!(%id, %error, "TRANSACTION EVICTED: executed to something that cannot be proved");
}

pub(crate) fn checked(transactions: usize, elapsed: Duration) {
    histogram!(CHUNK_SIZE).record(transactions as f64);
    histogram!(CHUNK_SECONDS).record(elapsed.as_secs_f64());
}

pub(crate) fn sealed(record: &BatchRecord, elapsed: Duration) {
    counter!(SEALED).increment(1);
    counter!(DATA_BYTES).increment(record.data_len);
    counter!(TRANSFERS).increment(record.counts.get(2).copied().unwrap_or(0).into());
    histogram!(SEAL_SECONDS).record(elapsed.as_secs_f64());
}

pub(crate) fn refused(reason: &str) {
    counter!(REFUSED, "reason" => reason.to_owned()).increment(1);
}

pub(crate) fn load(backlog: usize, leases: usize, unsettled: usize, last_final: u64) {
    gauge!(BACKLOG).set(backlog as f64);
    gauge!(LEASES).set(leases as f64);
    gauge!(UNSETTLED).set(unsettled as f64);
    gauge!(FINAL).set(last_final as f64);
}
