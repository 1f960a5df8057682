//! The result as a picture: what a transfer costs by the size of its batch, and what the openings cost
//! by the size of the ledger.

use super::{OpeningsRow, Report, Row, proof};
use crate::bench::plot::{Line, Panel, PlotError, plot};
use kerros_prover::phases::Spent;
use plotters::style::{BLACK, BLUE, RED, RGBColor};

/// Draws everything measured; gives the SVG's text.
pub fn figure(report: &Report) -> Result<String, PlotError> {
    let Report { rows, openings, .. } = report;
    let transfers = |name, color: RGBColor, value: fn(&Row) -> Option<f64>| Line {
        name,
        color,
        points: rows
            .iter()
            .filter_map(|row| Some((f64::from(row.transfers), value(row)?)))
            .collect(),
    };
    let ledger = |name, color: RGBColor, value: fn(&OpeningsRow) -> Option<f64>| Line {
        name,
        color,
        points: openings
            .iter()
            .filter_map(|row| Some((f64::from(1u32 << row.k), value(row)?)))
            .collect(),
    };
    let mut panels = vec![Panel {
        title: "Proof, for one transfer",
        unit: "CPU milliseconds",
        x: "transfers of the batch",
        lines: vec![
            transfers("Kerros", BLUE, |row| Some(per(&proof(&row.ours), row))),
            transfers("arkworks", RED, |row| Some(per(&proof(row.stock.as_ref()?), row))),
            transfers("witness", BLACK, |row| Some(per(&row.ours.witness, row))),
        ],
    }];
    if !openings.is_empty() {
        panels.push(Panel {
            title: "Openings Q and W",
            unit: "CPU milliseconds",
            x: "places of the ledger",
            lines: vec![
                ledger("Kerros", BLUE, |row| Some(both(&row.ours))),
                ledger("arkworks", RED, |row| row.stock.as_ref().map(both)),
            ],
        });
    }
    for panel in &mut panels {
        panel.lines.retain(|line| !line.points.is_empty());
    }
    plot(&panels)
}

fn per(spent: &Spent, row: &Row) -> f64 {
    spent.cpu.as_secs_f64() * 1e3 / f64::from(row.transfers)
}

fn both(spent: &[Spent; 2]) -> f64 {
    spent.iter().map(|spent| spent.cpu.as_secs_f64() * 1e3).sum()
}
