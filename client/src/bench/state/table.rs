//! The result, for people and for programs.

use super::Row;
use crate::bench::table::written;
use serde_json::{Value, json};
use std::fmt::Write;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl Row {
    /// Mean time of a measured seal, in ms.
    pub(super) fn seal_ms(&self) -> f64 {
        self.seals.seal_seconds * 1_000.0 / self.seals.sealed.max(1) as f64
    }
    /// Mean processor time of a measured seal, in ms: of the threads that only seal.
    pub(super) fn seal_cpu_ms(&self) -> f64 {
        let us = self.seals.cpu_us.get("seal").copied().unwrap_or(0);
        us as f64 / 1_000.0 / self.seals.sealed.max(1) as f64
    }
    /// Resident memory after the start, in MiB.
    pub(super) fn resident_mib(&self) -> f64 {
        self.start.resident_bytes as f64 / MIB
    }
    /// The database, in MiB.
    pub(super) fn database_mib(&self) -> f64 {
        self.database_bytes as f64 / MIB
    }
    /// The reference string, in MiB.
    pub(super) fn srs_mib(&self) -> f64 {
        self.srs_bytes as f64 / MIB
    }
}

fn row(row: &Row) -> Value {
    json!({
        "accounts": row.accounts,
        "k": row.k,
        "reference_string_bytes": row.srs_bytes,
        "reference_string_seconds": row.srs_made.map(|made| round(made.seconds)),
        "reference_string_cpu_seconds": row.srs_made.map(|made| round(made.cpu_seconds)),
        "database_bytes": row.database_bytes,
        "start_seconds": round(row.start.elapsed.as_secs_f64()),
        "start_cpu_seconds": round(row.start.cpu.as_secs_f64()),
        "start_resident_bytes": row.start.resident_bytes,
        "start_peak_bytes": row.start.peak_bytes,
        "touched": row.touched,
        "seals": row.seals.sealed,
        "seal_ms_mean": round(row.seal_ms()),
        "seal_cpu_ms_mean": round(row.seal_cpu_ms()),
        "acknowledged": row.acknowledged,
        "acknowledged_per_second": round(row.per_second),
        "accounts_compared": row.compared,
        "root": row.root.to_string(),
    })
}

/// As JSON: one entry a size.
pub fn json(rows: &[Row]) -> Value {
    json!({ "sizes": rows.iter().map(row).collect::<Vec<_>>() })
}

/// As a table in Markdown.
pub fn text(rows: &[Row]) -> String {
    written(|out| write_text(rows, out))
}

fn write_text(rows: &[Row], out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "| accounts | ledger | start s | start CPU s | memory after it MiB | peak MiB | seal ms | seal CPU ms | \
         touched | acknowledged per s | database MiB | reference string MiB | made in CPU s |"
    )?;
    writeln!(out, "|{}", "---|".repeat(13))?;
    for row in rows {
        let made = row.srs_made.map_or("-".to_owned(), |made| format!("{:.1}", made.cpu_seconds));
        writeln!(
            out,
            "| {} | 2^{} | {:.2} | {:.2} | {:.0} | {:.0} | {:.1} | {:.1} | {} | {:.0} | {:.1} | {:.1} | {made} |",
            row.accounts,
            row.k,
            row.start.elapsed.as_secs_f64(),
            row.start.cpu.as_secs_f64(),
            row.resident_mib(),
            row.start.peak_bytes as f64 / MIB,
            row.seal_ms(),
            row.seal_cpu_ms(),
            row.touched,
            row.per_second,
            row.database_mib(),
            row.srs_mib(),
        )?;
    }
    Ok(())
}
