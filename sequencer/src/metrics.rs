//! Every metric: name, kind, unit, meaning, in one list; and the Prometheus recorder.
//!
//! Units come last in names. States are named as everywhere: Open, Sealed, Proved, Verified, Posted,
//! Final. `deploy/METRICS.md` shows the list; a test compares.

use crate::execution::TransactionError;
use crate::health::Reason;
use crate::journal::BatchRecord;
use kerros_protocol::proto::BatchState;
use kerros_protocol::transaction::TransactionId;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// As it is now.
    Gauge,
    /// Distribution, in buckets.
    Histogram,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// What is counted or measured.
    pub unit: &'static str,
    /// Labels, separated by commas.
    pub labels: &'static str,
    /// Meaning.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident, $kind:ident, $name:literal, $unit:literal, [$($label:literal),*], $help:literal;)*) => {
        $(#[doc = $help] pub const $id: &str = $name;)*
        /// All of them.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: concat!($($label, " "),*),
            help: $help,
        }),*];
    };
}

metrics! {
    BUILD, Gauge, "kerros_build_info", "1", ["version", "chain_id", "contract", "shape"], "What runs, and for which contract.";
    START, Gauge, "kerros_start_timestamp_seconds", "seconds", [], "Unix time at which the sequencer started.";
    UNHEALTHY, Gauge, "kerros_unhealthy", "0 or 1", ["reason"], "1 while this reason makes the service unhealthy: ALERT.";
    ACKNOWLEDGED, Counter, "kerros_transactions_acknowledged_total", "transactions", [], "Acknowledged: on disk, under the watermark, with a signed receipt.";
    REFUSED, Counter, "kerros_requests_refused_total", "requests", ["reason"], "Refused, by the reason's code.";
    REPEATED, Counter, "kerros_transactions_repeated_total", "transactions", [], "Bytes acknowledged not long ago that came again: answered without a check of their signature.";
    WRONG_SIGNATURES, Counter, "kerros_wrong_signatures_total", "transactions", [], "Transactions with a wrong signature: their connections get a share of one checking thread.";
    EVICTED, Counter, "kerros_transactions_evicted_total", "transactions", [], "Refused because their result could not be proved, a bug of ours: ALERT.";
    SEATS, Gauge, "kerros_seats_taken", "requests", [], "Shared seats of requests between arrival and answer, of 8,192.";
    QUEUE, Gauge, "kerros_queue_length", "entries", ["queue"], "Waiting for a signature check (signatures), commands for the writer (writer), transactions to be executed (pool), ahead of their nonce (parked), closed batches (sealer).";
    PAUSE, Gauge, "kerros_admission_pause_seconds", "seconds", [], "Pause before each signature check because batches wait for settlement.";
    CHUNK_SIZE, Histogram, "kerros_signature_chunk_transactions", "transactions", [], "Transactions whose signatures were checked together.";
    CHUNK_SECONDS, Histogram, "kerros_signature_chunk_seconds", "seconds", [], "Such a check, decoding included.";
    GROUP_SIZE, Histogram, "kerros_group_transactions", "transactions", [], "Transactions that shared one synced write.";
    GROUP_SECONDS, Histogram, "kerros_group_write_seconds", "seconds", [], "From an executed group to its answers: signature, log, watermark.";
    SYNC_SECONDS, Histogram, "kerros_group_sync_seconds", "seconds", [], "The synced write of a group to the log.";
    WATERMARK_SECONDS, Histogram, "kerros_watermark_seconds", "seconds", [], "The synced write of the watermark.";
    SEALED, Counter, "kerros_batches_sealed_total", "batches", [], "Batches sealed.";
    SEAL_SECONDS, Histogram, "kerros_seal_seconds", "seconds", [], "Sealing a closed batch: commitments and synced write.";
    SEALING_HALTED, Gauge, "kerros_sealing_halted", "0 or 1", [], "1 once sealing has stopped, a bug of ours: ALERT.";
    TRANSFERS, Counter, "kerros_batch_transfers_total", "transfers", [], "Transfers in sealed batches.";
    DATA_BYTES, Counter, "kerros_batch_data_bytes_total", "bytes", [], "Data of sealed batches.";
    BATCHES, Gauge, "kerros_batches", "batches", ["state"], "Batches in each state that is not Final.";
    OLDEST, Gauge, "kerros_batch_oldest_age_seconds", "seconds", ["state"], "How long the oldest batch of this state is in it; Open: since its first operation.";
    EDGE_SECONDS, Histogram, "kerros_batch_edge_seconds", "seconds", ["from", "to"], "How long batches took from one state to the next; Open: since the batch before was closed.";
    UNSETTLED, Gauge, "kerros_batches_unsettled", "batches", [], "Batches sealed and not final.";
    LEASES, Gauge, "kerros_leases", "leases", [], "Leases that provers hold.";
    LEASES_EXPIRED, Counter, "kerros_leases_expired_total", "leases", [], "Leases that ended by silence.";
    QUARANTINED, Gauge, "kerros_quarantined_batches", "batches", [], "Batches that no prover could prove so far: ALERT if above 0.";
    PROOFS, Counter, "kerros_proofs_total", "proofs", ["result"], "Proofs verified: accepted or refused.";
    VERIFY_SECONDS, Histogram, "kerros_verify_seconds", "seconds", [], "The verification of a proof, from Proved to its result.";
    POSTED, Counter, "kerros_batches_posted_total", "batches", [], "Batches found on the main chain.";
    POST_GAS, Counter, "kerros_post_gas_total", "gas", [], "Gas of their posts.";
    POST_ATTEMPTS, Counter, "kerros_post_attempts_total", "transactions", ["kind"], "Transactions signed to post a batch: the first with a number (first), or one with higher fees in place of another (bump).";
    POST_FEE, Gauge, "kerros_post_fee_gwei", "gwei per gas", [], "The most that the last of them offers.";
    POSTING_WAITS, Gauge, "kerros_posting_waits", "0 or 1", [], "1 while nothing can be posted although something could be: fees above the maximum, an old head or another chain, nodes that disagree, queue entries that a reorganisation took.";
    POSTER_BALANCE, Gauge, "kerros_poster_balance_ether", "ether", [], "What the poster's account has left for posts.";
    FINAL, Gauge, "kerros_batch_final", "batch number", [], "The last final batch.";
    HALTED, Gauge, "kerros_settlement_halted", "0 or 1", [], "1 once settlement waits for an operator: ALERT.";
    CHAIN_FAILURES, Counter, "kerros_main_chain_failures_total", "failures", ["operation"], "Failures of the main chain: settlement or queue.";
    CHAIN_HEAD, Gauge, "kerros_main_chain_head", "block number", [], "The newest block.";
    CHAIN_AGE, Gauge, "kerros_main_chain_head_age_seconds", "seconds", [], "Since the newest block's timestamp.";
    CHAIN_SILENCE, Gauge, "kerros_main_chain_silence_seconds", "seconds", [], "Since the main chain answered last.";
    NODE_STATE, Gauge, "kerros_main_chain_node_in_use", "0 or 1", ["node"], "0 while this main-chain node is left out: it does not answer, lags, contradicts the others or is on another chain.";
    NODES_DISAGREE, Counter, "kerros_main_chain_disagreements_total", "answers", ["method"], "Questions to which main-chain nodes gave different answers: ALERT if it goes on.";
    QUEUE_WAITING, Gauge, "kerros_queue_waiting", "entries", [], "Entries of the contract's queue that are deep enough and in no batch.";
    DISK_FREE, Gauge, "kerros_disk_free_bytes", "bytes", [], "Free on the data directory's file system.";
    DISK_RESERVE, Gauge, "kerros_disk_reserve_bytes", "bytes", [], "Less free than this refuses new transactions.";
}

