//! The lines on every view: state, traffic, alerts, tabs; the keys at the bottom.

use std::ops::Range;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::data::Mode;
use crate::model::{Age, Model, View};
use crate::number::{full, known, percent, share, short, spaced, until};
use crate::text::{ends, width};
use crate::view::{Canvas, Lines};

/// The lines at the top.
pub(crate) fn top(model: &Model, canvas: &Canvas) -> Lines {
    let mut lines = vec![state_line(model, canvas), traffic_line(model, canvas)];
    if !canvas.is_narrow() {
        lines.extend(alert_line(model, canvas));
    }
    lines.push(tab_line(model, canvas));
    lines
}

fn state_line(model: &Model, canvas: &Canvas) -> Line<'static> {
    let data = model.shown();
    let gap = match (canvas.is_narrow(), canvas.is_wide()) {
        (true, _) => " ",
        (false, true) => "   ",
        (false, false) => "  ",
    };
    let mode = match data.mode {
        Mode::Unknown => "-",
        Mode::Enforce => "ENFORCE",
        Mode::Audit => "AUDIT",
        Mode::Unprotected => "UNPROTECTED",
    };
    let revision = match data.confirm {
        None if data.mode == Mode::Unknown => "r-".to_owned(),
        Some(_) => format!("r{} UNCONFIRMED", data.revision),
        None => format!("r{}", data.revision),
    };
    let mut first = [data.node.as_str(), &revision, mode].join(gap);
    if !canvas.is_narrow() {
        for nic in &data.nics {
            let down = match (nic.is_up, canvas.is_wide()) {
                (false, _) => " DOWN",
                (true, true) => " up",
                (true, false) => "",
            };
            let part = if nic.is_complete { "" } else { " INCOMPLETE" };
            first += &format!("{gap}{} {}{down}{part}", nic.name, nic.mode);
        }
    }
    let age = match (&model.frozen, model.age) {
        (Some((_, seconds)), _) => format!("FROZEN {seconds} s"),
        (None, Age::Unknown) => "no data".to_owned(),
        (None, Age::Live) => "live".to_owned(),
        (None, Age::Stale(seconds)) => format!("STALE {seconds} s"),
    };
    let (day, time) = &model.clock;
    let last = match (canvas.is_narrow(), canvas.is_wide(), &data.version) {
        (true, _, _) => format!("{age} {}Z", time.get(..5).unwrap_or_default()),
        (false, true, Some(version)) => format!("bailey {version}   {age}   {day} {time}Z"),
        (false, true, None) => format!("{age}   {day} {time}Z"),
        (false, false, _) => format!("{age}  {time}Z"),
    };
    let style = match (data.mode, model.age) {
        (Mode::Unprotected, _) => canvas.look.alert(),
        (_, Age::Stale(_)) => canvas.look.warning(),
        _ => canvas.look.strong(),
    };
    canvas.split(&first, &last, style)
}

