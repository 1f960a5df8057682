//! `kerros bench audit` as a user runs it, at its smallest. That auditor and restore end at the root of the posts the
//! command itself checks: its exit code would not be 0.

use kerros_tests::command::built;
use serde_json::Value;
use std::process::Command;

#[test]
fn the_benchmark_of_replay_audits_and_restores_what_was_posted() {
    let output = Command::new(built("kerros"))
        .args(["bench", "audit", "--transfers", "100", "--batch-transfers", "48", "--json"])
        .output()
        .expect("started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["transfers"], &report["batch_transfers"]), (&100.into(), &48.into()));
    // One opens the accounts; 48, 48 and 4 transfers.
    assert_eq!(report["batches"], 4);
    assert!(report["calldata_bytes"].as_u64() > Some(100 * 18), "{report:#}");
    for command in ["audit", "restore"] {
        for figure in ["seconds", "cpu_seconds", "transfers_per_second", "peak_bytes"] {
            let value = &report[command][figure];
            assert!(value.as_f64() > Some(0.0), "{command}, {figure}: {report:#}");
        }
    }
}
