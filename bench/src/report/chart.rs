//! The chart of the README, `docs/performance.svg`: CPU time per packet relative to the baseline.
//!
//! The background is transparent. Text and bars have a contrast of at least 3.5 to 1 on white and
//! on near-black, because pages show the file on either.

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::results::{BASELINE, Report};

/// Workloads in the order of the rows: a heading, then a label and a scenario for each row.
const SECTIONS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Packet of an established TCP connection",
        &[
            ("1 connection", "established-tcp-1"),
            ("64 k connections", "established-tcp-64k"),
            ("1 M connections", "established-tcp-1m"),
        ],
    ),
    (
        "First packet of an allowed connection",
        &[
            ("10 rules", "new-10-rules"),
            ("10 k rules", "new-10k-rules"),
            ("100 k rules", "new-100k-rules"),
        ],
    ),
    (
        "Denied packet",
        &[
            ("10 rules, none matches", "denied"),
            ("10 k denied prefixes", "denied-10k-cidrs"),
            ("1 M denied prefixes", "denied-1m-cidrs"),
        ],
    ),
];

const WIDTH: u32 = 800;
const FONT: &str = "sans-serif";
const TEXT: RGBColor = RGBColor(110, 119, 129);
const GRID: RGBColor = RGBColor(139, 148, 158);
/// The colours of the two systems in all figures, see plot.rs.
const BAILEY_COLOUR: RGBColor = RGBColor(0, 114, 178);
const BASELINE_COLOUR: RGBColor = RGBColor(213, 94, 0);

/// Pixels: rows, and columns from left to right.
const TOP: i32 = 92;
const ROW: i32 = 25;
const BAR: i32 = 17;
const FOOTER: i32 = 44;
const LEFT_X: i32 = 12;
const LABEL_X: i32 = 28;
const AXIS_X: i32 = 200;
const AXIS_WIDTH: f64 = 390.0;
const RATIO_X: i32 = 670;
const TIMES_X: i32 = 788;
/// From one grid line to the next, as a ratio.
const TICK: f64 = 0.5;
/// Font sizes; the backend draws about four fifths of them.
const LARGE: i32 = 21;
const MEDIUM: i32 = 17;
const SMALL: i32 = 15;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// One row of the chart.
struct Row {
    label: &'static str,
    bailey_ns: f64,
    baseline_ns: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.bailey_ns / self.baseline_ns
    }
}

/// The axis of ratios, from zero to the first grid line that no bar exceeds.
#[derive(Clone, Copy)]
struct Axis {
    ticks: u32,
}

impl Axis {
    fn of(sections: &[(&str, Vec<Row>)]) -> Self {
        let rows = sections.iter().flat_map(|(_, rows)| rows);
        let greatest = rows.map(Row::ratio).fold(1.0, f64::max);
        Self {
            ticks: (greatest / TICK).ceil() as u32,
        }
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        (0..=self.ticks).map(|n| f64::from(n) * TICK)
    }

    /// The column of a ratio, in pixels.
    fn x(self, ratio: f64) -> i32 {
        let greatest = f64::from(self.ticks) * TICK;
        AXIS_X + (ratio / greatest * AXIS_WIDTH).round() as i32
    }
}

/// Draws the chart as SVG.
///
/// # Errors
/// If a workload has no result for Bailey or for the baseline.
pub(crate) fn draw(report: &Report) -> Result<String> {
    let mut sections = Vec::new();
    for (heading, workloads) in SECTIONS {
        let rows = workloads.iter().map(|workload| row(report, *workload));
        sections.push((heading, rows.collect::<Result<Vec<Row>>>()?));
    }
    let lines: usize = sections.iter().map(|(_, rows)| rows.len() + 1).sum();
    let height = TOP + lines as i32 * ROW + FOOTER;
    let mut svg = String::new();
    {
        let backend = SVGBackend::with_string(&mut svg, (WIDTH, height as u32));
        let canvas = backend.into_drawing_area();
        let drawn = draw_all(&canvas, &sections, &footer(report), height);
        let drawn = drawn.and_then(|()| Ok(canvas.present()?));
        drawn.map_err(|error| anyhow!("cannot draw the chart: {error}"))?;
    }
    Ok(svg)
}

