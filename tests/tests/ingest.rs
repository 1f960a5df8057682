//! `kerros bench ingest` as a user runs it, at its smallest: the report's fields, and nothing lost.

use kerros_tests::command::built;
use serde_json::Value;
use std::process::Command;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_benchmark_of_ingestion_acknowledges_all_it_sent_and_says_what_it_cost() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/kerros-keys");
    let output = Command::new(built("kerros"))
        .args(["bench", "ingest", "--smoke", "--json", "--keys", keys])
        // A setting meant for another sequencer, which the benchmark must not hand on.
        .env("KERROS_FEE_MIN", "1000000")
        .output()
        .expect("started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    assert_eq!((&report["accounts"], &report["transfers"]), (&256.into(), &2_000.into()));
    assert_eq!(report["accounts_compared"], 100);
    assert_eq!((&report["sent"], &report["acknowledged"]), (&3_600.into(), &3_600.into()));
    for name in [
        "acknowledged_per_second",
        "raw_verifications_per_second",
        "ratio",
        "latency_ms_p50",
        "latency_ms_p99",
        "latency_ms_p999",
        "synced_writes",
        "cores",
        "peak_bytes",
    ] {
        assert!(number(&report[name]) > 0.0, "{name}: {report:#}");
    }
    // So short a run may end before the first seal does.
    assert!(number(&report["sealed_batches"]) >= 0.0, "{report:#}");
    for (phase, count) in
        [("max", 2_000), ("paced", 1_000), ("unary", 200), ("calm", 200), ("flooded", 200)]
    {
        let phase = &report[phase];
        assert_eq!((&phase["sent"], &phase["acknowledged"]), (&count.into(), &count.into()));
        let [p50, p99, p999] =
            ["latency_ms_p50", "latency_ms_p99", "latency_ms_p999"].map(|p| number(&phase[p]));
        assert!(0.0 < p50 && p50 <= p99 && p99 <= p999, "{report:#}");
        assert!(number(&phase["synced_writes"]) > 0.0, "{report:#}");
    }
    for name in ["sent_per_second", "answered_per_second", "goodput_ratio", "latency_p99_ratio"] {
        assert!(number(&report["flood"][name]) > 0.0, "{name}: {report:#}");
    }
    // Ticks of processor time are 10 ms, and a kernel may count whole ones by chance: of this short
    // run only the sum can be relied on.
    let cpu = &report["cpu_us_per_transfer"];
    assert!(number(&cpu["server"]) > 0.0, "{report:#}");
    for name in ["checker", "client", "writer", "seal", "runtime", "rocksdb", "other"] {
        assert!(number(&cpu[name]) >= 0.0, "{name}: {report:#}");
    }
}

#[test]
fn a_benchmark_that_needs_a_prover_is_refused_before_anything_is_started() {
    let output = Command::new(built("kerros"))
        .args(["bench", "ingest", "--batch-transfers", "1", "--transfers", "10000"])
        .output()
        .expect("started");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--batch-transfers"), "{said}");
}
