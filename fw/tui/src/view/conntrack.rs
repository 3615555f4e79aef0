//! The flow table: how full, how fast, and its greatest flows.

use ratatui::style::Style;

use crate::data::{Flow, Flows};
use crate::model::{ListState, Model, orders, shown_rows};
use crate::number::{brief, full, known, left as time_left, percent, short};
use crate::text::{left, right};
use crate::view::conntrack_wide;
use crate::view::gauges::{fill_bar, limit_bar, when};
use crate::view::table::{Window, row_line, window};
use crate::view::{Canvas, Lines};

/// The view.
pub(crate) fn lines(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let plain = Style::new();
    let flows = &data.flows;
    if flows.slots.1 == 0 {
        return super::empty(
            canvas,
            "nothing is known about the flow table: the daemon has sent no line yet",
        );
    }
    let mut lines = head(model, canvas);
    let (used, _) = flows.slots;
    let Some(top) = data.top_flows.as_deref() else {
        lines.push(canvas.title(&format!("no flow shown of {}", full(used))));
        lines.push(canvas.line(" the flows have not been asked for yet", plain));
        return lines;
    };
    let list = model.list();
    let rows = shown_rows(top, list, &orders::FLOWS);
    let window = window(&rows, list, canvas.height.saturating_sub(lines.len() + 2));
    lines.push(canvas.title(&title(&window, used, list)));
    if rows.is_empty() {
        let why = match top.is_empty() {
            true => " the flow table is empty",
            false => " none of the flows with most bytes matches the filter",
        };
        lines.push(canvas.line(why, plain));
        return lines;
    }
    lines.push(canvas.line(&header(list.columns, canvas), canvas.look.strong()));
    for (at, flow) in window.visible(&rows) {
        let text = format!(
            "{}{}",
            window.mark(at, canvas),
            flow_line(flow, list.columns, canvas)
        );
        lines.push(row_line(&text, window.selected == Some(at), plain, canvas));
    }
    lines
}

/// Lines above the first flow.
pub(crate) fn lines_above(model: &Model, canvas: &Canvas) -> usize {
    let flows = &model.shown().flows;
    match flows.slots.1 {
        0 => 2,
        _ => head(model, canvas).len() + 2,
    }
}

/// The lines above the list.
fn head(model: &Model, canvas: &Canvas) -> Lines {
    if canvas.is_large() {
        return conntrack_wide::head(model, canvas);
    }
    let mut lines = gauges(&model.shown().flows, canvas);
    lines.extend(rates(model, canvas));
    lines
}

fn title(window: &Window, used: u64, list: &ListState) -> String {
    let by = orders::FLOWS[list.sort % orders::FLOWS.len()]
        .0
        .to_lowercase();
    let shown = match window.count {
        0 => format!("no flow shown of {}", full(used)),
        _ => format!("flows {}", window.position(used as usize)),
    };
    let filter = match list.filter.source() {
        "" => String::new(),
        source => format!("  filter {source}"),
    };
    format!("{shown}  top by {by}{filter}")
}

/// Widths of source and destination, for a choice of columns.
fn end_widths(columns: usize, canvas: &Canvas) -> (usize, usize) {
    match columns {
        0 => (23, canvas.width - 59),
        1 => (22, canvas.width - 62),
        // One column more for a longer source.
        _ => {
            let both = canvas.width - 20;
            (both / 2, both - both / 2)
        }
    }
}

fn header(columns: usize, canvas: &Canvas) -> String {
    if columns == 0 && canvas.is_large() {
        return conntrack_wide::header(canvas);
    }
    let (source, destination) = end_widths(columns, canvas);
    let ends = format!(
        " PROTO {}{}",
        left("SOURCE", source),
        left("DESTINATION", destination)
    );
    match columns {
        0 => format!("{ends}STATE IDLE  LEFT  BYTES  RATE"),
        1 => format!("{ends}STATE   PKTS  BYTES RULE"),
        _ => format!("{ends}STATE  BYTES"),
    }
}

