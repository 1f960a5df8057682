//! The result, for people and for programs.

use super::{Phase, Report};
use serde_json::{Map, Value, json};
use std::fmt::Write;

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn phases(report: &Report) -> [(&'static str, &Phase); 5] {
    [
        ("maximum", &report.max),
        ("paced", &report.paced),
        ("unary", &report.unary),
        ("calm", &report.calm),
        ("flooded", &report.flooded),
    ]
}

/// Of the flooded phase against the calm one: acknowledged a second, and the 99th percentile.
fn under_flood(report: &Report) -> (f64, f64) {
    let (calm, flooded) = (&report.calm, &report.flooded);
    let goodput = flooded.per_second() / calm.per_second().max(f64::MIN_POSITIVE);
    let [before, beside] = [calm, flooded].map(|phase| phase.latencies.ms(990));
    (goodput, beside / before.max(f64::MIN_POSITIVE))
}

fn ratio(report: &Report) -> f64 {
    report.max.per_second() / report.raw_per_second.max(f64::MIN_POSITIVE)
}

fn raw_processors(report: &Report) -> f64 {
    report.raw_cpu_us * report.raw_per_second / 1e6
}

fn mean_ms(seconds: f64, count: u64) -> f64 {
    seconds * 1_000.0 / count.max(1) as f64
}

fn cpu(phase: &Phase) -> Value {
    let each = |(name, us): (&&str, &u64)| ((*name).to_owned(), json!(round(phase.us_each(*us))));
    Value::Object(phase.cost.cpu_us.iter().map(each).collect::<Map<_, _>>())
}

fn phase_json(phase: &Phase) -> Value {
    let ms = |permille| round(phase.latencies.ms(permille));
    json!({
        "sent": phase.sent,
        "acknowledged": phase.acknowledged,
        "acknowledged_per_second": round(phase.per_second()),
        "seconds": round(phase.seconds),
        "overloaded": phase.overloaded,
        "processors_used": round(phase.processors()),
        "latency_ms_p50": ms(500),
        "latency_ms_p99": ms(990),
        "latency_ms_p999": ms(999),
        "latency_ms_max": ms(1_000),
        "synced_writes": phase.cost.synced_writes,
        "sealed_batches": phase.cost.sealed,
        "seal_ms_mean": round(mean_ms(phase.cost.seal_seconds, phase.cost.sealed)),
        "cpu_us_per_transfer": cpu(phase),
    })
}

/// As JSON: figures of the maximum on top, its latencies under `max`, those on top of the paced phase.
pub fn json(report: &Report) -> Value {
    let paced = |permille| round(report.paced.latencies.ms(permille));
    let sum = |of: fn(&Phase) -> usize| phases(report).iter().map(|(_, p)| of(p)).sum::<usize>();
    json!({
        "accounts": report.accounts,
        "transfers": report.max.sent,
        "cores": report.cores,
        "sent": sum(|phase| phase.sent),
        "acknowledged": sum(|phase| phase.acknowledged),
        "acknowledged_per_second": round(report.max.per_second()),
        "raw_verifications_per_second": round(report.raw_per_second),
        "raw_cpu_us_per_verification": round(report.raw_cpu_us),
        "raw_processors_used": round(raw_processors(report)),
        "ratio": round(ratio(report)),
        "latency_ms_p50": paced(500),
        "latency_ms_p99": paced(990),
        "latency_ms_p999": paced(999),
        "synced_writes": report.max.cost.synced_writes,
        "sealed_batches": report.max.cost.sealed,
        "cpu_us_per_transfer": cpu(&report.max),
        "peak_bytes": report.peak_bytes,
        "accounts_compared": report.compared,
        "max": phase_json(&report.max),
        "paced": phase_json(&report.paced),
        "unary": phase_json(&report.unary),
        "calm": phase_json(&report.calm),
        "flooded": phase_json(&report.flooded),
        "flood": {
            "sent_per_second": round(report.flood_per_second[0]),
            "answered_per_second": round(report.flood_per_second[1]),
            "goodput_ratio": round(under_flood(report).0),
            "latency_p99_ratio": round(under_flood(report).1),
        },
    })
}

/// The text that `write` writes, without a line break at its end.
pub(super) fn written(write: impl FnOnce(&mut String) -> std::fmt::Result) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out);
    out.truncate(out.trim_end().len());
    out
}

/// As tables.
pub fn text(report: &Report) -> String {
    written(|out| write_text(report, out))
}

fn write_text(report: &Report, out: &mut String) -> std::fmt::Result {
    let mib = report.peak_bytes as f64 / f64::from(1 << 20);
    writeln!(out, "{} accounts, {} processors", report.accounts, report.cores)?;
    writeln!(out, "raw verifications per second, all processors  {:.0}", report.raw_per_second)?;
    let (raw, max) = (raw_processors(report), report.max.processors());
    writeln!(out, "acknowledged per second, maximum              {:.0}", report.max.per_second())?;
    writeln!(out, "ratio                                         {:.2}", ratio(report))?;
    writeln!(out, "processors had, raw and maximum               {raw:.2} and {max:.2}")?;
    writeln!(out, "greatest memory of the sequencer              {mib:.0} MiB")?;
    writeln!(out, "accounts that are as acknowledged             {}\n", report.compared)?;
    writeln!(out, "Phases; latency in ms, of the paced phase from the scheduled time")?;
    writeln!(
        out,
        "  {:<8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}{:>7}{:>9}{:>7}",
        "phase",
        "acked",
        "per s",
        "p50",
        "p99",
        "p99.9",
        "max",
        "writes",
        "seals",
        "seal ms",
        "over"
    )?;
    for (name, phase) in phases(report) {
        let [p50, p99, p999, max] = [500, 990, 999, 1_000].map(|p| phase.latencies.ms(p));
        let (count, rate, cost) = (phase.acknowledged, phase.per_second(), &phase.cost);
        let (writes, seals, over) = (cost.synced_writes, cost.sealed, phase.overloaded);
        let seal_ms = mean_ms(cost.seal_seconds, cost.sealed);
        writeln!(
            out,
            "  {name:<8}{count:>9}{rate:>9.0}{p50:>9.1}{p99:>9.1}{p999:>9.1}{max:>9.1}{writes:>8}{seals:>7}{seal_ms:>9.1}{over:>7}"
        )?;
    }
    let (goodput, p99) = under_flood(report);
    writeln!(
        out,
        "Beside a flood of {:.0} a second, {:.0} of them answered: goodput {goodput:.2}, p99 {p99:.2} of calm",
        report.flood_per_second[0], report.flood_per_second[1]
    )?;
    writeln!(out, "\nProcessor time, microseconds a transfer")?;
    for (name, phase) in phases(report) {
        write!(out, "  {name:<8}")?;
        for (group, us) in &phase.cost.cpu_us {
            write!(out, "  {group} {:.0}", phase.us_each(*us))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
