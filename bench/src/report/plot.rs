//! Plots as SVG: lines and bars, with a fixed colour per system.

use anyhow::{Result, anyhow};
use plotters::coord::combinators::LogCoord;
use plotters::coord::ranged1d::{IntoSegmentedCoord as _, SegmentValue, ValueFormatter};
use plotters::prelude::*;

use super::table::system_label;
use crate::results::{BASELINE, FLOOR};

/// A figure of the report page.
pub(crate) struct Figure {
    pub(crate) title: String,
    /// Contents of the figure, and how to read it.
    pub(crate) caption: String,
    pub(crate) svg: String,
}

/// The points of one system.
pub(crate) struct Series {
    pub(crate) system: String,
    pub(crate) points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (860, 400);
const FONT: &str = "sans-serif";

/// The colour of a system in all figures (Okabe and Ito's palette, safe for colour blindness).
fn colour(system: &str) -> RGBColor {
    match system {
        name if name.starts_with("bailey") => RGBColor(0, 114, 178),
        BASELINE => RGBColor(213, 94, 0),
        "xdp-filter" => RGBColor(0, 158, 115),
        "nftables" => RGBColor(204, 121, 167),
        "nftables-linear" => RGBColor(148, 80, 120),
        "nftables-conntrack" => RGBColor(90, 40, 80),
        "iptables-ipset" => RGBColor(230, 159, 0),
        "nftables-raw" => RGBColor(230, 150, 200),
        "kernel" => RGBColor(86, 180, 233),
        FLOOR | "xdp-drop" => RGBColor(60, 60, 60),
        "read-drop" => RGBColor(140, 140, 90),
        "xdp-tx" => RGBColor(170, 170, 170),
        _ => RGBColor(110, 110, 110),
    }
}

/// Scale of the y axis; the x axis is logarithmic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// Plots one line per system.
pub(crate) fn lines([x, y]: [&str; 2], series: &[Series], scale: Scale) -> Result<String> {
    let points = || series.iter().flat_map(|series| &series.points);
    let (least, most) = points().fold((f64::MAX, 1.0_f64), |(least, most), point| {
        (least.min(point.0), most.max(point.0))
    });
    let (bottom, top) = points().fold((f64::MAX, 1.0_f64), |(bottom, top), point| {
        (bottom.min(point.1), top.max(point.1))
    });
    // Leave room on the right for the legend.
    let least = least.max(1.0);
    let across = (least..most * (most / least).powf(0.4).max(1.3)).log_scale();
    draw(|root| {
        let mut chart = ChartBuilder::on(root);
        chart.margin(12).x_label_area_size(44).y_label_area_size(72);
        match scale {
            Scale::Linear => {
                let chart = chart.build_cartesian_2d(across, 0.0..top * 1.1)?;
                draw_lines(chart, [x, y], series)
            }
            Scale::Logarithmic => {
                let up = (bottom.max(1.0) * 0.7..top * 1.4).log_scale();
                draw_lines(chart.build_cartesian_2d(across, up)?, [x, y], series)
            }
        }
    })
}

fn draw_lines<'a, Y>(
    mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<LogCoord<f64>, Y>>,
    [x, y]: [&str; 2],
    series: &[Series],
) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|at| short(*at))
        .y_label_formatter(&|at| short(*at))
        .light_line_style(WHITE)
        .label_style((FONT, 14))
        .draw()?;
    for series in series {
        let style = colour(&series.system);
        chart
            .draw_series(LineSeries::new(
                series.points.iter().copied(),
                style.stroke_width(3),
            ))?
            .label(system_label(&series.system))
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 16, y + 5)], style.filled()));
        let dots = series.points.iter();
        chart.draw_series(dots.map(|point| Circle::new(*point, 4, style.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 13))
        .draw()?;
    Ok(())
}

/// Plots one bar per system at its median, with a line from the least to the greatest run.
pub(crate) fn bars(y: &str, bars: &[(String, f64, (f64, f64))]) -> Result<String> {
    let top = bars.iter().fold(0.0_f64, |top, bar| top.max(bar.2.1)) * 1.1;
    let count = bars.len() as u32;
    draw(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(
                (0..count.saturating_sub(1)).into_segmented(),
                0.0..top.max(1e-9),
            )?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .y_desc(y)
            .x_labels(bars.len().max(1))
            .y_label_formatter(&|at| short(*at))
            .x_label_formatter(&|at| match at {
                SegmentValue::CenterOf(at) => bars
                    .get(*at as usize)
                    .map_or_else(String::new, |bar| system_label(&bar.0).to_owned()),
                _ => String::new(),
            })
            .light_line_style(WHITE)
            .label_style((FONT, 14))
            .draw()?;
        for (at, (system, value, (least, most))) in (0..).zip(bars) {
            let edges = [
                (SegmentValue::Exact(at), 0.0),
                (SegmentValue::Exact(at + 1), *value),
            ];
            let mut bar = Rectangle::new(edges, colour(system).filled());
            bar.set_margin(0, 0, 14, 14);
            chart.draw_series([bar])?;
            let middle = SegmentValue::CenterOf(at);
            let ends = vec![(middle.clone(), *least), (middle, *most)];
            chart.draw_series([PathElement::new(ends, BLACK.stroke_width(2))])?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(figure: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let drawn = figure(&root).and_then(|()| Ok(root.present()?));
        drawn.map_err(|error| anyhow!("cannot draw: {error}"))?;
    }
    Ok(svg)
}

/// Formats 10000 as 10k.
fn short(number: f64) -> String {
    match number {
        number if number >= 999_999.0 => format!("{:.0}M", number / 1e6),
        number if number >= 1000.0 => format!("{:.0}k", number / 1000.0),
        number if number.fract() != 0.0 => format!("{number:.1}"),
        number => format!("{number:.0}"),
    }
}
