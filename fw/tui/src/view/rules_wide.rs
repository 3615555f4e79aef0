//! Rules on a wide screen: more columns, and a pane with what is known about the selected rule.

use ratatui::style::Style;
use ratatui::text::Line;

use crate::data::{Packet, Rule};
use crate::model::Model;
use crate::number::{age, full, known, short, spaced};
use crate::text::{left, right, socket};
use crate::view::drops::{shares, target};
use crate::view::rule_cells::{counts_since, last, packet_time, title_parts, verdict};
use crate::view::table::{Window, row_line};
use crate::view::{Canvas, Lines};

/// Columns of the sparkline.
const SPARK: usize = 20;
/// Columns of a name before its value in the pane.
const FACT: usize = 14;
/// Columns of the sparkline in the pane.
const LONG_SPARK: usize = 60;

/// Columns besides the name.
const OTHERS: usize = 84;

/// Lines of the pane below the list.
pub(super) fn pane_lines(canvas: &Canvas) -> usize {
    canvas.height * 4 / 7
}

/// The line above the headers.
pub(super) fn title(model: &Model, window: &Window, canvas: &Canvas) -> Line<'static> {
    let mut parts = title_parts(model, window, canvas);
    let data = model.shown();
    let unused = data.rules.iter().filter(|rule| rule.flags.contains('U'));
    let unused = unused.count();
    if unused > 0 {
        parts.push(format!("{unused} unused for 30 days"));
    }
    canvas.split(&parts.join("   "), &counts_since(model), Style::new())
}

/// The headers.
pub(super) fn header(canvas: &Canvas) -> Line<'static> {
    let text = format!(
        " A FL {}   HITS  HIT/s   PKTS  BYTES  PKT/s {}   LIVE  LAST",
        left("RULE", canvas.width - OTHERS),
        left(canvas.span.name(), SPARK)
    );
    canvas.line(&text, canvas.look.strong())
}

/// A rule.
pub(super) fn row(
    rule: &Rule,
    at: usize,
    window: &Window,
    model: &Model,
    canvas: &Canvas,
) -> Line<'static> {
    let (sign, style) = verdict(rule, canvas);
    let text = format!(
        "{}{sign} {} {}{}{}{}{}{} {}{}{}",
        window.mark(at, canvas),
        left(&rule.flags, 2),
        left(&rule.name, canvas.width - OTHERS),
        right(&short(rule.hits as f64), 7),
        right(&known(rule.hit_rate), 7),
        right(&short(rule.packets as f64), 7),
        right(&short(rule.bytes as f64), 7),
        right(&known(rule.packet_rate), 7),
        canvas.spark(&rule.history, SPARK),
        right(&short(rule.live as f64), 7),
        right(&last(rule, model, |idle| spaced(&age(idle))), 6)
    );
    row_line(&text, window.selected == Some(at), style, canvas)
}

/// The pane of the selected rule.
pub(super) fn details(rule: &Rule, model: &Model, height: usize, canvas: &Canvas) -> Lines {
    let plain = Style::new();
    let data = model.shown();
    let of_rule = data
        .packets
        .iter()
        .filter(|packet| packet.rules.contains(&rule.id));
    let packets: Vec<&Packet> = of_rule.collect();
    let fact =
        |name: &str, value: &str| canvas.line(&format!(" {}{value}", left(name, FACT)), plain);

    let mut lines = vec![canvas.title(&format!("{}   id {}", rule.name, rule.id))];
    lines.extend(rule.details.iter().map(|(name, value)| fact(name, value)));
    let cells = LONG_SPARK.min(canvas.width - 50);
    let sparkline = format!(
        "{}  max {}  now {}",
        canvas.spark(&rule.history, cells),
        spaced(&short(rule.history.max().into())),
        spaced(&known(rule.packet_rate))
    );
    lines.push(fact(&format!("pkt/s {}", canvas.span.name()), &sparkline));
    if !packets.is_empty() {
        let by_source = shares(&packets, |packet| packet.source.0.clone());
        lines.push(fact("by source", &by_source));
        lines.push(fact("by target", &shares(&packets, target)));
    }
    let what = match rule.allows {
        Some(false) => "denied last",
        _ => "last packets",
    };
    let room = height.saturating_sub(lines.len() + 1);
    let lost = data.lost.map_or_else(|| "-".to_owned(), full);
    lines.push(canvas.title(&format!(
        "{}showing {} of {}/s   lost {lost}",
        left(what, FACT),
        packets.len().min(room),
        spaced(&known(rule.packet_rate))
    )));
    let packets = packets.into_iter().take(room);
    lines.extend(packets.map(|packet| canvas.line(&packet_line(packet, model, canvas), plain)));
    lines
}

/// A packet in columns.
fn packet_line(packet: &Packet, model: &Model, canvas: &Canvas) -> String {
    let arrow = if canvas.look.is_ascii { "->" } else { "→" };
    let destination = format!(
        "{}/{}",
        socket(&packet.destination.0, packet.destination.1),
        packet.protocol
    );
    format!(
        " {}  {}{}{arrow} {}{}{} {}",
        packet_time(packet, model),
        left(&packet.interface, 7),
        left(&socket(&packet.source.0, packet.source.1), 26),
        left(&destination, 25),
        left(&packet.flags, 6),
        right(&format!("{} B", packet.bytes), 8),
        packet.destination_name
    )
}
