//! Findings with their remedies, and facts about the daemon.

use ratatui::style::Style;

use crate::model::Model;
use crate::view::{Canvas, Lines};

/// The view: what does not fit, scrolls.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let all = all_lines(model, canvas);
    let last = all.len().saturating_sub(canvas.height);
    let first = model.list().offset.min(last);
    all.into_iter().skip(first).collect()
}

/// All lines.
pub(crate) fn all_lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let mut lines = vec![canvas.title("problems")];
    if let Some(problem) = &model.feed_problem {
        lines.extend(folded(&format!("! {problem}"), canvas.look.alert(), canvas));
    }
    for problem in &data.problems {
        lines.extend(folded(&format!("! {problem}"), canvas.look.alert(), canvas));
    }
    if lines.len() == 1 {
        lines.push(canvas.line(
            " none; `bailey doctor` examines the kernel and the NICs",
            canvas.look.good(),
        ));
    }
    lines.push(canvas.title("daemon"));
    match data.facts.is_empty() {
        true => lines.push(canvas.line(" the daemon has sent nothing yet", Style::new())),
        false => {
            let facts = data.facts.iter();
            lines.extend(facts.flat_map(|fact| folded(fact, Style::new(), canvas)));
        }
    }
    lines
}

/// A sentence in as many lines as it needs: a remedy that is cut is none.
fn folded(text: &str, style: Style, canvas: &Canvas) -> Lines {
    let room = canvas.width.saturating_sub(4);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && crate::text::width(&line) + 1 + crate::text::width(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
    let indented = lines.iter().enumerate().map(|(at, line)| match at {
        0 => format!(" {line}"),
        _ => format!("   {line}"),
    });
    indented.map(|line| canvas.line(&line, style)).collect()
}