const SECONDS: [f64; 18] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
    60.0, 300.0, 900.0, 3_600.0,
];
const TRANSACTIONS: [f64; 11] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// The process's recorder; installed once, shared by all services in it. None if another
/// recorder was installed before.
pub fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let install = || -> Result<PrometheusHandle, BuildError> {
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let transactions = Matcher::Suffix("_transactions".to_owned());
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(seconds, &SECONDS)?
            .set_buckets_for_metric(transactions, &TRANSACTIONS)?
            .install_recorder()?;
        describe();
        Ok(handle)
    };
    HANDLE.get_or_init(|| install().ok()).as_ref()
}

/// Says what each metric means, and begins counters at 0: else the first of something, an alert's
/// cause perhaps, would be no increase.
fn describe() {
    for Metric { name, kind, help, labels, .. } in ALL.iter().copied() {
        match kind {
            Kind::Counter => {
                metrics::describe_counter!(name, help);
                if labels.is_empty() {
                    counter!(name).increment(0);
                }
            }
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
    }
    gauge!(HALTED).set(0.0);
    for result in ["accepted", "refused"] {
        counter!(PROOFS, "result" => result).increment(0);
    }
    for operation in ["settlement", "queue"] {
        counter!(CHAIN_FAILURES, "operation" => operation).increment(0);
    }
    for kind in ["first", "bump"] {
        counter!(POST_ATTEMPTS, "kind" => kind).increment(0);
    }
    for method in
        ["chain_id", "head", "block", "call", "nonce_at", "estimate_gas", "receipt", "logs"]
    {
        counter!(NODES_DISAGREE, "method" => method).increment(0);
    }
}

pub(crate) fn started(chain_id: u64, contract: String, shape: String, now_ms: u64) {
    let version = env!("CARGO_PKG_VERSION");
    let chain_id = chain_id.to_string();
    let labels = [("chain_id", chain_id), ("contract", contract), ("shape", shape)];
    let mut labels = labels.map(|(name, value)| metrics::Label::new(name, value)).to_vec();
    labels.push(metrics::Label::new("version", version));
    gauge!(BUILD, labels).set(1.0);
    gauge!(START).set(Duration::from_millis(now_ms).as_secs_f64());
}

pub(crate) fn group_written(
    transactions: usize,
    elapsed: Duration,
    synced: Duration,
    marked: Duration,
) {
    counter!(ACKNOWLEDGED).increment(transactions as u64);
    histogram!(GROUP_SIZE).record(transactions as f64);
    histogram!(GROUP_SECONDS).record(elapsed.as_secs_f64());
    histogram!(SYNC_SECONDS).record(synced.as_secs_f64());
    histogram!(WATERMARK_SECONDS).record(marked.as_secs_f64());
}

pub(crate) fn quarantined(batches: usize) {
    gauge!(QUARANTINED).set(batches as f64);
}

pub(crate) fn evicted(id: &TransactionId, error: &TransactionError) {
    counter!(EVICTED).increment(1);
    tracing::error!(%id, %error, "TRANSACTION EVICTED: executed to something that cannot be proved");
}

pub(crate) fn checked(transactions: usize, wrong: usize, elapsed: Duration) {
    counter!(WRONG_SIGNATURES).increment(wrong as u64);
    histogram!(CHUNK_SIZE).record(transactions as f64);
    histogram!(CHUNK_SECONDS).record(elapsed.as_secs_f64());
}

pub(crate) fn sealed(record: &BatchRecord, elapsed: Duration) {
    counter!(SEALED).increment(1);
    counter!(DATA_BYTES).increment(record.data_len);
    counter!(TRANSFERS).increment(record.counts.get(2).copied().unwrap_or(0).into());
    histogram!(SEAL_SECONDS).record(elapsed.as_secs_f64());
}

/// A batch has just got into its state.
pub(crate) fn edge(record: &BatchRecord) {
    let before = record.settlement.as_ref().map_or(0, |place| place.posted_ms);
    let verified = record.proof.as_ref().map(|proof| ("Verified", proof.verified_ms));
    let sealed = ("Sealed", record.sealed_ms);
    let (from, to) = match record.state() {
        BatchState::Sealed => (("Open", record.opened_ms), "Sealed"),
        BatchState::Verified => (sealed, "Verified"),
        BatchState::Posted => (verified.unwrap_or(sealed), "Posted"),
        BatchState::Final => (("Posted", before), "Final"),
        _ => return,
    };
    let took = Duration::from_millis(record.since_ms().saturating_sub(from.1));
    histogram!(EDGE_SECONDS, "from" => from.0, "to" => to).record(took.as_secs_f64());
}

pub(crate) fn refused(reason: &str) {
    counter!(REFUSED, "reason" => reason.to_owned()).increment(1);
}

/// What waits where.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Queue {
    Signatures,
    Writer,
    Pool,
    Parked,
    Sealer,
}

