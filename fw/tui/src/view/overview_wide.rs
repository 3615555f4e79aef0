//! Everything on one wide screen.

use ratatui::style::Style;
use ratatui::text::Line;

use crate::data::{Data, Mode, Rule, Talker};
use crate::model::{ListState, Model, orders, shown_rows};
use crate::number::{age, full, known, left as time_left, percent, short, spaced};
use crate::spark::History;
use crate::text::{left, right};
use crate::view::gauges::{event_count, fill_bar, known_count, when};
use crate::view::rule_cells::{last, verdict};
use crate::view::table::row_line;
use crate::view::{Canvas, Lines};

/// Columns of the left panes with their margins.
const LEFT: usize = 60;
/// Kinds of drops, each with a line.
const KINDS: [&str; 4] = ["policy", "defence", "packet", "capacity"];
/// Rows of rules, sources and blocks.
const TOP: usize = 5;

/// The view.
pub(super) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let mut lines = vec![canvas.line("", Style::new())];
    lines.extend(side_by_side(
        "packets in /s, 60 s",
        arriving(data, canvas),
        "drops /s, 60 s, by kind",
        dropped(data, canvas),
        canvas,
    ));
    lines.push(canvas.line("", Style::new()));
    lines.extend(side_by_side(
        "flow table",
        flow_table(data, canvas),
        "health",
        health(model),
        canvas,
    ));
    lines.push(canvas.line("", Style::new()));
    lines.extend(rules(model, canvas));
    lines.extend(sources(data, canvas));
    lines.push(canvas.title("last changes"));
    lines.extend(changes(data, canvas));
    lines.extend(blocks(data, canvas));
    lines
}

/// Two panes with their titles.
fn side_by_side(
    one: &str,
    left_lines: Vec<String>,
    other: &str,
    right_lines: Vec<String>,
    canvas: &Canvas,
) -> Lines {
    let width = canvas.width - LEFT - 2;
    let heading = |title: &str, to: usize| {
        let rest = to.saturating_sub(title.len() + 1);
        let rule: String = std::iter::repeat_n(canvas.look.rule(), rest).collect();
        format!("{title} {rule}")
    };
    let pair =
        |one: &str, other: &str| format!(" {}  {} ", left(one, LEFT - 2), left(other, width));
    let title = pair(&heading(one, LEFT - 2), &heading(other, width));
    let mut lines = vec![canvas.line(&title, canvas.look.strong())];
    let empty = String::new();
    for at in 0..left_lines.len().max(right_lines.len()) {
        let one = left_lines.get(at).unwrap_or(&empty);
        let other = right_lines.get(at).unwrap_or(&empty);
        lines.push(canvas.line(&pair(one, other), Style::new()));
    }
    lines
}

/// Packets by interface, new and live flows.
fn arriving(data: &Data, canvas: &Canvas) -> Vec<String> {
    let row = |name: &str, history: &History, rest: String| {
        let rate = spaced(&known(history.last().map(f64::from)));
        format!(
            "{}{} {} {rest}",
            left(name, 6),
            canvas.spark(history, 30),
            right(&rate, 7)
        )
    };
    // Two lines are for flows.
    let mut lines: Vec<String> = data
        .nics
        .iter()
        .take(2)
        .map(|nic| {
            let bits = nic
                .bytes
                .map_or_else(|| "-".to_owned(), |bytes| super::frame::bits(bytes * 8.0));
            row(&nic.name, &nic.packets, right(&bits, 10))
        })
        .collect();
    lines.push(row("new", &data.flows.history("inserted"), String::new()));
    lines.push(row("live", &data.flows.live_history, String::new()));
    lines
}

fn dropped(data: &Data, canvas: &Canvas) -> Vec<String> {
    let line = |kind: &&str| {
        let mut sum = History::default();
        let of_kind = data.drops.iter().filter(|drop| drop.kind == *kind);
        let rate: f64 = of_kind.clone().filter_map(|drop| drop.rate).sum();
        of_kind.for_each(|drop| sum.add(&drop.history));
        let cells = canvas.spark(&sum, 30);
        format!(
            "{}{cells} {}",
            left(kind, 10),
            right(&spaced(&short(rate)), 7)
        )
    };
    KINDS.iter().map(line).collect()
}

fn flow_table(data: &Data, canvas: &Canvas) -> Vec<String> {
    let flows = &data.flows;
    let (used, slots) = flows.slots;
    let number = |value: u64| spaced(&known_count(flows, value));
    let share = spaced(&percent(flows.shrinks_from as f64, flows.limit as f64));
    let shrink = when(flows.shrink);
    let events = |names: &[&str]| event_count(flows, names);
    vec![
        format!(
            "[{}] {}",
            fill_bar(flows, 48, canvas),
            spaced(&percent(used as f64, slots as f64))
        ),
        format!(
            "live {}  closing {}  half-open {}  of {}",
            number(flows.live),
            number(flows.closing),
            number(flows.half_open),
            number(slots)
        ),
        format!(
            "idle times shrink {shrink}, at {share} of {} live",
            number(flows.limit)
        ),
        format!(
            "refused {}   evicted live {}   lost events {}",
            events(&["refused-full", "refused-contention"]),
            events(&["evicted-idle"]),
            data.lost.map_or_else(|| "-".to_owned(), full)
        ),
    ]
}

