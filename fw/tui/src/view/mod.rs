//! A screen as lines of exactly its size. One file per view.

use ratatui::style::Style;
use ratatui::text::Line;

use crate::look::Look;
use crate::model::{Age, Frame, Input, Model, View};
use crate::spark::{History, Span};
use crate::text::{ends, left, width};

/// Blocks.
mod blocks;
/// Changes of the policies.
mod changes;
/// The flow table.
mod conntrack;
/// The flow table on a wide screen.
mod conntrack_wide;
/// Drops by reason.
mod drops;
/// Packets as they come.
mod flows;
/// The lines at the top and at the bottom.
mod frame;
/// The fill of the flow table.
mod gauges;
/// Findings and facts.
mod health;
/// Keys.
mod help;
/// Interfaces.
mod nics;
/// Everything on one screen.
mod overview;
/// The same on a wide screen.
mod overview_wide;
/// Cells of rules and packets.
mod rule_cells;
/// Rules.
mod rules;
/// Rules on a wide screen.
mod rules_wide;
/// Tables: columns that fit, rows that are visible.
mod table;
/// Sources, targets, ports.
mod talkers;

/// The least size of a screen.
pub const LEAST: (usize, usize) = (60, 15);

/// Size and look of a screen.
#[derive(Debug, Clone, Copy)]
pub struct Canvas {
    /// Columns.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Signs and colours.
    pub look: Look,
    /// Time range of sparklines.
    pub span: Span,
}

/// Lines of a view.
pub(crate) type Lines = Vec<Line<'static>>;

impl Canvas {
    /// A sparkline.
    pub(crate) fn spark(&self, history: &History, cells: usize) -> String {
        history.cells_of(self.span, cells, &self.look.levels())
    }

    /// A line of exactly the width.
    pub(crate) fn line(&self, text: &str, style: Style) -> Line<'static> {
        Line::from(ratatui::text::Span::styled(left(text, self.width), style))
    }

    /// A line with texts at both ends, and a blank at each side.
    pub(crate) fn split(&self, first: &str, last: &str, style: Style) -> Line<'static> {
        self.line(
            &ends(&format!(" {first}"), &format!("{last} "), self.width),
            style,
        )
    }

    /// A title that a rule follows to the end of the line.
    pub(crate) fn title(&self, title: &str) -> Line<'static> {
        let rest = self.width.saturating_sub(width(title) + 3);
        let rule: String = std::iter::repeat_n(self.look.rule(), rest).collect();
        self.line(&format!(" {title} {rule} "), self.look.strong())
    }

    /// Whether there is room for words in full.
    pub(crate) fn is_wide(&self) -> bool {
        self.width >= 120
    }

    /// Whether there is room for more columns and panes.
    pub(crate) fn is_large(&self) -> bool {
        self.is_wide() && self.height >= 30
    }

    /// Whether there is room for more than the least.
    pub(crate) fn is_narrow(&self) -> bool {
        self.width < 80
    }
}

/// The whole screen: exactly `height` lines of exactly `width` columns.
pub fn screen(model: &Model, canvas: &Canvas) -> Lines {
    if canvas.width < LEAST.0 || canvas.height < LEAST.1 {
        return too_small(canvas);
    }
    let mut lines = frame::top(model, canvas);
    let inner = inner_of(model, canvas);
    let room = inner.height;
    let mut body = match (&model.answer, model.has_help) {
        (_, true) => help::lines(model, &inner),
        (Some((title, text)), false) => answer_lines(title, text, &inner),
        (None, false) => view_lines(model, &inner),
    };
    if matches!(model.age, Age::Stale(_)) && model.frozen.is_none() {
        body = body.into_iter().map(|line| in_grey(line, canvas)).collect();
    }
    body.truncate(room);
    body.resize(room, canvas.line("", Style::new()));
    lines.append(&mut body);
    lines.push(bottom(model, canvas));
    match canvas.look.is_ascii {
        true => lines.iter().map(|line| in_ascii(line, canvas)).collect(),
        false => lines,
    }
}

