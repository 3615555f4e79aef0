//! The flow table on a wide screen.

use ratatui::style::Style;

use crate::data::{Flow, Flows};
use crate::model::Model;
use crate::number::{age, brief, full, known, left as time_left, percent, short, spaced, until};
use crate::spark::History;
use crate::text::{ends, left, right};
use crate::view::gauges::{event_count, fill_bar, limit_bar, when};
use crate::view::{Canvas, Lines};

/// The lines above the list.
pub(super) fn head(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let flows = &data.flows;
    let mut lines = gauges(flows, canvas);
    lines.extend(rates(flows, canvas));
    lines.extend(causes(model, canvas));
    lines
}

fn gauges(flows: &Flows, canvas: &Canvas) -> Lines {
    let plain = Style::new();
    let cells = canvas.width - 28;
    let fill = fill_bar(flows, cells, canvas);
    let limit = limit_bar(flows, cells, canvas);
    let fills = canvas.look.fills();
    let (used, slots) = flows.slots;
    let number = |value: u64| spaced(&brief(value));
    let free = slots.saturating_sub(flows.live + flows.closing + flows.half_open + flows.denied);
    let states = format!(
        "         {} live {}   {} closing {}   {} half-open {}   denied {}   {} free {}",
        fills[0],
        number(flows.live),
        fills[1],
        number(flows.closing),
        fills[2],
        number(flows.half_open),
        number(flows.denied),
        fills[3],
        number(free)
    );
    let places = format!("of {} places", number(slots));
    let share = spaced(&percent(flows.shrinks_from as f64, flows.limit as f64));
    let pressure = format!(
        "         live flows of {}    idle times shrink at {} {share}: {}    new flows refused at 200 %: {}",
        number(flows.limit),
        canvas.look.mark(),
        when(flows.shrink),
        when(flows.refuse)
    );
    let part = |part: u64, of: u64| spaced(&percent(part as f64, of as f64));
    [
        String::new(),
        format!(" fill    [{fill}]  {}", part(used, slots)),
        ends(&states, &places, canvas.width - 8),
        format!(" limit   [{limit}]  {}", part(flows.live, flows.limit)),
        pressure,
        String::new(),
    ]
    .map(|text| canvas.line(&text, plain))
    .into()
}

fn rates(flows: &Flows, canvas: &Canvas) -> Lines {
    let cells = 30 + (canvas.width - 120) / 2;
    let pane = |name: &str, history: &History, rate: Option<f64>| {
        let rate = format!("{}/s", spaced(&known(rate)));
        format!(
            "{}{}{}",
            left(name, 11),
            canvas.spark(history, cells),
            right(&rate, 10)
        )
    };
    let evicted = ["evicted-closed", "evicted-half-open", "evicted-idle"];
    let mut of_evicted = History::default();
    for name in evicted {
        of_evicted.add(&flows.history(name));
    }
    let expired = ["expired", "evicted-expired"];
    let rows = [
        (
            pane(
                "opened",
                &flows.history("inserted"),
                flows.rate(&["inserted"]),
            ),
            pane("expired", &flows.history("expired"), flows.rate(&expired)),
        ),
        (
            pane("live +/s", &flows.growing, flows.growth),
            pane("evicted", &of_evicted, flows.rate(&evicted)),
        ),
    ];
    let row = |(one, other): (String, String)| {
        let text = ends(&format!(" {one}"), &format!("{other} "), canvas.width);
        canvas.line(&text, Style::new())
    };
    let mut lines: Lines = rows.into_iter().map(row).collect();
    lines.push(canvas.line("", Style::new()));
    lines
}

/// Events that ended or refused flows, since the table exists.
fn causes(model: &Model, canvas: &Canvas) -> Lines {
    let flows = &model.shown().flows;
    let events = |names: &[&str]| event_count(flows, names);
    let first = format!(
        "  expired {}    closed or revoked {}    half-open {}    idle (last resort) {}    refused: full {}    contention {}",
        events(&["expired", "evicted-expired"]),
        events(&["evicted-closed"]),
        events(&["evicted-half-open"]),
        events(&["evicted-idle"]),
        events(&["refused-full"]),
        events(&["refused-contention"])
    );
    let second = format!(
        "  over their source's limit {}      proven {}    retried {}    cookies returned {}",
        events(&["refused-source"]),
        events(&["challenge-passed"]),
        events(&["syn-retransmitted"]),
        events(&["cookie-returned"])
    );
    let plain = Style::new();
    let mut lines = vec![
        canvas.title("evicted and refused, by cause, since start"),
        canvas.line(&first, plain),
        canvas.line(&second, plain),
    ];
    let sources = &model.shown().flow_sources;
    if !sources.is_empty() {
        let shown = sources.iter().take(4);
        let shown = shown.map(|(name, flows)| format!("{name}  {}", full(*flows)));
        lines.push(canvas.title("top sources by flows"));
        let text = format!("  {}", shown.collect::<Vec<_>>().join("     "));
        lines.push(canvas.line(&text, plain));
    }
    lines
}

/// The headers of the list.
pub(super) fn header(canvas: &Canvas) -> String {
    format!(
        " PROTO {}{}STATE        IDLE   LEFT   PKTS  BYTES BYTE/s RULE",
        left("SOURCE", 25 + extra(canvas)),
        left("DESTINATION", 22 + extra(canvas))
    )
}

/// Columns for longer addresses on each side.
fn extra(canvas: &Canvas) -> usize {
    (canvas.width - 120) / 3
}

/// A flow, without the mark.
pub(super) fn flow_line(flow: &Flow, canvas: &Canvas) -> String {
    let time = match flow.left {
        seconds @ 0..60 => until(seconds),
        3600.. => format!("{}m", time_left(flow.left)),
        _ => time_left(flow.left).replace(':', "m"),
    };
    format!(
        "{}{}{}{}{}{}{}{}{} {}",
        left(&flow.protocol, 6),
        left(&flow.source, 25 + extra(canvas)),
        left(&flow.destination, 22 + extra(canvas)),
        left(&flow.state, 12),
        right(&spaced(&age(flow.idle)), 6),
        right(&time, 7),
        right(&short(flow.packets as f64), 7),
        right(&short(flow.bytes as f64), 7),
        right(&known(flow.rate.map(|rate| rate as f64)), 7),
        flow.rule
    )
}
