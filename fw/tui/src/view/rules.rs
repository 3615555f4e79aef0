//! Rules: which one did what, now and in all.

use ratatui::text::Line;

use crate::data::{Packet, Rule};
use crate::model::{Model, View, orders, shown_rows};
use crate::number::{age, known, short};
use crate::text::{left, right};
use crate::view::rule_cells::{counts_since, last, packet_line, title_parts, verdict};
use crate::view::rules_wide;
use crate::view::table::{Window, row_line, window};
use crate::view::{Canvas, Lines};

/// Lines of the pane below the list.
pub(crate) fn pane_lines(model: &Model, canvas: &Canvas) -> usize {
    match model.has_details && !canvas.is_narrow() {
        true if canvas.is_large() => rules_wide::pane_lines(canvas),
        true => canvas.height * 2 / 5,
        false => 0,
    }
}

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let list = model.list();
    let rows = shown_rows(&data.rules, list, &orders::RULES);
    if data.rules.is_empty() {
        return super::empty(
            canvas,
            "no rules: the daemon has sent none yet, or no policy is active",
        );
    }
    if canvas.is_narrow() {
        let window = window(&rows, list, canvas.height - 1);
        let mut lines = vec![header(0, canvas)];
        lines.extend(
            window
                .visible(&rows)
                .map(|(at, rule)| row(rule, at, &window, model, canvas)),
        );
        return lines;
    }
    let pane = pane_lines(model, canvas);
    let window = window(&rows, list, canvas.height - 2 - pane);
    let is_large = canvas.is_large();
    let mut lines = match is_large {
        true => vec![
            rules_wide::title(model, &window, canvas),
            rules_wide::header(canvas),
        ],
        false => vec![title(model, &window, canvas), header(list.columns, canvas)],
    };
    lines.extend(window.visible(&rows).map(|(at, rule)| match is_large {
        true => rules_wide::row(rule, at, &window, model, canvas),
        false => row(rule, at, &window, model, canvas),
    }));
    let selected = window.selected.or_else(|| (!rows.is_empty()).then_some(0));
    if let Some(rule) = selected.map(|at| rows[at]).filter(|_| pane > 0) {
        lines.resize(
            canvas.height - pane,
            canvas.line("", ratatui::style::Style::new()),
        );
        lines.extend(match is_large {
            true => rules_wide::details(rule, model, pane, canvas),
            false => details(rule, model, pane, canvas),
        });
    }
    lines
}

fn title(model: &Model, window: &Window, canvas: &Canvas) -> Line<'static> {
    let first = title_parts(model, window, canvas).join("  ");
    canvas.split(&first, &counts_since(model), ratatui::style::Style::new())
}

/// The headers of a choice of columns.
pub(crate) fn header(columns: usize, canvas: &Canvas) -> Line<'static> {
    let name = left("RULE", name_width(columns, canvas));
    let text = match (canvas.is_narrow(), columns) {
        (true, _) => format!(" A  {name}   PKT/s 60 s   LAST"),
        (false, 0) => format!(
            " A  {name}   HIT/s   PKT/s {}   LIVE LAST",
            left(canvas.span.name(), spark_width(canvas))
        ),
        (false, 1) => format!(" A  {name}    HITS    PKTS   BYTES   LIVE LAST"),
        (false, _) => format!(" A  {name}   PKT/s LAST"),
    };
    canvas.line(&text, canvas.look.strong())
}

fn spark_width(canvas: &Canvas) -> usize {
    match canvas.width {
        0..80 => 6,
        80..120 => 12,
        _ => 20,
    }
}

fn name_width(columns: usize, canvas: &Canvas) -> usize {
    let others = match (canvas.is_narrow(), columns) {
        (true, _) => 20 + spark_width(canvas),
        (false, 0) => 34 + spark_width(canvas),
        (false, 1) => 41,
        (false, _) => 18,
    };
    canvas.width - others
}

/// A rule.
pub(crate) fn row(
    rule: &Rule,
    at: usize,
    window: &Window,
    model: &Model,
    canvas: &Canvas,
) -> Line<'static> {
    let columns = if canvas.is_narrow() {
        0
    } else {
        model.lists[View::Rules.index()].columns
    };
    let (sign, style) = verdict(rule, canvas);
    let flag = rule.flags.chars().next().unwrap_or(' ');
    let idle = right(&last(rule, model, age), 5);
    let rate = right(&known(rule.packet_rate), 8);
    let live = right(&short(rule.live as f64), 7);
    let cells = canvas.spark(&rule.history, spark_width(canvas));
    let number = |value: u64| right(&short(value as f64), 8);
    let columns = match (canvas.is_narrow(), columns) {
        (true, _) => format!("{rate} {cells}{idle}"),
        (false, 0) => format!(
            "{}{rate} {cells}{live}{idle}",
            right(&known(rule.hit_rate), 8)
        ),
        (false, 1) => format!(
            "{}{}{}{live}{idle}",
            number(rule.hits),
            number(rule.packets),
            number(rule.bytes)
        ),
        (false, _) => format!("{rate}{idle}"),
    };
    let width = name_width(model.lists[View::Rules.index()].columns, canvas);
    let name = left(&rule.name, width);
    let text = format!("{}{sign}{flag} {name}{columns}", window.mark(at, canvas));
    row_line(&text, window.selected == Some(at), style, canvas)
}

/// The pane of the selected rule: its last packets, and what else is known.
fn details(rule: &Rule, model: &Model, height: usize, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let plain = ratatui::style::Style::new();
    let denies = rule.allows == Some(false);
    let what = if denies {
        "what it denied last"
    } else {
        "its last recorded packets"
    };
    let mut lines = vec![canvas.title(&format!("{}: {what}", sentence_name(&rule.name)))];
    let of_rule = data
        .packets
        .iter()
        .filter(|packet| packet.rules.contains(&rule.id));
    let packets: Vec<&Packet> = of_rule.take(height.saturating_sub(4)).collect();
    lines.extend(
        packets
            .iter()
            .map(|packet| canvas.line(&packet_line(packet, model, canvas), plain)),
    );
    let isolated = rule.details.iter().find(|(name, _)| *name == "isolated by");
    let fact = match isolated.or_else(|| rule.details.first()) {
        Some((name, value)) => format!("{name} {value}"),
        None => format!("id {}", rule.id),
    };
    let lost = data
        .lost
        .map_or_else(|| "-".to_owned(), crate::number::full);
    let showing = format!(
        "showing {} of {}/s  lost {lost}",
        packets.len(),
        known(rule.packet_rate)
    );
    let text = crate::text::ends(&format!(" {fact}"), &showing, canvas.width);
    lines.push(canvas.line(&text, plain));
    lines
}

/// `default-deny in, shop` for `shop default-deny in (2 policies)`; else the name.
fn sentence_name(name: &str) -> String {
    let deny = name.split_once(" default-deny ");
    deny.map_or_else(
        || name.to_owned(),
        |(namespace, rest)| {
            let direction = rest.split(' ').next().unwrap_or_default();
            format!("default-deny {direction}, {namespace}")
        },
    )
}