fn row(report: &Report, (label, scenario): (&'static str, &str)) -> Result<Row> {
    let nanoseconds = |system: &str| {
        let value = report.value(["program", scenario, system, "ns_per_packet"]);
        value.with_context(|| format!("no result of {system} for {scenario}"))
    };
    Ok(Row {
        label,
        bailey_ns: nanoseconds("bailey")?,
        baseline_ns: nanoseconds(BASELINE)?,
    })
}

fn footer(report: &Report) -> String {
    let fact = |name: &str| report.machine.get(name).map_or("", String::as_str);
    format!(
        "IPv4, medians, without the cost of the test harness. {}, Linux {}, {}",
        fact("cpu"),
        fact("kernel"),
        fact("date")
    )
}

fn draw_all(
    canvas: &Canvas<'_>,
    sections: &[(&str, Vec<Row>)],
    footer: &str,
    height: i32,
) -> Drawn {
    // Title and column headings.
    let title = "CPU time per packet, relative to an LRU-hash/LPM baseline firewall";
    text(canvas, title, (LEFT_X, 20), LARGE, HPos::Left)?;
    let hint = "Lower is better. The baseline checks less and has no per-rule counters.";
    text(canvas, hint, (LEFT_X, 44), MEDIUM, HPos::Left)?;
    text(canvas, "ratio", (RATIO_X, TOP - 14), SMALL, HPos::Right)?;
    let columns = "Bailey / baseline";
    text(canvas, columns, (TIMES_X, TOP - 14), SMALL, HPos::Right)?;

    // Section headings interrupt the grid, so each section has its own.
    let axis = Axis::of(sections);
    for tick in axis.ticks() {
        let label = match tick {
            1.0 => "1 × (baseline)".to_owned(),
            tick => format!("{tick} ×"),
        };
        text(
            canvas,
            &label,
            (axis.x(tick), TOP - 14),
            SMALL,
            HPos::Center,
        )?;
    }
    let mut y = TOP + ROW / 2;
    for (heading, rows) in sections {
        text(canvas, heading, (LEFT_X, y), MEDIUM, HPos::Left)?;
        y += ROW;
        draw_rows(canvas, axis, rows, y)?;
        y += rows.len() as i32 * ROW;
    }
    text(canvas, footer, (LEFT_X, height - 18), SMALL, HPos::Left)
}

/// Draws the rows of a section over their part of the grid; `first` is the middle of the first row.
fn draw_rows(canvas: &Canvas<'_>, axis: Axis, rows: &[Row], first: i32) -> Drawn {
    let (top, bottom) = (first - ROW / 2, first + rows.len() as i32 * ROW - ROW / 2);
    let line = |tick: f64, style: ShapeStyle| {
        let ends = [(axis.x(tick), top), (axis.x(tick), bottom)];
        canvas.draw(&PathElement::new(ends, style))
    };
    for tick in axis.ticks() {
        line(tick, GRID.mix(0.5).stroke_width(1))?;
    }
    for (y, row) in (0..).map(|n| first + n * ROW).zip(rows) {
        let corners = [
            (axis.x(0.0), y - BAR / 2),
            (axis.x(row.ratio()), y + BAR / 2),
        ];
        canvas.draw(&Rectangle::new(corners, BAILEY_COLOUR.filled()))?;
        text(canvas, row.label, (LABEL_X, y), MEDIUM, HPos::Left)?;
        let ratio = format!("{:.2} ×", row.ratio());
        text(canvas, &ratio, (RATIO_X, y), MEDIUM, HPos::Right)?;
        let times = format!("{:.0} / {:.0} ns", row.bailey_ns, row.baseline_ns);
        text(canvas, &times, (TIMES_X, y), SMALL, HPos::Right)?;
    }
    // The baseline crosses the bars, so that longer bars show where it is.
    line(1.0, BASELINE_COLOUR.stroke_width(2))?;
    Ok(())
}

fn text(canvas: &Canvas<'_>, text: &str, at: (i32, i32), size: i32, anchor: HPos) -> Drawn {
    let style = TextStyle::from((FONT, size).into_font())
        .color(&TEXT)
        .pos(Pos::new(anchor, VPos::Center));
    Ok(canvas.draw(&Text::new(text, at, style))?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn committed_chart_matches_recorded_results() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let report = Report::read(&docs.join("performance.json")).unwrap();
        let committed = std::fs::read_to_string(docs.join("performance.svg")).unwrap();
        assert!(
            draw(&report).unwrap() == committed,
            "docs/performance.svg is out of date; `bailey-bench report --docs docs --recorded` redraws it"
        );
    }
}
