//! The result as a picture: three panels with logarithmic axes, in SVG.

use super::Row;
use plotters::coord::Shift;
use plotters::prelude::*;
use thiserror::Error;

/// Size of the picture, in pixels.
const SIZE: (u32, u32) = (1_080, 340);

/// Why no picture was made.
#[derive(Debug, Error)]
#[error("the plot: {0}")]
pub struct PlotError(String);

impl PlotError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One line of a panel.
struct Line {
    name: &'static str,
    color: RGBColor,
    value: fn(&Row) -> f64,
}

/// One panel.
struct Panel {
    title: &'static str,
    unit: &'static str,
    lines: &'static [Line],
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "Start on the database",
        unit: "seconds",
        lines: &[
            Line { name: "wall", color: BLUE, value: |row| row.start.elapsed.as_secs_f64() },
            Line { name: "CPU", color: RED, value: |row| row.start.cpu.as_secs_f64() },
        ],
    },
    Panel {
        title: "Seal of one batch",
        unit: "milliseconds",
        lines: &[
            Line { name: "wall", color: BLUE, value: Row::seal_ms },
            Line { name: "CPU", color: RED, value: Row::seal_cpu_ms },
        ],
    },
    Panel {
        title: "Memory and disk",
        unit: "MiB",
        lines: &[
            Line { name: "memory", color: BLUE, value: Row::resident_mib },
            Line { name: "database", color: RED, value: Row::database_mib },
            Line { name: "reference string", color: BLACK, value: Row::srs_mib },
        ],
    },
];

/// Draws all rows; gives the SVG's text.
pub fn plot(rows: &[Row]) -> Result<String, PlotError> {
    let mut out = String::new();
    let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(PlotError::of)?;
    for (area, panel) in root.split_evenly((1, PANELS.len())).iter().zip(&PANELS) {
        draw(area, panel, rows)?;
    }
    root.present().map_err(PlotError::of)?;
    drop(root);
    Ok(out)
}

/// Whole decades around all values; nothing is shown as less than a thousandth.
fn decades(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (least, most) = values
        .map(|value| value.max(1e-3))
        .fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| {
            (least.min(value), most.max(value))
        });
    let from = 10f64.powf(least.min(most).log10().floor());
    let to = 10f64.powf(most.log10().ceil());
    from..to.max(from * 10.0)
}

fn draw(area: &Area<'_>, panel: &Panel, rows: &[Row]) -> Result<(), PlotError> {
    let values = panel.lines.iter().flat_map(|line| rows.iter().map(line.value));
    let (x, y) = (decades(rows.iter().map(|row| row.accounts.into())), decades(values));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}, {}", panel.title, panel.unit), ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(x.log_scale(), y.log_scale())
        .map_err(PlotError::of)?;
    chart
        .configure_mesh()
        .x_desc("accounts")
        .y_desc(panel.unit)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()
        .map_err(PlotError::of)?;
    for Line { name, color, value } in panel.lines {
        let points = rows.iter().map(|row| (f64::from(row.accounts), value(row).max(1e-3)));
        let (color, marks) = (*color, points.clone());
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))
            .map_err(PlotError::of)?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        let marks = marks.map(|point| Circle::new(point, 3, color.filled()));
        chart.draw_series(marks).map_err(PlotError::of)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(PlotError::of)
}

/// Thousands as in the text.
fn label(value: &f64) -> String {
    match *value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_whole_decades_around_all_values() {
        assert_eq!(decades([1_000.0, 1_000_000.0].into_iter()), 1_000.0..1_000_000.0);
        assert_eq!(decades([3.0].into_iter()), 1.0..10.0);
        assert_eq!(decades([10.0].into_iter()), 10.0..100.0);
        assert_eq!(decades([0.0].into_iter()), 0.001..0.01);
    }

    #[test]
    fn numbers_are_shortened_as_people_write_them() {
        let labels = [0.1, 1.0, 100.0, 1e4, 1e6].map(|value| label(&value));
        assert_eq!(labels, ["0.1", "1", "100", "10k", "1M"]);
    }
}
