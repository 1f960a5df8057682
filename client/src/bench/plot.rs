//! Results as a picture: panels side by side with logarithmic axes, in SVG.

use plotters::coord::Shift;
use plotters::prelude::*;
use thiserror::Error;

/// Size of a panel, in pixels.
const PANEL: (u32, u32) = (360, 340);

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
pub(super) struct Line {
    /// In the legend.
    pub name: &'static str,
    /// Of line and marks.
    pub color: RGBColor,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// One panel.
pub(super) struct Panel {
    /// What is shown.
    pub title: &'static str,
    /// Of y.
    pub unit: &'static str,
    /// What x counts.
    pub x: &'static str,
    /// All lines, with points.
    pub lines: Vec<Line>,
}

/// Draws all panels; gives the SVG's text.
pub(super) fn plot(panels: &[Panel]) -> Result<String, PlotError> {
    let mut out = String::new();
    let count = panels.len().max(1);
    let width = PANEL.0 * u32::try_from(count).unwrap_or(u32::MAX);
    let root = SVGBackend::with_string(&mut out, (width, PANEL.1)).into_drawing_area();
    root.fill(&WHITE).map_err(PlotError::of)?;
    for (area, panel) in root.split_evenly((1, count)).iter().zip(panels) {
        draw(area, panel)?;
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

fn draw(area: &Area<'_>, panel: &Panel) -> Result<(), PlotError> {
    let points = panel.lines.iter().flat_map(|line| &line.points);
    let (x, y) = (decades(points.clone().map(|(x, _)| *x)), decades(points.map(|(_, y)| *y)));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}, {}", panel.title, panel.unit), ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(x.log_scale(), y.log_scale())
        .map_err(PlotError::of)?;
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(panel.unit)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()
        .map_err(PlotError::of)?;
    for Line { name, color, points } in &panel.lines {
        let points = points.iter().map(|(x, y)| (*x, y.max(1e-3)));
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
