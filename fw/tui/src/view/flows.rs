//! Packets as they come: the last records, the newest first.

use ratatui::style::Style;

use crate::model::Model;
use crate::number::{full, known};
use crate::text::left;
use crate::view::rules::packet_line;
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
    let packets: Vec<_> = data
        .packets
        .iter()
        .filter(|packet| filter.matches(*packet))
        .collect();
    let room = canvas.height - 1;
    let first = model.list().offset.min(packets.len().saturating_sub(room));
    let rate = data.flows.rate(&["inserted"]).zip(data.dropped.last());
    let rate = known(rate.map(|(new, dropped)| new + f64::from(dropped)));
    let lost = data.lost.map_or_else(|| "-".to_owned(), full);
    let mut title = format!("showing {} of {rate}/s", packets.len().min(room));
    if !filter.source().is_empty() {
        title += &format!("  filter {}", filter.source());
    }
    let mut lines = vec![canvas.split(&title, &format!("lost {lost}"), canvas.look.strong())];
    for packet in packets.into_iter().skip(first).take(room) {
        let (sign, style) = match packet.passes {
            true => ('+', canvas.look.good()),
            false => ('-', canvas.look.bad()),
        };
        let by = match packet.rule.as_str() {
            "" => &packet.reason,
            rule => rule,
        };
        let text = format!(
            "{sign}{}  {by}",
            left(&packet_line(packet, canvas), canvas.width.min(74))
        );
        let style = if canvas.look.is_plain {
            Style::new()
        } else {
            style
        };
        lines.push(canvas.line(&text, style));
    }
    lines
}
