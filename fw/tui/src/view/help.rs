//! The keys, from their table.

use ratatui::style::Style;

use crate::model::Model;
use crate::text::left;
use crate::update::{TABLE, keys_of};
use crate::view::{Canvas, Lines};

/// Columns of an entry.
const COLUMN: usize = 60;

/// The help, in two columns where there is room.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let shown = TABLE.iter().filter(|binding| !binding.help.is_empty());
    let entries: Vec<String> = shown
        .map(|binding| {
            let keys = keys_of(binding, &model.keys).iter();
            let keys: Vec<String> = keys.map(ToString::to_string).collect();
            let place = binding
                .view
                .map_or_else(String::new, |view| format!("in {}: ", view.names().1));
            format!(
                " {} {} {place}{}",
                left(&keys.join(" "), 9),
                left(binding.name, 14),
                binding.help
            )
        })
        .collect();
    let mut lines = vec![canvas.title("keys; ? or esc closes")];
    let room = canvas.height - 1;
    let columns = (canvas.width / COLUMN).clamp(1, 2);
    let width = canvas.width / columns;
    // What does not fit, scrolls.
    let shown = room * columns;
    let first = model.help_offset.min(entries.len().saturating_sub(shown));
    let entries = &entries[first..];
    for at in 0..room.min(entries.len()) {
        let cells = (0..columns).filter_map(|column| entries.get(column * room + at));
        let text: String = cells.map(|cell| left(cell, width)).collect();
        lines.push(canvas.line(&text, Style::new()));
    }
    lines
}
