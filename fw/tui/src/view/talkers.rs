//! Sources, targets and ports of dropped and new packets.

use ratatui::style::Style;

use crate::data::{Data, Packet, Talker};
use crate::model::{Model, orders, shown_rows};
use crate::number::{age, count, full, known, left as time_left, short};
use crate::text::{left, right};
use crate::view::drops::{shares, target};
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
    let pane = pane_lines(model, canvas);
    let window = window(
        &rows,
        list,
        canvas.height.saturating_sub(3 + pane).min(rows.len()),
    );
    let counted = data.flows_counted.map_or_else(String::new, |seconds| {
        format!(", flows as of {} ago", age(seconds).replace('s', " s"))
    });
    let keys = "v source/target/port  m sort";
    let first = format!("talkers by {by}{counted}");
    let mut lines = vec![
        canvas.split(&first, keys, Style::new()),
        canvas.line(&header(by, canvas), canvas.look.strong()),
    ];
    for (at, talker) in window.visible(&rows) {
        let text = format!(
            "{}{}",
            window.mark(at, canvas),
            row(talker, model.talkers_by, data, canvas)
        );
        lines.push(row_line(
            &text,
            window.selected == Some(at),
            Style::new(),
            canvas,
        ));
    }
    let rest = rows.len() - window.count;
    let sum =
        |of: fn(&Talker) -> f64| short(rows.iter().map(|talker| of(talker)).sum::<f64>().round());
    let new = sum(|talker| talker.new);
    let text = match rest {
        0 => format!(
            " in all {new}/s new, {}/s drops",
            sum(|talker| talker.drops)
        ),
        _ => format!(
            " {} more; in all {new}/s new, {}/s drops",
            full(rest as u64),
            sum(|talker| talker.drops)
        ),
    };
    lines.push(canvas.line(&text, canvas.look.faint()));
    let selected = window.selected.or_else(|| (!rows.is_empty()).then_some(0));
    if let Some(talker) = selected.map(|at| rows[at]).filter(|_| pane > 0) {
        lines.extend(details(talker, model.talkers_by, data, canvas));
    }
    lines
}

/// Lines of the pane below the list.
pub(crate) fn pane_lines(model: &Model, canvas: &Canvas) -> usize {
    match model.has_details && !canvas.is_narrow() && canvas.height >= 18 {
        true => 5,
        false => 0,
    }
}

fn name_width(canvas: &Canvas) -> usize {
    match canvas.is_narrow() {
        true => canvas.width - 32,
        // A name of an IPv6 address, and rules in full on a wide screen.
        false => 21 + (canvas.width - 80) / 3,
    }
}

fn header(by: &str, canvas: &Canvas) -> String {
    let numbers = format!(
        " {}NEW/s  DROP/s",
        left(&by.to_uppercase(), name_width(canvas))
    );
    match canvas.is_narrow() {
        true => format!("{numbers}   FLOWS  BYTE/s"),
        false => format!(
            "{numbers}   FLOWS  BYTE/s {} DENIED BY",
            left("60 s (drops)", 12)
        ),
    }
}

fn row(talker: &Talker, by: usize, data: &Data, canvas: &Canvas) -> String {
    let flows = talker.flows.map_or_else(|| "-".to_owned(), count);
    let numbers = format!(
        "{}{}{}{}{}",
        left(&talker.name, name_width(canvas)),
        right(&rate(talker.new), 5),
        right(&rate(talker.drops), 8),
        right(&flows, 8),
        right(&known(talker.byte_rate), 8)
    );
    match canvas.is_narrow() {
        true => numbers,
        false => format!(
            "{numbers} {} {}",
            canvas.spark(&talker.history, 12),
            denied_by(talker, by, data)
        ),
    }
}

/// The block, the rule or the reason of the last dropped packet.
fn denied_by(talker: &Talker, by: usize, data: &Data) -> String {
    let block = data.blocks.iter().find(|block| block.prefix == talker.name);
    if let Some(block) = block {
        return format!("block {} left", time_left(block.left));
    }
    let mut dropped = of_talker(talker, by, data).filter(|packet| !packet.passes);
    dropped.next().map_or_else(
        || "-".to_owned(),
        |packet| match packet.rule.split_once(" default-deny ") {
            Some((_, direction)) => {
                let direction = direction.split(' ').next().unwrap_or_default();
                format!("default-deny {direction}")
            }
            None if packet.rule.is_empty() => packet.reason.clone(),
            None => packet.rule.clone(),
        },
    )
}

/// The last recorded packets from it, or to it in the lists of targets and ports.
fn of_talker<'a>(
    talker: &'a Talker,
    by: usize,
    data: &'a Data,
) -> impl Iterator<Item = &'a Packet> {
    let is_its = move |packet: &&Packet| match by {
        0 => packet.source.0 == talker.name,
        1 => packet.destination.0 == talker.name,
        _ => format!("{}/{}", packet.destination.1, packet.protocol) == talker.name,
    };
    data.packets.iter().filter(is_its)
}

/// The selected talker: what it sends, and how sure the numbers are.
fn details(talker: &Talker, by: usize, data: &Data, canvas: &Canvas) -> Lines {
    let plain = Style::new();
    let packets: Vec<&Packet> = of_talker(talker, by, data).collect();
    let passed = packets.iter().filter(|packet| packet.passes).count();
    let first = match packets.last() {
        None => " no packet of it is among the last recorded ones".to_owned(),
        Some(oldest) => format!(
            " recorded since {}Z: {} packets, {passed} allowed",
            oldest.time.split('.').next().unwrap_or_default(),
            packets.len()
        ),
    };
    let estimate = match talker.error > 0.0 {
        true => format!(
            " drops and new flows: estimates, at most {:.0}% too high; flows: exact",
            talker.error * 100.0
        ),
        false => " drops and new flows: counted from records; flows: exact".to_owned(),
    };
    vec![
        canvas.title(&talker.name),
        canvas.line(&first, plain),
        canvas.line(&format!(" targets  {}", shares(&packets, target)), plain),
        canvas.line(&estimate, canvas.look.faint()),
    ]
}

fn rate(value: f64) -> String {
    short((value * 10.0).round() / 10.0)
}
