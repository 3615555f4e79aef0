//! Sources, targets and ports of dropped and new packets.

use ratatui::style::Style;

use crate::model::{Model, orders, shown_rows};
use crate::number::{age, short};
use crate::text::{left, right};
use crate::view::table::{row_line, window};
use crate::view::{Canvas, Lines};

/// The lists, in the order in which `v` shows them.
pub(crate) const LISTS: [&str; 3] = ["source", "target", "port"];

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let by = LISTS[model.talkers_by];
    let talkers = &data.talkers.lists[model.talkers_by];
    if talkers.is_empty() {
        return super::empty(
            canvas,
            "no packet was dropped or opened a flow in the last minutes",
        );
    }
    let list = model.list();
    let rows = shown_rows(talkers, list, &orders::TALKERS);
    let window = window(&rows, list, canvas.height - 3);
    let first = format!("talkers by {by}, the last {}", age(data.talkers.seconds));
    let keys = "v source/target/port  s sort";
    let mut lines = vec![canvas.split(&first, keys, Style::new())];
    let name_width = canvas.width - 36;
    let header = format!(
        " {}  NEW/s  DROP/s  EXACT WITHIN",
        left(&by.to_uppercase(), name_width)
    );
    lines.push(canvas.line(&header, canvas.look.strong()));
    for (at, talker) in window.visible(&rows) {
        let within = match talker.error > 0.0 {
            true => format!("{:.0}%", talker.error * 100.0),
            false => "exact".to_owned(),
        };
        let text = format!(
            "{}{}{}{}  {within}",
            window.mark(at, canvas),
            left(&talker.name, name_width),
            right(&rate(talker.new), 7),
            right(&rate(talker.drops), 8)
        );
        lines.push(row_line(
            &text,
            window.selected == Some(at),
            Style::new(),
            canvas,
        ));
    }
    let rest = " counts are estimated from the records of packets, never too small";
    lines.push(canvas.line(rest, canvas.look.faint()));
    lines
}

fn rate(value: f64) -> String {
    short((value * 10.0).round() / 10.0)
}