fn traffic_line(model: &Model, canvas: &Canvas) -> Line<'static> {
    let data = model.shown();
    let packets = data.packets_in.last().map(f64::from);
    let dropped = data.dropped.last().map(f64::from);
    let drop = match (packets, dropped) {
        (Some(all), Some(dropped)) => share(dropped, all),
        _ => "-".to_owned(),
    };
    let (used, slots) = data.flows.slots;
    let fill = percent(used as f64, slots as f64);
    let lost = data.lost.map_or_else(|| "-".to_owned(), full);
    let in_use = match slots {
        0 => "-".to_owned(),
        _ => short(used as f64),
    };
    if canvas.is_narrow() {
        let rate = packets.map_or_else(|| "-".to_owned(), |rate| with_unit(rate, "", "pps"));
        return canvas.split(
            &format!("{rate} drop {drop}"),
            &format!("flows {fill} lost {lost}"),
            Style::new(),
        );
    }
    let pass = match (packets, dropped) {
        (Some(all), Some(dropped)) => share(all - dropped, all),
        _ => "-".to_owned(),
    };
    let rate = packets.map_or_else(|| "- pps".to_owned(), |rate| with_unit(rate, " ", "pps"));
    let bits = data
        .bytes_in
        .map_or_else(|| "- b/s".to_owned(), |bytes| bits(bytes * 8.0));
    let new = data.flows.rate(&["inserted"]);
    if canvas.is_wide() {
        let shrink = match data.flows.shrink {
            Some(0) => "idle times shrink   ".to_owned(),
            Some(seconds) => format!("shrink in {}   ", until(seconds)),
            None => String::new(),
        };
        let first = format!(
            "in {rate}  {bits}   pass {}   drop {}   new {}/s",
            spaced(&pass),
            spaced(&drop),
            spaced(&known(new))
        );
        let last = format!(
            "flows {} {}   {shrink}lost {lost}",
            spaced(&in_use),
            spaced(&fill)
        );
        return canvas.split(&first, &last, Style::new());
    }
    let new = new.map_or_else(String::new, |rate| format!(" +{}/s", whole(rate)));
    canvas.split(
        &format!("in {rate} {bits}  pass {pass} drop {drop}"),
        &format!("flows {in_use} {fill}{new}  lost {lost}"),
        Style::new(),
    )
}

/// A rate with a unit between number and name: `3.21 Mpps`.
fn with_unit(rate: f64, gap: &str, name: &str) -> String {
    let text = short(rate);
    match text.chars().last().filter(char::is_ascii_alphabetic) {
        Some(unit) => format!("{}{gap}{unit}{name}", &text[..text.len() - 1]),
        None => format!("{text}{gap}{name}"),
    }
}

/// Bits per second with one decimal below 100: `21.0 Gb/s`.
pub(crate) fn bits(rate: f64) -> String {
    let mut scaled = rate;
    for unit in ["", "k", "M", "G"] {
        if scaled < 999.5 {
            return format!("{scaled:.1} {unit}b/s");
        }
        scaled /= 1000.0;
    }
    format!("{scaled:.1} Tb/s")
}

/// At most two digits and a unit: `18k`.
fn whole(rate: f64) -> String {
    let mut scaled = rate;
    for unit in ["", "k", "M"] {
        if scaled < 999.5 {
            return format!("{scaled:.0}{unit}");
        }
        scaled /= 1000.0;
    }
    format!("{scaled:.0}G")
}

/// Alerts, the worst first.
fn alerts(model: &Model, canvas: &Canvas) -> Vec<(String, String)> {
    let data = model.shown();
    let mut found = Vec::new();
    if data.mode == Mode::Unprotected {
        found.push((
            "! UNPROTECTED: no interface has a program, every packet passes".to_owned(),
            "0 why".to_owned(),
        ));
    }
    if let Some(confirm) = &data.confirm {
        let (minutes, seconds) = (confirm.seconds / 60, confirm.seconds % 60);
        let gap = if canvas.is_wide() { "   " } else { "  " };
        let by = match canvas.is_wide() {
            true => format!("{gap}{}", confirm.by),
            false => String::new(),
        };
        found.push((
            format!(
                "{} r{} reverts to r{} in {minutes}:{seconds:02} unless confirmed",
                canvas.look.hourglass(),
                data.revision,
                confirm.back_to
            ) + &by,
            format!("c confirm{gap}R roll back now"),
        ));
    }
    if let Some(problem) = &model.feed_problem {
        found.push((format!("! STALE: {problem}"), String::new()));
    }
    if let Some(flood) = &data.flood {
        found.push((
            format!(
                "! FLOOD for {}{}: new TCP clients prove themselves",
                until(whole_minutes(flood.seconds)),
                flood.extent
            ),
            "f why".to_owned(),
        ));
    }
    found.extend(
        data.problems
            .iter()
            .map(|problem| (format!("! {problem}"), "0 why".to_owned())),
    );
    found
}

