//! Changes of the policies.

use ratatui::style::Style;

use crate::model::Model;
use crate::view::{Canvas, Lines};

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    match &data.changes {
        None => super::empty(
            canvas,
            &format!(
                "r{} is active; this daemon keeps no history of changes",
                data.revision
            ),
        ),
        Some(changes) => changes
            .iter()
            .map(|change| {
                let text = format!(" {} r{} {}", change.time, change.revision, change.text);
                canvas.line(&text, Style::new())
            })
            .collect(),
    }
}