fn gauges(flows: &Flows, canvas: &Canvas) -> Lines {
    let plain = Style::new();
    let cells = canvas.width - 15;
    let fill = fill_bar(flows, cells, canvas);
    let bar = limit_bar(flows, cells, canvas);
    let (used, slots) = flows.slots;
    let (live, limit) = (flows.live as f64, flows.limit as f64);
    let scale = flows.shrinks_from as f64 / limit.max(1.0);
    let number = brief;
    let growth = flows
        .growth
        .map_or_else(|| "-".to_owned(), |rate| format!("{rate:+.0}"));
    let at_this_rate = if flows.refuse.is_some() {
        " at this rate"
    } else {
        ""
    };
    let share = percent(scale, 1.0);
    [
        format!(" fill  [{fill}] {}", percent(used as f64, slots as f64)),
        format!(
            "       live {}  closing {}  half-open {}  denied {}  free {}  of {}",
            number(flows.live),
            number(flows.closing),
            number(flows.half_open),
            number(flows.denied),
            number(
                slots.saturating_sub(flows.live + flows.closing + flows.half_open + flows.denied)
            ),
            number(slots)
        ),
        format!(" limit [{bar}] {}", percent(live, limit)),
        format!(
            "       live flows of {}; idle times shrink at {share} {}: {}",
            number(flows.limit),
            canvas.look.mark(),
            when(flows.shrink)
        ),
        format!(
            "       live {growth}/s; new flows refused at 200%: {}{at_this_rate}",
            when(flows.refuse)
        ),
    ]
    .map(|text| canvas.line(&text, plain))
    .into()
}

fn rates(model: &Model, canvas: &Canvas) -> Lines {
    let data = model.shown();
    let flows = &data.flows;
    let rate = |names: &[&str]| format!("{}/s", known(flows.rate(names)));
    let challenged: Vec<f64> = data
        .drops
        .iter()
        .filter(|drop| ["challenged", "syn-cookie"].contains(&&*drop.reason))
        .filter_map(|drop| drop.rate)
        .collect();
    let evicted = ["evicted-closed", "evicted-half-open", "evicted-idle"];
    let cells = canvas.spark(&flows.history("inserted"), 20);
    let first = format!(
        " opened {} {cells}{}",
        left(&rate(&["inserted"]), 7),
        right(
            &format!(
                "expired {}  evicted {} ",
                rate(&["expired", "evicted-expired"]),
                rate(&evicted)
            ),
            canvas.width - 36
        )
    );
    let second = format!(
        " refused {} proven {}  retried {}   challenged {}/s  cookies {} ",
        left(&rate(&["refused-full", "refused-contention"]), 6),
        rate(&["challenge-passed"]),
        rate(&["syn-retransmitted"]),
        short(challenged.iter().sum()),
        rate(&["cookie-returned"])
    );
    vec![
        canvas.line(&first, Style::new()),
        canvas.line(&second, Style::new()),
    ]
}

fn flow_line(flow: &Flow, columns: usize, canvas: &Canvas) -> String {
    if columns == 0 && canvas.is_large() {
        return conntrack_wide::flow_line(flow, canvas);
    }
    let state = match flow.state.as_str() {
        "ESTABLISHED" => "ESTAB",
        "REPLIED" => "REPLY",
        "FIN_WAIT" => "FINW",
        "TIME_WAIT" => "TIMEW",
        "DENIED" => "DENY",
        "SYN_SENT" => "SYN",
        "SYN_RECV" => "SYNRV",
        other => other,
    };
    let (source, destination) = end_widths(columns, canvas);
    let ends = format!(
        "{}{}{}{}",
        left(&flow.protocol, 6),
        left(&flow.source, source),
        left(&flow.destination, destination),
        left(state, 5)
    );
    let bytes = right(&short(flow.bytes as f64), 7);
    match columns {
        0 => format!(
            "{ends}{}{}{bytes}{}",
            right(&format!("{}s", flow.idle), 5),
            right(&time_left(flow.left), 6),
            right(&known(flow.rate.map(|rate| rate as f64)), 6)
        ),
        1 => format!(
            "{ends}{}{bytes} {}",
            right(&short(flow.packets as f64), 7),
            flow.rule
        ),
        _ => format!("{ends}{bytes}"),
    }
}