/// Interfaces, policies and the daemon: in order, or not.
fn health(model: &Model) -> Vec<String> {
    let data = model.shown();
    let nics: Vec<String> = data
        .nics
        .iter()
        .take(3)
        .map(|nic| {
            let sign = if nic.is_up && nic.is_complete {
                '+'
            } else {
                '!'
            };
            format!("{sign} {} {}", nic.name, nic.mode)
        })
        .collect();
    let mut lines = vec![
        nics.join("   "),
        format!(
            "+ policy r{}, {} rules",
            data.revision,
            full(data.rules.len() as u64)
        ),
    ];
    lines.extend(data.facts.first().map(|fact| format!("+ {fact}")));
    lines.push(match data.problems.len() {
        0 => "+ no problem".to_owned(),
        problems => format!("! {problems} problems: see 0 Health"),
    });
    lines
}

fn rules(model: &Model, canvas: &Canvas) -> Lines {
    let name = canvas.width - 78;
    let header = format!(
        " A  {}   HIT/s   PKT/s  BYTE/s {}    LIVE  LAST",
        left("RULE", name - 2),
        left(canvas.span.name(), 30)
    );
    let mut lines = vec![
        canvas.title("top rules by packets/s"),
        canvas.line(&header, canvas.look.strong()),
    ];
    let list = ListState::default();
    let top = shown_rows(&model.shown().rules, &list, &orders::RULES);
    lines.extend(
        top.iter()
            .take(TOP)
            .map(|rule| rule_line(rule, model, name, canvas)),
    );
    lines
}

fn rule_line(rule: &Rule, model: &Model, name: usize, canvas: &Canvas) -> Line<'static> {
    let (sign, style) = verdict(rule, canvas);
    let flag = rule.flags.chars().next().unwrap_or(' ');
    let text = format!(
        " {sign}{flag} {}{}{}{} {}{}{}",
        left(&rule.name, name - 2),
        right(&known(rule.hit_rate), 8),
        right(&known(rule.packet_rate), 8),
        right(&known(rule.byte_rate), 8),
        canvas.spark(&rule.history, 30),
        right(&short(rule.live as f64), 8),
        right(&last(rule, model, |idle| spaced(&age(idle))), 6)
    );
    row_line(&text, false, style, canvas)
}

fn sources(data: &Data, canvas: &Canvas) -> Lines {
    let mut top: Vec<&Talker> = data.talkers.lists[0]
        .iter()
        .filter(|talker| talker.drops > 0.0)
        .collect();
    top.sort_by(|a, b| b.drops.total_cmp(&a.drops));
    let mut lines = vec![canvas.title("top sources by drops/s")];
    if top.is_empty() {
        lines.push(canvas.line("  no packet was dropped in the last minutes", Style::new()));
    }
    for talker in top.iter().take(TOP - 1) {
        let of_source = data.packets.iter();
        let last = of_source
            .clone()
            .find(|packet| !packet.passes && packet.source.0 == talker.name);
        let (by, target) = last.map_or_else(Default::default, |packet| {
            let by = if packet.rule.is_empty() {
                &packet.reason
            } else {
                &packet.rule
            };
            (by.clone(), super::drops::target(packet))
        });
        let rate = format!("{}/s", short((talker.drops * 10.0).round() / 10.0));
        let text = format!(
            "  {}{}  {}{target}",
            left(&talker.name, 20),
            right(&rate, 8),
            left(&by, 38)
        );
        lines.push(canvas.line(&text, Style::new()));
    }
    lines
}

fn changes(data: &Data, canvas: &Canvas) -> Lines {
    let line = |text: &str| canvas.line(&format!("  {text}"), Style::new());
    match data.changes.as_deref() {
        None if data.mode == Mode::Unknown => vec![line("nothing is known yet")],
        None => vec![line(&format!(
            "r{} is active; this daemon keeps no history of changes",
            data.revision
        ))],
        Some([]) => vec![line("no change yet")],
        Some(changes) => changes
            .iter()
            .take(3)
            .map(|change| {
                line(&format!(
                    "{}  r{}  {}",
                    change.time, change.revision, change.text
                ))
            })
            .collect(),
    }
}

fn blocks(data: &Data, canvas: &Canvas) -> Lines {
    let blocked = data.drops.iter().filter(|drop| drop.reason == "blocked");
    let rate: f64 = blocked.filter_map(|drop| drop.rate).sum();
    let mut lines = vec![canvas.title(&format!(
        "blocks   {}   {} drops/s",
        full(data.blocks_total),
        short(rate)
    ))];
    let shown = data.blocks.iter().take(2);
    let shown = shown.map(|block| {
        let quoted = match block.reason.as_str() {
            "" => String::new(),
            reason => format!("“{reason}”"),
        };
        format!(
            "{}{} left   {quoted}",
            left(&block.prefix, 18),
            time_left(block.left)
        )
    });
    let shown: Vec<String> = shown.map(|text| left(&text, 56)).collect();
    let text = match shown.is_empty() {
        true => "no address is blocked".to_owned(),
        false => shown.join(" "),
    };
    lines.push(canvas.line(&format!("  {text}"), Style::new()));
    lines
}
