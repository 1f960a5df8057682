//! The result, for people and for programs.

use super::{ACCOUNTS, Report, Run};
use crate::bench::table::written;
use serde_json::{Value, json};
use std::fmt::Write;

const MIB: f64 = 1_048_576.0;

fn per(count: u32, seconds: f64) -> f64 {
    (f64::from(count) / seconds.max(f64::MIN_POSITIVE)).round()
}

fn run(run: &Run, transfers: u32) -> Value {
    json!({
        "seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds,
        "transfers_per_second": per(transfers, run.seconds),
        "transfers_per_cpu_second": per(transfers, run.cpu_seconds),
        "peak_bytes": run.peak_bytes,
    })
}

/// As JSON.
pub fn json(report: &Report) -> Value {
    let Report { transfers, batch_transfers, batches, calldata_bytes, cores, audit, restore } =
        report;
    json!({
        "transfers": transfers,
        "batch_transfers": batch_transfers,
        "batches": batches,
        "accounts": ACCOUNTS,
        "calldata_bytes": calldata_bytes,
        "cores": cores,
        "audit": run(audit, *transfers),
        "restore": run(restore, *transfers),
    })
}

/// As a table in Markdown.
pub fn text(report: &Report) -> String {
    written(|out| write_text(report, out))
}

fn write_text(report: &Report, out: &mut String) -> std::fmt::Result {
    let Report { transfers, batch_transfers, batches, calldata_bytes, cores, audit, restore } =
        report;
    writeln!(
        out,
        "Replay of {transfers} transfers between {ACCOUNTS} accounts, in {batches} batches of at most \
         {batch_transfers} ({calldata_bytes} bytes of calldata), read over JSON-RPC; {cores} processors"
    )?;
    writeln!(out, "| command | s | CPU s | transfers per s | transfers per CPU s | peak MiB |")?;
    writeln!(out, "|{}", "---|".repeat(6))?;
    for (name, run) in [("kerros-verifier audit", audit), ("kerros-sequencer restore", restore)] {
        writeln!(
            out,
            "| `{name}` | {:.2} | {:.2} | {} | {} | {:.0} |",
            run.seconds,
            run.cpu_seconds,
            per(*transfers, run.seconds),
            per(*transfers, run.cpu_seconds),
            run.peak_bytes as f64 / MIB,
        )?;
    }
    Ok(())
}
