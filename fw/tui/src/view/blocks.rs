//! Emergency blocks.

use ratatui::style::Style;

use crate::model::{Model, orders, shown_rows};
use crate::number::{full, left as time_left};
use crate::text::{left, right};
use crate::view::table::{row_line, window};
use crate::view::{Canvas, Lines};

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let list = model.list();
    if data.blocks.is_empty() {
        return super::empty(
            canvas,
            "no address is blocked; `bailey block ADDRESS --ttl 2h` blocks one",
        );
    }
    let rows = shown_rows(&data.blocks, list, &orders::BLOCKS);
    let window = window(&rows, list, canvas.height - 2);
    let title = format!("{} blocks", full(data.blocks_total));
    let mut lines = vec![canvas.split(&title, "", Style::new())];
    let header = format!(" {}    LEFT  REASON", left("ADDRESS", 44));
    lines.push(canvas.line(&header, canvas.look.strong()));
    for (at, block) in window.visible(&rows) {
        let text = format!(
            "{}{}{}  {}",
            window.mark(at, canvas),
            left(&block.prefix, 44),
            right(&time_left(block.left), 8),
            block.reason
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