pub(crate) fn queue(queue: Queue, length: usize) {
    let name = match queue {
        Queue::Signatures => "signatures",
        Queue::Writer => "writer",
        Queue::Pool => "pool",
        Queue::Parked => "parked",
        Queue::Sealer => "sealer",
    };
    gauge!(QUEUE, "queue" => name).set(length as f64);
}

pub(crate) fn load(seats: usize, leases: usize, pause_ms: u64) {
    gauge!(SEATS).set(seats as f64);
    gauge!(LEASES).set(leases as f64);
    gauge!(PAUSE).set(Duration::from_millis(pause_ms).as_secs_f64());
}

pub(crate) fn batches(state: BatchState, count: usize, oldest: Duration) {
    let name = match state {
        BatchState::Open => "Open",
        BatchState::Sealed => "Sealed",
        BatchState::Proved => "Proved",
        BatchState::Verified => "Verified",
        BatchState::Posted => "Posted",
        _ => return,
    };
    gauge!(BATCHES, "state" => name).set(count as f64);
    gauge!(OLDEST, "state" => name).set(oldest.as_secs_f64());
}

pub(crate) fn settled(unsettled: usize, last_final: u64) {
    gauge!(UNSETTLED).set(unsettled as f64);
    gauge!(FINAL).set(last_final as f64);
}

