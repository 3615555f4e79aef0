//! Drops by reason.

use std::collections::BTreeMap;

use ratatui::style::Style;
use ratatui::text::Line;

use crate::data::{Data, Drop, Packet};
use crate::model::{Model, orders, shown_rows};
use crate::number::{count, known};
use crate::text::{left, right, socket};
use crate::view::table::{Window, row_line, window};
use crate::view::{Canvas, Lines};

/// Lines of the pane below the list.
pub(crate) fn pane_lines(model: &Model, canvas: &Canvas) -> usize {
    match model.has_details && !canvas.is_narrow() {
        true if canvas.is_large() => canvas.height / 2,
        true => (canvas.height / 2).min(10),
        false => 0,
    }
}

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let list = model.list();
    if data.drops.is_empty() {
        return super::empty(
            canvas,
            "no packet has been dropped since the counters exist",
        );
    }
    let rows = shown_rows(&data.drops, list, &orders::DROPS);
    let pane = pane_lines(model, canvas);
    let window = window(
        &rows,
        list,
        canvas.height.saturating_sub(2 + pane).min(rows.len()),
    );
    let kinds = "policy · packet · capacity · defence";
    let kinds = if canvas.look.is_ascii {
        kinds.replace('·', "-")
    } else {
        kinds.to_owned()
    };
    let mut lines = vec![
        canvas.split("drops by reason", &kinds, Style::new()),
        header(canvas),
    ];
    lines.extend(
        window
            .visible(&rows)
            .map(|(at, drop)| row(drop, at, &window, data, canvas)),
    );
    let selected = window.selected.or_else(|| (!rows.is_empty()).then_some(0));
    if let Some(drop) = selected.map(|at| rows[at]).filter(|_| pane > 0) {
        lines.extend(details(drop, data, pane, canvas));
    }
    lines
}

fn header(canvas: &Canvas) -> Line<'static> {
    let text = match canvas.is_narrow() {
        true => format!(" KIND     {}    COUNT     /s", left("REASON", 19)),
        false => format!(
            " KIND     {}{}  COUNT     /s 60 s         LAST PACKET",
            left("REASON", 19),
            left("IF", 7)
        ),
    };
    canvas.line(&text, canvas.look.strong())
}

fn row(drop: &Drop, at: usize, window: &Window, data: &Data, canvas: &Canvas) -> Line<'static> {
    let last = data.packets.iter().find(|packet| drop.has(packet));
    let last = last
        .map(|packet| packet.source.0.clone())
        .or_else(|| drop.last.clone());
    let start = format!(
        "{}{} {}",
        window.mark(at, canvas),
        left(&drop.kind, 8),
        left(&drop.reason, 19)
    );
    let numbers = format!(
        "{}{}",
        right(&count(drop.count), 7),
        right(&known(drop.rate), 7)
    );
    let text = match canvas.is_narrow() {
        true => format!("{start} {numbers}"),
        false => format!(
            "{start}{}{numbers} {} {}",
            left(&drop.interface, 7),
            canvas.spark(&drop.history, 12),
            last.unwrap_or_default()
        ),
    };
    row_line(&text, window.selected == Some(at), Style::new(), canvas)
}

/// The selected reason in a sentence, who is behind it, and the last packets.
fn details(drop: &Drop, data: &Data, height: usize, canvas: &Canvas) -> Lines {
    let plain = Style::new();
    let mut lines = vec![canvas.title(&format!(
        "{} on {}: {}",
        drop.reason, drop.interface, drop.help
    ))];
    let packets: Vec<&Packet> = data
        .packets
        .iter()
        .filter(|packet| drop.has(packet))
        .collect();
    if packets.is_empty() {
        lines.push(canvas.line(
            " no packet of this reason is among the last recorded ones",
            plain,
        ));
        return lines;
    }
    type Part = fn(&Packet) -> String;
    let by: [(&str, Part); 3] = [
        ("by rule   ", |packet| packet.rule.clone()),
        ("by source ", |packet| packet.source.0.clone()),
        ("by target ", target),
    ];
    for (name, key) in by {
        lines.push(canvas.line(&format!(" {name} {}", shares(&packets, key)), plain));
    }
    let room = height.saturating_sub(lines.len());
    for packet in packets.iter().take(room) {
        let arrow = if canvas.look.is_ascii { "->" } else { "→" };
        let text = format!(
            " {} {} {arrow} {}/{} {} {} B  {}",
            packet.time,
            socket(&packet.source.0, packet.source.1),
            socket(&packet.destination.0, packet.destination.1),
            packet.protocol,
            packet.flags,
            packet.bytes,
            packet.destination_name
        );
        lines.push(canvas.line(&text, plain));
    }
    lines
}

/// Destination, port and protocol.
pub(crate) fn target(packet: &Packet) -> String {
    let name = match packet.destination_name.as_str() {
        "" => &packet.destination.0,
        name => name,
    };
    match packet.destination.1 {
        0 => format!("{name}/{}", packet.protocol),
        port => format!("{name}:{port}/{}", packet.protocol),
    }
}

/// The most frequent values with their shares.
pub(crate) fn shares(packets: &[&Packet], key: fn(&Packet) -> String) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for packet in packets {
        *counts.entry(key(packet)).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let all = packets.len();
    let shown = counts
        .iter()
        .take(3)
        .map(|(name, count)| format!("{name} {}%", count * 100 / all));
    match counts.is_empty() {
        true => "-".to_owned(),
        false => format!(
            "{}  of the last {all}",
            shown.collect::<Vec<_>>().join("  ")
        ),
    }
}
