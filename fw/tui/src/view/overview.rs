//! Everything on one screen.

use ratatui::style::Style;

use crate::data::{Drop, Mode, Packet};
use crate::model::{Model, orders, shown_rows};
use crate::number::known;
use crate::spark::History;
use crate::text::{left, right};
use crate::view::gauges::{fill_bar, known_count, when};
use crate::view::overview_wide;
use crate::view::rules;
use crate::view::table::Window;
use crate::view::{Canvas, Lines};

/// No row is selected here.
const NONE: Window = Window {
    first: 0,
    count: 0,
    selected: None,
};

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    if canvas.is_large() {
        return overview_wide::lines(model, canvas);
    }
    let data = model.shown();
    let plain = Style::new();
    let mut lines = Lines::new();
    if !canvas.is_narrow() {
        if canvas.height >= 20 {
            lines.push(canvas.line("", plain));
        }
        lines.extend(panes(model, canvas));
    }
    // Rules and drops share what is left, but for titles and the last change.
    let left_over = canvas.height.saturating_sub(lines.len() + 3);
    let shown_drops = (left_over / 3)
        .max(2)
        .min(data.drops.len().max(1))
        .min(3.max(left_over / 4));
    let shown_rules = left_over.saturating_sub(shown_drops + 3).max(2);
    lines.push(canvas.title("top rules by packets/s"));
    lines.push(rules::header(0, canvas));
    let list = crate::model::ListState::default();
    let top = shown_rows(&data.rules, &list, &orders::RULES);
    for rule in top.iter().take(shown_rules) {
        lines.push(rules::row(rule, usize::MAX, &NONE, model, canvas));
    }
    lines.push(canvas.title("drops by reason"));
    let mut drops: Vec<&Drop> = data
        .drops
        .iter()
        .filter(|drop| drop.history.max() > 0.0)
        .collect();
    drops.sort_by(|a, b| b.rate.unwrap_or(0.0).total_cmp(&a.rate.unwrap_or(0.0)));
    for drop in drops.iter().take(shown_drops) {
        lines.push(canvas.line(&drop_line(drop, &data.packets, canvas), plain));
    }
    if drops.is_empty() {
        lines.push(canvas.line(
            match data.mode {
                Mode::Unknown => " nothing is known yet",
                _ => " nothing was dropped in the last minute",
            },
            plain,
        ));
    }
    let changes_at = canvas.height.saturating_sub(2);
    lines.truncate(changes_at);
    lines.resize(changes_at, canvas.line("", plain));
    lines.push(canvas.title("last changes"));
    lines.push(canvas.line(&last_change(model), plain));
    lines
}

fn last_change(model: &Model) -> String {
    let data = model.shown();
    match &data.changes {
        None if data.mode == Mode::Unknown => " nothing is known yet".to_owned(),
        None => format!(
            " r{} is active; this daemon keeps no history of changes",
            data.revision
        ),
        Some(changes) => changes.first().map_or_else(
            || " no change yet".to_owned(),
            |change| format!(" {} r{} {}", change.time, change.revision, change.text),
        ),
    }
}

/// Four panes in two columns: packets in, new flows, drops, flow table.
fn panes(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let plain = Style::new();
    let flows = &data.flows;
    let number = |value| known_count(flows, value);
    let (live, closing) = (number(flows.live), number(flows.closing));
    let half_open = number(flows.half_open);
    let right_width = canvas.width - 42;
    let bar = fill_bar(flows, right_width, canvas);
    let shrink = match flows.slots.1 {
        0 => "idle times shrink: -".to_owned(),
        _ if flows.shrink.is_none() => format!("idle times shrink: {}", when(None)),
        _ => format!("idle times shrink {}", when(flows.shrink)),
    };
    let pairs = [
        (
            heading("packets in /s, 60 s", 38, canvas),
            heading("new flows /s, 60 s", right_width, canvas),
        ),
        (
            spark(&data.packets_in, canvas),
            spark(&flows.history("inserted"), canvas),
        ),
        (
            heading("dropped /s, 60 s", 38, canvas),
            heading("flow table", right_width, canvas),
        ),
        (spark(&data.dropped, canvas), bar),
        (
            String::new(),
            format!("live {live}  closing {closing}  half-open {half_open}"),
        ),
        (String::new(), shrink),
    ];
    let pair = |(one, other): (String, String)| {
        canvas.line(
            &format!(" {}  {}", left(&one, 38), left(&other, right_width)),
            plain,
        )
    };
    pairs.into_iter().map(pair).collect()
}

fn heading(title: &str, to: usize, canvas: &Canvas) -> String {
    let rest = to.saturating_sub(title.len() + 1);
    let rule: String = std::iter::repeat_n(canvas.look.rule(), rest).collect();
    format!("{title} {rule}")
}

fn spark(history: &History, canvas: &Canvas) -> String {
    let value = known(history.last().map(f64::from));
    let spaced = match value.chars().last().filter(char::is_ascii_alphabetic) {
        Some(unit) => format!("{} {unit}", &value[..value.len() - 1]),
        None => value,
    };
    format!("{} {}", canvas.spark(history, 30), right(&spaced, 6))
}

fn drop_line(drop: &Drop, packets: &[Packet], canvas: &Canvas) -> String {
    let last = packets
        .iter()
        .find(|packet| !packet.passes && packet.reason == drop.reason);
    let last = last.map_or_else(
        || drop.last.clone().unwrap_or_default(),
        |packet| ends_of(packet, canvas),
    );
    let rate = format!("{}/s", known(drop.rate));
    format!(
        " {}{}  {}  {last}",
        left(&drop.reason, 17),
        right(&rate, 8),
        canvas.spark(&drop.history, 12)
    )
}

/// Source, destination and flags of a packet.
fn ends_of(packet: &Packet, canvas: &Canvas) -> String {
    let arrow = if canvas.look.is_ascii { "->" } else { "→" };
    let destination = match packet.destination_name.as_str() {
        "" => packet.destination.0.as_str(),
        name => name,
    };
    let port = match packet.destination.1 {
        0 => String::new(),
        port => format!(":{port}"),
    };
    format!(
        "{} {arrow} {destination} {port}/{} {}",
        packet.source.0, packet.protocol, packet.flags
    )
}
