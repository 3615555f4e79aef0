//! Cells of rules and packets that several views have.

use ratatui::style::Style;

use crate::data::{Packet, Rule};
use crate::model::{Model, orders};
use crate::text::{left, right, socket};
use crate::view::Canvas;
use crate::view::table::Window;

/// Position, order and filter of the list of rules.
pub(crate) fn title_parts(model: &Model, window: &Window, canvas: &Canvas) -> Vec<String> {
    let list = model.list();
    let column = orders::RULES[list.sort % orders::RULES.len()].0;
    let mut parts = vec![
        window.position(model.shown().rules.len()),
        format!("sort {column} {}", canvas.look.arrow(list.is_reversed)),
    ];
    if !list.filter.source().is_empty() {
        parts.push(format!("filter {}", list.filter.source()));
    }
    parts
}

/// The begin of the counters, if it is known.
pub(crate) fn counts_since(model: &Model) -> String {
    let since = model.shown().counts_since.as_ref();
    since.map_or_else(String::new, |day| format!("counts since {day}"))
}

/// The sign of the verdict and its colour.
pub(crate) fn verdict(rule: &Rule, canvas: &Canvas) -> (char, Style) {
    match rule.allows {
        Some(true) => ('+', canvas.look.good()),
        Some(false) => ('-', canvas.look.bad()),
        None => (' ', canvas.look.faint()),
    }
}

/// The last packet of a rule: how long ago, or its time.
pub(crate) fn last(rule: &Rule, model: &Model, in_words: fn(u64) -> String) -> String {
    let Some(idle) = rule.idle_at(model.shown().now) else {
        return "-".to_owned();
    };
    let mut parts = model
        .clock
        .1
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    let now = next()
        .zip(next())
        .map(|(hours, minutes)| hours * 60 + minutes);
    match now.filter(|_| model.has_ages) {
        // Of more than a day only the age fits.
        Some(now) if idle < 86_400 => {
            let then = (now + 24 * 60 - idle.div_ceil(60)) % (24 * 60);
            format!("{:02}:{:02}", then / 60, then % 60)
        }
        _ => in_words(idle),
    }
}

/// The time of a packet, or how long ago it came, in the same width.
pub(crate) fn packet_time(packet: &Packet, model: &Model) -> String {
    let seconds_of = |time: &str| -> Option<f64> {
        let mut parts = time.split(':').map(|part| part.parse::<f64>().ok());
        let mut next = || parts.next().flatten();
        Some(next()? * 3600.0 + next()? * 60.0 + next()?)
    };
    let times = seconds_of(&model.clock.1).zip(seconds_of(&packet.time));
    match times.filter(|_| model.has_ages) {
        None => packet.time.clone(),
        Some((now, then)) => {
            // A packet of yesterday, or one of the running second.
            let age = if now - then < -60.0 {
                now - then + 86_400.0
            } else {
                now - then
            };
            right(&format!("{:.1} s ago", age.max(0.0)), 12)
        }
    }
}

/// A packet in a line.
pub(crate) fn packet_line(packet: &Packet, model: &Model, canvas: &Canvas) -> String {
    let arrow = if canvas.look.is_ascii { "->" } else { "→" };
    let name = match packet.destination_name.as_str() {
        "" => String::new(),
        name => format!("{name} "),
    };
    format!(
        " {} {} {} {arrow} {name}{}/{} {} {:>4} B",
        packet_time(packet, model),
        packet.interface,
        socket(&packet.source.0, packet.source.1),
        socket(&packet.destination.0, packet.destination.1),
        packet.protocol,
        left(&packet.flags, 3),
        packet.bytes
    )
}
