//! The flow table: how full, how fast, and its greatest flows.

use ratatui::style::Style;

use crate::data::{Flow, Flows};
use crate::model::Model;
use crate::number::{brief, full, known, left as time_left, percent, short, until};
use crate::spark::gauge;
use crate::text::{left, right};
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
    let mut lines = gauges(flows, canvas);
    lines.extend(rates(model, canvas));
    let (used, _) = flows.slots;
    let top = data.top_flows.as_deref();
    let room = canvas.height.saturating_sub(lines.len() + 2);
    let count = top.map_or(0, <[Flow]>::len).min(room);
    lines.push(canvas.title(&match count {
        0 => format!("no flow shown of {}", full(used)),
        count => format!("flows 1-{count} of {}  top by bytes", full(used)),
    }));
    match top {
        None => lines.push(canvas.line(" the flows have not been asked for yet", plain)),
        Some([]) => lines.push(canvas.line(" the flow table is empty", plain)),
        Some(top) => {
            let header = format!(
                " PROTO {}{}STATE IDLE  LEFT  BYTES  RATE",
                left("SOURCE", 23),
                left("DESTINATION", canvas.width - 59)
            );
            lines.push(canvas.line(&header, canvas.look.strong()));
            lines.extend(
                top.iter()
                    .take(room)
                    .map(|flow| canvas.line(&flow_line(flow, canvas), plain)),
            );
        }
    }
    lines
}

fn gauges(flows: &Flows, canvas: &Canvas) -> Lines {
    let cells = canvas.width - 15;
    let fills = canvas.look.fills();
    let plain = Style::new();
    let parts = [
        (flows.live as f64, fills[0]),
        (flows.closing as f64, fills[1]),
        ((flows.half_open + flows.denied) as f64, fills[2]),
    ];
    let (used, slots) = flows.slots;
    let fill = gauge(cells, &parts, slots as f64, fills[3]);
    let (live, limit) = (flows.live as f64, flows.limit as f64);
    let mut bar: Vec<char> = gauge(cells, &[(live, fills[0])], limit, fills[3])
        .chars()
        .collect();
    let scale = flows.shrinks_from as f64 / limit.max(1.0);
    let mark = (scale * cells as f64).round() as usize;
    if let Some(cell) = mark.checked_sub(1).and_then(|at| bar.get_mut(at)) {
        *cell = canvas.look.mark();
    }
    let bar: String = bar.into_iter().collect();
    let number = brief;
    let when = |seconds: Option<u64>| match seconds {
        Some(0) => "now".to_owned(),
        Some(seconds) => format!("in {}", until(seconds)),
        None => "not at this rate".to_owned(),
    };
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
    let cells = flows.history("inserted").cells(20, &canvas.look.levels());
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

fn flow_line(flow: &Flow, canvas: &Canvas) -> String {
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
    format!(
        " {}{}{}{}{}{}{}{}",
        left(&flow.protocol, 6),
        left(&flow.source, 23),
        left(&flow.destination, canvas.width - 59),
        left(state, 5),
        right(&format!("{}s", flow.idle), 5),
        right(&time_left(flow.left), 6),
        right(&short(flow.bytes as f64), 7),
        right(&known(flow.rate.map(|rate| rate as f64)), 6)
    )
}
