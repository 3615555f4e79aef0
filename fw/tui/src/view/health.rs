//! Findings with their remedies, and facts about the daemon.

use ratatui::style::Style;

use crate::model::Model;
use crate::view::{Canvas, Lines};

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let mut lines = vec![canvas.title("problems")];
    if let Some(problem) = &model.feed_problem {
        lines.push(canvas.line(&format!(" ! {problem}"), canvas.look.alert()));
    }
    for problem in &data.problems {
        lines.push(canvas.line(&format!(" ! {problem}"), canvas.look.alert()));
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
        false => lines.extend(
            data.facts
                .iter()
                .map(|fact| canvas.line(&format!(" {fact}"), Style::new())),
        ),
    }
    lines
}
