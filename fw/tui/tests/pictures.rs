//! docs/img has the console with the numbers of the tests, as SVG. `make screenshots` writes the pictures again.

mod fixture;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bailey_tui::look::Look;
use bailey_tui::model::{Age, Model, View};
use bailey_tui::spark::Span;
use bailey_tui::text::width;
use bailey_tui::view::{Canvas, screen};
use ratatui::style::{Color, Modifier, Style};

/// Size of a cell in pixels.
const CELL: (f64, f64) = (8.4, 17.0);
/// Around the screen, in pixels.
const MARGIN: f64 = 12.0;

const STYLE: &str = "\
<style>
text { font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre; fill: #24292f }
rect { fill: #ffffff; stroke: #d0d7de }
.b { font-weight: bold } .g { fill: #116329 } .r { fill: #cf222e } .y { fill: #7d4e00 } .f { fill: #6e7781 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } rect { fill: #0d1117; stroke: #30363d }
.g { fill: #7ee787 } .r { fill: #ff7b72 } .y { fill: #e3b341 } .f { fill: #8b949e }
}
</style>
";

fn class(style: Style) -> String {
    let colour = match style.fg {
        Some(Color::Green) => "g",
        Some(Color::Red) => "r",
        Some(Color::Yellow) => "y",
        Some(Color::DarkGray) => "f",
        _ => "",
    };
    let bold = match style.add_modifier.contains(Modifier::BOLD) {
        true => "b",
        false => "",
    };
    format!("{colour} {bold}").trim().to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The screen as a picture.
fn svg(model: &Model, columns: usize, lines: usize) -> String {
    let canvas = Canvas {
        width: columns,
        height: lines,
        look: Look::default(),
        span: Span::Minute,
    };
    let (wide, high) = (
        columns as f64 * CELL.0 + 2.0 * MARGIN,
        lines as f64 * CELL.1 + 2.0 * MARGIN,
    );
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" role=\"img\">\n\
         <title>bailey tui: {}</title>\n{STYLE}<rect width=\"{wide:.0}\" height=\"{high:.0}\" rx=\"6\"/>\n",
        model.view.names().1
    );
    for (at, line) in screen(model, &canvas).iter().enumerate() {
        let y = MARGIN + (at as f64 + 0.75) * CELL.1;
        let mut column = 0;
        for span in &line.spans {
            let columns = width(&span.content);
            let text = span.content.trim_end();
            // A glyph of another font must not move those behind it.
            for (first, word) in words(text) {
                let x = MARGIN + (column + first) as f64 * CELL.0;
                let length = width(word) as f64 * CELL.0;
                let _ = writeln!(
                    picture,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" class=\"{}\">{}</text>",
                    class(span.style),
                    escaped(word)
                );
            }
            column += columns;
        }
    }
    picture + "</svg>\n"
}

/// Words with their columns.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut column = 0;
    for word in text.split(' ') {
        if !word.is_empty() {
            found.push((column, word));
        }
        column += width(word) + 1;
    }
    found
}

fn model(view: View) -> Model {
    let mut data = fixture::data();
    fixture::widen(&mut data);
    if view == View::Conntrack {
        fixture::flood(&mut data);
    }
    let mut model = Model {
        data: Arc::new(data),
        view,
        age: Age::Live,
        clock: ("2026-11-27".into(), "03:12:07".into()),
        ..Model::default()
    };
    if view == View::Rules {
        model.lists[view.index()].selected = Some(format!("{:010}", fixture::DENY));
    }
    model
}

#[test]
fn pictures_show_the_console_as_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/img");
    let is_written = std::env::var_os("BAILEY_WRITE_DOCS").is_some();
    for (name, view, columns, lines) in [
        ("overview", View::Overview, 120, 40),
        ("rules", View::Rules, 120, 40),
        ("conntrack", View::Conntrack, 120, 40),
        ("talkers", View::Talkers, 120, 40),
        ("drops", View::Drops, 80, 24),
        ("rules-80x24", View::Rules, 80, 24),
    ] {
        let path = folder.join(format!("{name}.svg"));
        let picture = svg(&model(view), columns, lines);
        if is_written {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &picture).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == picture,
            "{name} differs: `make screenshots` writes the pictures again"
        );
    }
}
