//! The result, for people and for programs.

use super::blob::{BLOB_BYTES, BLOB_GAS, Blob, RESERVE_GAS};
use super::parts::Measured;
use super::{EVALUATION_GAS_MAX, Row, TRANSFER_BYTES_MAX, VERIFICATION_GAS_MAX};
use crate::bench::table::written;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// In words, for whoever reads the figures alone.
const FORMULA: &str = "gas_total * gas_price as calldata, \
    blob.gas_total * gas_price + blob.blob_gas * blob_gas_price with the transfers in blobs; \
    blob.gas_total = gas_total - saved + added; blobs cost less while \
    blob_gas_price / gas_price < break_even = (saved - added) / blob_gas";

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn parts(measured: &Measured) -> Map<String, Value> {
    measured.parts.all().into_iter().map(|(name, gas)| (name.to_owned(), gas.into())).collect()
}

fn blob(blob: &Blob) -> Value {
    json!({
        "bytes": blob.bytes,
        "bytes_per_blob": BLOB_BYTES,
        "blobs": blob.blobs,
        "blob_gas": blob.blob_gas,
        "saved": blob.saved,
        "added": blob.added,
        "gas_total": blob.gas_total,
        "break_even": blob.break_even.map(round),
        "saving_at_reserve_price": round(blob.saving_at_reserve()),
        "formula": FORMULA,
    })
}

fn row(row: &Row) -> Value {
    let measured = &row.measured;
    let total = measured.parts.total();
    json!({
        "transfers": row.transfers,
        "gas_total": total,
        "gas_verification": row.verification(),
        "gas_data": measured.parts.data(),
        "gas_per_transfer": round(row.per_transfer()),
        "parts": parts(measured),
        "data_bytes": measured.data_bytes,
        "bytes_per_transfer": round(measured.transfer_bytes()),
        "calldata_gas_per_transfer":
            round(measured.transfers_calldata as f64 / f64::from(row.transfers)),
        "evaluation_gas_per_transfer": round(measured.evaluation_per_transfer),
        "floor": { "gas": measured.floor, "binds": measured.floor_binds() },
        "blob": blob(&row.blob),
        "opening": {
            "deposits": super::ACCOUNTS,
            "gas_total": row.opening.parts.total(),
            "parts": parts(&row.opening),
            "floor": { "gas": row.opening.floor, "binds": row.opening.floor_binds() },
        },
        "holds": row.holds(),
    })
}

/// As JSON: a list with one object a size.
pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(row).collect()
}

/// As tables in Markdown.
pub fn text(rows: &[Row]) -> String {
    written(|out| write_text(rows, out))
}

/// A number with its thousands set apart.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn write_text(rows: &[Row], out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "Gas of a batch by part; it does not depend on who made the proof (it is forged here)"
    )?;
    write!(out, "| transfers | all | verification | data | per transfer ")?;
    let names = rows.first().map(|row| row.measured.parts.all().map(|(name, _)| name));
    for name in names.unwrap_or_default() {
        write!(out, "| {name} ")?;
    }
    writeln!(out, "|\n|{}", "---|".repeat(15))?;
    for row in rows {
        let parts = &row.measured.parts;
        let own = [parts.total(), row.verification(), parts.data()];
        let per_transfer = row.per_transfer().round() as u64;
        write!(out, "| {} ", thousands(row.transfers.into()))?;
        let all = own.into_iter().chain([per_transfer]).chain(parts.all().map(|(_, gas)| gas));
        for gas in all {
            write!(out, "| {} ", thousands(gas))?;
        }
        writeln!(out, "|")?;
    }
    if let Some(Row { opening, .. }) = rows.first() {
        write!(
            out,
            "| {} opens and deposits | {} | | | ",
            super::ACCOUNTS,
            thousands(opening.parts.total())
        )?;
        for (_, gas) in opening.parts.all() {
            write!(out, "| {} ", thousands(gas))?;
        }
        writeln!(out, "|")?;
    }
    writeln!(out, "\nOf a transfer, and the floor of EIP-7623")?;
    writeln!(out, "| transfers | bytes | calldata | evaluation | floor | binds |")?;
    writeln!(out, "|{}", "---|".repeat(6))?;
    for Row { transfers, measured, .. } in rows {
        writeln!(
            out,
            "| {} | {:.0} | {:.1} | {:.1} | {} | {} |",
            thousands((*transfers).into()),
            measured.transfer_bytes(),
            measured.transfers_calldata as f64 / f64::from(*transfers),
            measured.evaluation_per_transfer,
            thousands(measured.floor),
            if measured.floor_binds() { "yes" } else { "no" },
        )?;
    }
    writeln!(out, "\nWith the transfers in blobs (EIP-4844), by its prices; not built")?;
    writeln!(
        out,
        "| transfers | bytes | blobs | blob gas | gas saved | gas added | gas | break-even | at the reserve price |"
    )?;
    writeln!(out, "|{}", "---|".repeat(9))?;
    for Row { transfers, blob, .. } in rows {
        let numbers = [
            u64::from(*transfers),
            blob.bytes,
            blob.blobs,
            blob.blob_gas,
            blob.saved,
            blob.added,
            blob.gas_total,
        ];
        for number in numbers {
            write!(out, "| {} ", thousands(number))?;
        }
        let break_even = blob.break_even.map_or("never".to_owned(), |ratio| format!("{ratio:.2}"));
        writeln!(out, "| {break_even} | {:+.1} % |", -100.0 * blob.saving_at_reserve())?;
    }
    writeln!(
        out,
        "A blob holds {} bytes of records and takes {} blob gas; blobs cost less while blob gas costs less than \
         break-even times gas. Its reserve price (EIP-7918) is {} gas a blob.",
        thousands(BLOB_BYTES),
        thousands(BLOB_GAS),
        thousands(RESERVE_GAS)
    )?;
    let verdict = if rows.iter().all(Row::holds) { "hold" } else { "are MISSED" };
    writeln!(
        out,
        "\nTargets {verdict}: verification at most {} gas, a transfer at most {TRANSFER_BYTES_MAX} bytes and \
         {EVALUATION_GAS_MAX} gas of evaluation",
        thousands(VERIFICATION_GAS_MAX)
    )
}
