//! The result, for people and for programs.

use super::{OpeningsRow, Report, Row, proof};
use crate::bench::table::written;
use kerros_prover::phases::{Groth16Phases, Phases, Spent};
use serde_json::{Map, Value, json};
use std::fmt::Write;

const MIB: f64 = 1_048_576.0;

fn cpu(spent: &Spent) -> f64 {
    spent.cpu.as_secs_f64()
}

fn wall(spent: &Spent) -> f64 {
    spent.wall.as_secs_f64()
}

/// arkworks' processor time as a multiple of ours.
fn ratio(ours: &Spent, stock: &Spent) -> f64 {
    cpu(stock) / cpu(ours).max(f64::MIN_POSITIVE)
}

/// All phases in order, with the multiplications one by one.
fn all(phases: &Phases) -> Vec<(&'static str, Spent)> {
    let mut all = phases.named().to_vec();
    let each = phases.groth16.each.into_iter().flatten();
    all.extend(Groth16Phases::EACH.into_iter().zip(each));
    all
}

fn groth16(phases: &Phases) -> Spent {
    let mut sum = phases.groth16.fft;
    sum += phases.groth16.msm;
    sum
}

fn phases(phases: &Phases) -> Value {
    let entry = |(name, spent): (&str, Spent)| {
        (name.to_owned(), json!({ "cpu_s": cpu(&spent), "wall_s": wall(&spent) }))
    };
    Value::Object(all(phases).into_iter().map(entry).collect())
}

impl Row {
    /// Transfers proved in a second of processor time, witness included.
    fn per_cpu_second(&self) -> f64 {
        f64::from(self.transfers) / cpu(&self.ours.total()).max(f64::MIN_POSITIVE)
    }
}

fn row(report: &Report, row: &Row) -> Value {
    let (ours, stock) = (proof(&row.ours), row.stock.as_ref());
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("path", json!(report.path.to_string()));
    put("transfers", json!(row.transfers));
    put("constraints", json!(row.constraints));
    put("cpu_s", json!(cpu(&ours)));
    put("wall_s", json!(wall(&ours)));
    put("groth16_cpu_s", json!(cpu(&groth16(&row.ours))));
    put("stock_cpu_s", json!(stock.map(|stock| cpu(&proof(stock)))));
    put("stock_wall_s", json!(stock.map(|stock| wall(&proof(stock)))));
    put("stock_groth16_cpu_s", json!(stock.map(|stock| cpu(&groth16(stock)))));
    put("ratio_cpu", json!(stock.map(|stock| ratio(&ours, &proof(stock)))));
    let groth16 = stock.map(|stock| ratio(&groth16(&row.ours), &groth16(stock)));
    put("ratio_groth16_cpu", json!(groth16));
    put("peak_bytes", json!(row.peak_bytes));
    put("transfers_per_cpu_second", json!(row.per_cpu_second()));
    put("phases", phases(&row.ours));
    put("stock_phases", json!(stock.map(phases)));
    Value::Object(out)
}

fn openings_row(row: &OpeningsRow) -> Value {
    let named = |spent: &[Spent; 2]| {
        let [q, w] = spent.each_ref().map(|s| json!({ "cpu_s": cpu(s), "wall_s": wall(s) }));
        json!({ "kzg_quotient": q, "kzg_opening": w })
    };
    json!({ "k": row.k, "phases": named(&row.ours), "stock_phases": row.stock.as_ref().map(named) })
}

/// As JSON: one entry a batch, one entry a ledger size. With one batch its entry's fields stand at the
/// top as well.
pub fn json(report: &Report) -> Value {
    let batches: Vec<Value> = report.rows.iter().map(|r| row(report, r)).collect();
    let mut out = match &batches[..] {
        [Value::Object(only)] => only.clone(),
        _ => Map::new(),
    };
    out.insert("path".to_owned(), json!(report.path.to_string()));
    out.insert("cores".to_owned(), json!(report.cores));
    out.insert("k".to_owned(), json!(report.k));
    out.insert("batches".to_owned(), Value::Array(batches));
    let openings: Vec<Value> = report.openings.iter().map(openings_row).collect();
    out.insert("openings".to_owned(), Value::Array(openings));
    Value::Object(out)
}

/// As tables in Markdown.
pub fn text(report: &Report) -> String {
    written(|out| write_text(report, out))
}

fn write_text(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "Path {}, {} processors, ledger of 2^{} places; CPU time is of all processors, the proof is all but \
         the witness",
        report.path, report.cores, report.k
    )?;
    writeln!(
        out,
        "| transfers | constraints | witness CPU s | proof CPU s | wall s | stock CPU s | wall s | \
         CPU ratio | Groth16 alone | peak MiB | transfers per CPU s |"
    )?;
    writeln!(out, "|{}", "---|".repeat(11))?;
    for row in &report.rows {
        let ours = proof(&row.ours);
        let stock = row.stock.as_ref().map(|stock| {
            let theirs = proof(stock);
            format!(
                "{:.2} | {:.2} | {:.2} | {:.2}",
                cpu(&theirs),
                wall(&theirs),
                ratio(&ours, &theirs),
                ratio(&groth16(&row.ours), &groth16(stock))
            )
        });
        writeln!(
            out,
            "| {} | {} | {:.2} | {:.2} | {:.2} | {} | {:.0} | {:.1} |",
            row.transfers,
            row.constraints,
            cpu(&row.ours.witness),
            cpu(&ours),
            wall(&ours),
            stock.as_deref().unwrap_or("- | - | - | -"),
            row.peak_bytes as f64 / MIB,
            row.per_cpu_second(),
        )?;
    }
    for row in &report.rows {
        write_phases(row, out)?;
    }
    if !report.openings.is_empty() {
        write_openings(&report.openings, out)?;
    }
    Ok(())
}

fn write_phases(row: &Row, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nPhases of {} transfers:", row.transfers)?;
    writeln!(out, "| phase | CPU s | wall s | stock CPU s | stock wall s | CPU ratio |")?;
    writeln!(out, "|{}", "---|".repeat(6))?;
    let stock = row.stock.as_ref().map(all).unwrap_or_default();
    for (name, spent) in all(&row.ours) {
        write!(out, "| {name} | {:.3} | {:.3} | ", cpu(&spent), wall(&spent))?;
        match stock.iter().find(|(theirs, _)| *theirs == name) {
            Some((_, theirs)) => writeln!(
                out,
                "{:.3} | {:.3} | {:.2} |",
                cpu(theirs),
                wall(theirs),
                ratio(&spent, theirs)
            )?,
            None => writeln!(out, "- | - | - |")?,
        }
    }
    Ok(())
}

fn write_openings(rows: &[OpeningsRow], out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nOpenings by the size of the ledger, every place taken:")?;
    writeln!(out, "| places | Q CPU s | W CPU s | wall s | stock CPU s | CPU ratio |")?;
    writeln!(out, "|{}", "---|".repeat(6))?;
    for OpeningsRow { k, ours, stock } in rows {
        let sum = |[mut q, w]: [Spent; 2]| {
            q += w;
            q
        };
        let both = sum(*ours);
        let stock = stock.map(|stock| {
            let theirs = sum(stock);
            format!("{:.3} | {:.2}", cpu(&theirs), ratio(&both, &theirs))
        });
        writeln!(
            out,
            "| 2^{k} | {:.3} | {:.3} | {:.3} | {} |",
            cpu(&ours[0]),
            cpu(&ours[1]),
            wall(&both),
            stock.as_deref().unwrap_or("- | -"),
        )?;
    }
    Ok(())
}