/// The texts of lines, without blanks at their ends.
pub(crate) fn texts(lines: &[Line<'_>]) -> Vec<String> {
    let text = |line: &Line<'_>| line.to_string().trim_end().to_owned();
    lines.iter().map(text).collect()
}

/// The answer of the daemon to a question.
fn answer_lines(title: &str, text: &[String], canvas: &Canvas) -> Lines {
    let mut lines = vec![canvas.title(&format!("{title}; esc closes"))];
    lines.extend(
        text.iter()
            .map(|line| canvas.line(&format!(" {line}"), Style::new())),
    );
    lines
}

/// Data that may be old: known, but not now.
fn in_grey(line: Line<'static>, canvas: &Canvas) -> Line<'static> {
    let spans = line.spans.into_iter();
    let grey = |span: ratatui::text::Span<'static>| {
        ratatui::text::Span::styled(span.content, canvas.look.faint())
    };
    Line::from(spans.map(grey).collect::<Vec<_>>())
}

/// Places of tabs and rows, for the mouse.
pub(crate) fn frame_of(model: &Model, canvas: &Canvas) -> Frame {
    let top = frame::top(model, canvas).len();
    let above = match model.view {
        View::Rules if canvas.is_narrow() => 1,
        View::Rules | View::Drops | View::Talkers => 2,
        View::Conntrack => conntrack::lines_above(model, &inner_of(model, canvas)),
        _ => 1,
    };
    Frame {
        tab_line: top - 1,
        tabs: frame::tabs(model, canvas),
        first_row: top + above,
    }
}

/// Lines of a view of text, which scrolls.
pub(crate) fn text_lines(model: &Model, canvas: &Canvas) -> usize {
    match model.view {
        View::Health => health::all_lines(model, canvas).len(),
        _ => 0,
    }
}

/// A line in which other characters are replaced, of the same width.
fn in_ascii(line: &Line<'static>, canvas: &Canvas) -> Line<'static> {
    if line.spans.iter().all(|span| span.content.is_ascii()) {
        return line.clone();
    }
    let spans = line.spans.iter().map(|span| {
        let columns = width(&span.content).min(canvas.width);
        let ascii = |c: char| match c {
            '…' => '~',
            c if c.is_ascii() => c,
            _ => '?',
        };
        let text: String = span.content.chars().map(ascii).take(columns).collect();
        ratatui::text::Span::styled(left(&text, columns), span.style)
    });
    Line::from(spans.collect::<Vec<_>>())
}

/// The part of a screen that is the view's.
fn inner_of(model: &Model, canvas: &Canvas) -> Canvas {
    let top = frame::top(model, canvas).len();
    Canvas {
        height: canvas.height.saturating_sub(top + 1),
        span: model.span,
        ..*canvas
    }
}

/// Rows of the view's list that the screen has room for.
pub(crate) fn rows_of(model: &Model, canvas: &Canvas) -> usize {
    let inner = inner_of(model, canvas);
    let others = match model.view {
        View::Rules if canvas.is_narrow() => 1,
        View::Rules => 2 + rules::pane_lines(model, &inner),
        View::Drops => 2 + drops::pane_lines(model, &inner),
        View::Nics | View::Flows => 1,
        View::Talkers => 3 + talkers::pane_lines(model, &inner),
        View::Conntrack => conntrack::lines_above(model, &inner),
        _ => 2,
    };
    inner.height.saturating_sub(others).max(1)
}

fn view_lines(model: &Model, canvas: &Canvas) -> Lines {
    match model.view {
        View::Overview => overview::lines(model, canvas),
        View::Rules => rules::lines(model, canvas),
        View::Flows => flows::lines(model, canvas),
        View::Conntrack => conntrack::lines(model, canvas),
        View::Drops => drops::lines(model, canvas),
        View::Nics => nics::lines(model, canvas),
        View::Talkers => talkers::lines(model, canvas),
        View::Blocks => blocks::lines(model, canvas),
        View::Changes => changes::lines(model, canvas),
        View::Health => health::lines(model, canvas),
    }
}

/// The line that is typed, or a message, or the keys that work here.
fn bottom(model: &Model, canvas: &Canvas) -> Line<'static> {
    let text = match (&model.input, &model.message) {
        (Some(Input::Filter(text)), message) => {
            let error = message
                .as_ref()
                .map_or_else(String::new, |m| format!("   {m}"));
            format!(" / {text}_{error}")
        }
        (Some(Input::View(text)), _) => format!(" : {text}_"),
        (Some(Input::Confirm(change, effect, typed)), _) => {
            format!(
                " {effect}: type {} and enter, esc: no: {typed}_",
                change.object()
            )
        }
        (None, Some(message)) => format!(" {message}"),
        (None, None) => format!(" {}", frame::keys(model, canvas)),
    };
    canvas.line(&text, canvas.look.faint())
}

fn too_small(canvas: &Canvas) -> Lines {
    let (columns, lines) = LEAST;
    let sentence = format!(
        "this terminal has {}x{}; the console needs {columns}x{lines}",
        canvas.width, canvas.height
    );
    let mut screen = vec![canvas.line(&sentence, Style::new())];
    screen.resize(canvas.height.max(1), canvas.line("", Style::new()));
    screen
}

/// An empty view says why.
pub(crate) fn empty(canvas: &Canvas, sentence: &str) -> Lines {
    vec![
        canvas.line("", Style::new()),
        canvas.line(&format!(" {sentence}"), Style::new()),
    ]
}