fn alert_line(model: &Model, canvas: &Canvas) -> Option<Line<'static>> {
    let alerts = alerts(model, canvas);
    let (first, keys) = alerts.first()?;
    let more = match alerts.len() {
        1 => String::new(),
        others => format!("+{}  ", others - 1),
    };
    Some(canvas.split(first, &format!("{more}{keys}"), canvas.look.alert()))
}

/// The tabs with their columns.
pub(crate) fn tabs(model: &Model, canvas: &Canvas) -> Vec<(Range<usize>, View)> {
    let mut at = 0;
    View::ALL
        .map(|view| {
            let first = at + 1;
            at = first + width(&tab_name(view, model, canvas));
            (first..at, view)
        })
        .into()
}

fn tab_name(view: View, model: &Model, canvas: &Canvas) -> String {
    let (short, long) = view.names();
    let name = match (canvas.is_narrow(), canvas.is_wide()) {
        (true, _) => view.key().to_string(),
        (false, true) => format!("{} {long}", view.key()),
        (false, false) => format!("{} {short}", view.key()),
    };
    match view == model.view {
        true => format!("[{name}]"),
        false => name,
    }
}

fn tab_line(model: &Model, canvas: &Canvas) -> Line<'static> {
    let mut spans = Vec::new();
    for view in View::ALL {
        let style = if view == model.view {
            canvas.look.strong()
        } else {
            Style::new()
        };
        spans.push(Span::raw(" "));
        spans.push(Span::styled(tab_name(view, model, canvas), style));
    }
    let used: usize = spans.iter().map(|span| width(&span.content)).sum();
    let rest = canvas.width.saturating_sub(used);
    let counted = match canvas.is_narrow() {
        true => format!(
            "   {} {}",
            model.view.names().1,
            super::table::position(model)
        ),
        false => String::new(),
    };
    spans.push(Span::raw(ends(&counted, "", rest)));
    Line::from(spans)
}

/// The keys that work in this view.
pub(crate) fn keys(model: &Model, canvas: &Canvas) -> &'static str {
    if canvas.is_narrow() {
        return "? help  1-0 views  / filter  enter details  q quit";
    }
    match model.view {
        View::Overview if canvas.is_wide() => {
            "? help   1-0 views   / filter   enter details   b blocks   w save   space freeze   q quit"
        }
        View::Rules if canvas.is_wide() => match model.has_details {
            true => {
                "enter flows   d hide details   e explain   s S sort   o columns   / filter   z zero   w save   space freeze   ? help"
            }
            false => {
                "enter flows   d details   e explain   s S sort   o columns   / filter   z zero   w save   space freeze   ? help"
            }
        },
        View::Conntrack if canvas.is_wide() => {
            "enter rule   d details   t top sources   o columns   s sort   / filter   x delete (--rw)   space freeze   ? help"
        }
        View::Overview => "? help  1-0 views  / filter  enter details  space freeze  q quit",
        View::Rules => "enter flows  d details  s S sort  / filter  z zero  space freeze  ? help",
        View::Conntrack => {
            "enter rule  o columns  s sort  / filter  t top sources  x delete (--rw)  ? help"
        }
        View::Drops => {
            "enter samples  e explain  B block source (--rw)  w save  space freeze  ? help"
        }
        View::Talkers => {
            "B block for … (--rw)  enter flows  e explain  / filter  s sort  space freeze  ?"
        }
        View::Flows => "enter explain  / filter  t times  w save  space freeze  1-0 views  ? help",
        View::Nics | View::Blocks => {
            "j k move  s S sort  / filter  space freeze  1-0 views  ? help  q quit"
        }
        View::Changes | View::Health => "1-0 views  space freeze  ? help  q quit",
    }
}

/// Cuts a time of a minute or more to whole minutes: a banner that counts seconds flickers.
fn whole_minutes(seconds: u64) -> u64 {
    match seconds {
        0..60 => seconds,
        _ => seconds - seconds % 60,
    }
}
