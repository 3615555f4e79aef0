//! Interfaces.

use ratatui::style::Style;

use crate::model::{Model, orders, shown_rows};
use crate::number::known;
use crate::text::{left, right};
use crate::view::table::{row_line, window};
use crate::view::{Canvas, Lines};

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let list = model.list();
    if data.nics.is_empty() {
        return super::empty(
            canvas,
            "no interface has a program of this Bailey: see 0 Health",
        );
    }
    let rows = shown_rows(&data.nics, list, &orders::NICS);
    let window = window(&rows, list, canvas.height - 1);
    let cells = canvas.width.saturating_sub(57).min(60);
    let header = format!(
        " {}LINK  MODE       PKT/s   BIT/s  DROP/s  {}",
        left("IF", 16),
        left(canvas.span.name(), cells)
    );
    let mut lines = vec![canvas.line(&header, canvas.look.strong())];
    for (at, nic) in window.visible(&rows) {
        let mode = if nic.is_complete {
            nic.mode.clone()
        } else {
            "PART".to_owned()
        };
        let text = format!(
            "{}{}{}{}{}{}{}  {}",
            window.mark(at, canvas),
            left(&nic.name, 16),
            left(if nic.is_up { "up" } else { "DOWN" }, 6),
            left(&mode, 9),
            right(&known(nic.packets.last().map(f64::from)), 7),
            right(&known(nic.bytes.map(|bytes| bytes * 8.0)), 8),
            right(&known(nic.drops), 8),
            canvas.spark(&nic.packets, cells.max(1))
        );
        lines.push(row_line(
            &text,
            window.selected == Some(at),
            Style::new(),
            canvas,
        ));
    }
    lines
}