pub(crate) fn main_chain(head: u64, age: Duration) {
    gauge!(CHAIN_HEAD).set(head as f64);
    gauge!(CHAIN_AGE).set(age.as_secs_f64());
}

pub(crate) fn main_chain_silence(silence: Duration) {
    gauge!(CHAIN_SILENCE).set(silence.as_secs_f64());
}

pub(crate) fn posting_waits(waits: bool) {
    gauge!(POSTING_WAITS).set(f64::from(u8::from(waits)));
}

pub(crate) fn node(name: &str, in_use: bool) {
    gauge!(NODE_STATE, "node" => name.to_owned()).set(f64::from(u8::from(in_use)));
}

pub(crate) fn unhealthy(codes: &[&str]) {
    for code in Reason::CODES {
        gauge!(UNHEALTHY, "reason" => code).set(f64::from(u8::from(codes.contains(&code))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn the_page_for_operators_lists_exactly_these_metrics() {
        let mut table = String::new();
        for Metric { name, kind, unit, labels, help } in ALL {
            let kind = format!("{kind:?}").to_lowercase();
            let labels = labels.split_whitespace().collect::<Vec<_>>().join(", ");
            writeln!(table, "| `{name}` | {kind} | {unit} | {labels} | {help} |")
                .expect("a string");
        }
        let page = include_str!("../../deploy/METRICS.md");
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with("| `kerros_")).collect();
        assert_eq!(lines, table.lines().collect::<Vec<_>>(), "should be\n{table}");
    }

    #[test]
    fn names_end_with_their_units() {
        for Metric { name, kind, unit, .. } in ALL {
            if let "seconds" | "bytes" | "ether" = *unit {
                let end = format!("_{unit}");
                assert!(name.trim_end_matches("_total").ends_with(&end), "{name} is in {unit}");
            }
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        }
    }
}
