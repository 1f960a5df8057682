//! The result as a picture: three panels.

use super::Row;
use crate::bench::plot::{Line, Panel, PlotError, plot};
use plotters::style::{BLACK, BLUE, RED, RGBColor};

/// Draws all rows; gives the SVG's text.
pub fn figure(rows: &[Row]) -> Result<String, PlotError> {
    let line = |name, color: RGBColor, value: fn(&Row) -> f64| Line {
        name,
        color,
        points: rows.iter().map(|row| (f64::from(row.accounts), value(row))).collect(),
    };
    let panel = |title, unit, lines| Panel { title, unit, x: "accounts", lines };
    plot(&[
        panel(
            "Start on the database",
            "seconds",
            vec![
                line("wall", BLUE, |row| row.start.elapsed.as_secs_f64()),
                line("CPU", RED, |row| row.start.cpu.as_secs_f64()),
            ],
        ),
        panel(
            "Seal of one batch",
            "milliseconds",
            vec![line("wall", BLUE, Row::seal_ms), line("CPU", RED, Row::seal_cpu_ms)],
        ),
        panel(
            "Memory and disk",
            "MiB",
            vec![
                line("memory", BLUE, Row::resident_mib),
                line("database", RED, Row::database_mib),
                line("reference string", BLACK, Row::srs_mib),
            ],
        ),
    ])
}
