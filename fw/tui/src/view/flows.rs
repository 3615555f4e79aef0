//! Packets as they come: the last records, the newest first.

use crate::model::{Model, orders, shown_rows};
use crate::number::{full, known};
use crate::text::left;
use crate::view::rule_cells::packet_line;
use crate::view::table::{row_line, window};
use crate::view::{Canvas, Lines};

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    if data.packets.is_empty() {
        return super::empty(
            canvas,
            "no packet has been recorded since the console started",
        );
    }
    let filter = &model.list().filter;
    let packets = shown_rows(&data.packets, model.list(), &orders::PACKETS);
    let room = canvas.height - 1;
    let window = window(&packets, model.list(), room);
    let rate = data.flows.rate(&["inserted"]).zip(data.dropped.last());
    let rate = known(rate.map(|(new, dropped)| new + f64::from(dropped)));
    let lost = data.lost.map_or_else(|| "-".to_owned(), full);
    let mut title = format!("showing {} of {rate}/s", window.count);
    if !filter.source().is_empty() {
        title += &format!("  filter {}", filter.source());
    }
    let mut lines = vec![canvas.split(&title, &format!("lost {lost}"), canvas.look.strong())];
    for (at, packet) in window.visible(&packets) {
        let (sign, style) = match packet.passes {
            true => ('+', canvas.look.good()),
            false => ('-', canvas.look.bad()),
        };
        let by = match packet.rule.as_str() {
            "" => &packet.reason,
            rule => rule,
        };
        let line = packet_line(packet, model, canvas);
        let text = format!(
            "{}{sign}{}  {by}",
            window.mark(at, canvas),
            left(&line, (canvas.width - 1).min(73))
        );
        lines.push(row_line(&text, window.selected == Some(at), style, canvas));
    }
    lines
}
