//! The demo's result for people and as JSON.

use super::Report;
use super::books::Books;
use crate::command::batch::{proving_micros, to_json};
use kerros_protocol::proto::Batch;
use serde_json::{Value, json};
use std::fmt::Write;

/// The whole report as JSON.
pub fn json(report: &Report) -> Value {
    let batches = report.batches.iter().map(|batch| {
        let mut value = to_json(batch);
        value["gas_per_transfer"] = json!(gas_per_transfer(batch));
        value
    });
    let checks =
        report.checks.iter().map(|(check, holds)| json!({ "check": check, "holds": holds }));
    json!({
        "holds": report.holds(),
        "checks": checks.collect::<Vec<_>>(),
        "accounts": report.accounts,
        "transfers": report.transfers,
        "root": report.root,
        "seconds": report.seconds,
        "batches": batches.collect::<Vec<_>>(),
        "books": report.books.iter().map(|books| json!(books)).collect::<Vec<_>>(),
    })
}

/// Gas of a batch divided by its transfers; none if it has none.
fn gas_per_transfer(batch: &Batch) -> Option<u64> {
    let transfers = u64::from(batch.counts.unwrap_or_default().transfers);
    let gas = batch.settlement.as_ref()?.gas_used;
    gas.checked_div(transfers)
}

fn seconds(micros: u64) -> f64 {
    // A proof takes far less than 2^53 µs.
    #[allow(clippy::cast_precision_loss)]
    let micros = micros as f64;
    micros / 1e6
}

/// The whole report as text. Writing to a string cannot fail.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = batches(&mut out, &report.batches);
    let _ = books(&mut out, &report.books);
    let failed: Vec<_> = report.checks.iter().filter(|(_, holds)| !holds).collect();
    let _ = writeln!(out, "\nChecks");
    for (check, holds) in &report.checks {
        let _ = writeln!(out, "  {} {check}", if *holds { "ok    " } else { "FAILED" });
    }
    let (accounts, transfers) = (report.accounts, report.transfers);
    let verdict = match failed.len() {
        0 => format!("All {} checks hold", report.checks.len()),
        n => format!("{n} of {} checks FAILED", report.checks.len()),
    };
    let _ = write!(
        out,
        "\n{verdict}: {transfers} transfers between {accounts} accounts in {} batches, {:.1} s",
        report.batches.len(),
        report.seconds
    );
    out
}

fn batches(out: &mut String, batches: &[Batch]) -> std::fmt::Result {
    // Provers name their phases; the table takes the first batch's.
    let named = batches.iter().find_map(|batch| batch.proof.as_ref());
    let names: Vec<String> =
        named.map_or(Vec::new(), |proof| proof.phases.iter().map(|p| p.name.clone()).collect());
    writeln!(out, "\nBatches (O,D,T,E,F are opens, deposits, transfers, exits, collects)")?;
    writeln!(
        out,
        "  {:>5} {:<12} {:>4} {:>11} {:>9} {:>9} {:>9}  root",
        "batch", "O,D,T,E,F", "txs", "constraints", "proving s", "gas", "gas/tfer"
    )?;
    for batch in batches {
        let counts = batch.counts.unwrap_or_default();
        let sections = format!(
            "{},{},{},{},{}",
            counts.opens, counts.deposits, counts.transfers, counts.exits, counts.collects
        );
        let (constraints, proving) =
            batch.proof.as_ref().map_or((0, 0), |proof| (proof.constraints, proving_micros(proof)));
        let gas = batch.settlement.as_ref().map_or(0, |settlement| settlement.gas_used);
        let each = gas_per_transfer(batch).map_or("-".to_owned(), |gas| gas.to_string());
        writeln!(
            out,
            "  {:>5} {sections:<12} {:>4} {constraints:>11} {:>9.2} {gas:>9} {each:>9}  0x{}",
            batch.number,
            counts.transfers + counts.exits,
            seconds(proving),
            hex::encode(&batch.new_root),
        )?;
    }
    writeln!(out, "\nProving by phase, seconds")?;
    write!(out, "  {:>5}", "batch")?;
    for name in &names {
        write!(out, " {name:>13}")?;
    }
    writeln!(out, " {:>13}", "verification")?;
    for batch in batches {
        write!(out, "  {:>5}", batch.number)?;
        let Some(proof) = &batch.proof else {
            writeln!(out, " not proved")?;
            continue;
        };
        for name in &names {
            let phase = proof.phases.iter().find(|phase| phase.name == *name);
            write!(out, " {:>13.3}", seconds(phase.map_or(0, |phase| phase.micros)))?;
        }
        writeln!(out, " {:>13.3}", seconds(proof.verify_micros))?;
    }
    Ok(())
}

fn books(out: &mut String, books: &[Books]) -> std::fmt::Result {
    writeln!(out, "\nBooks, in units (deposits = balances + withdrawals + fees)")?;
    writeln!(
        out,
        "  {:<6} {:>10} {:>10} {:>11} {:>7} {:>12} {:>26}",
        "asset", "deposits", "balances", "withdrawals", "fees", "supply", "tokens in the contract"
    )?;
    for books in books {
        writeln!(
            out,
            "  {:<6} {:>10} {:>10} {:>11} {:>7} {:>12} {:>26}",
            books.symbol,
            books.deposits,
            books.balances,
            books.withdrawals,
            books.fees,
            books.contract_supply,
            books.contract_tokens,
        )?;
    }
    Ok(())
}
