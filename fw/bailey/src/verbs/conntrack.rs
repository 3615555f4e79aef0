use bailey_control::api::{self, path};

use crate::cli::Read;
use crate::exit::Exit;
use crate::output::table;
use crate::verbs::ask::show;
use crate::view::View;

/// All flows in the table.
pub(crate) fn list(options: &Read) -> Exit {
    show(options, path::FLOWS, View::flows, |flows: &api::Flows| {
        table(
            &[
                "PROTO", "SRC", "DST", "STATE", "IDLE", "PKTS", "REPLY", "EGRESS", "INGRESS",
            ],
            flows.flows.iter().map(cells).collect(),
            &[4, 5, 6],
        )
    })
}

fn cells(row: &api::Flow) -> Vec<String> {
    let side = |address: &str, port: u16| match (port, address.contains(':')) {
        (0, _) => address.to_owned(),
        (port, true) => format!("[{address}]:{port}"),
        (port, false) => format!("{address}:{port}"),
    };
    vec![
        row.protocol.clone(),
        side(&row.source, row.source_port),
        side(&row.destination, row.destination_port),
        row.state.clone(),
        format!("{} s", row.idle_seconds),
        row.packets.to_string(),
        row.reply_packets.to_string(),
        row.egress_rule.clone(),
        row.ingress_rule.clone(),
    ]
}

/// How full the table is, and what happened to flows.
pub(crate) fn stats(options: &Read) -> Exit {
    show(options, path::FLOW_STATS, View::flow_stats, stats_text)
}

fn stats_text(stats: &api::FlowStats) -> String {
    let states = stats.states.iter();
    let states = table(
        &["STATE", "FLOWS"],
        states
            .map(|state| vec![state.name.clone(), state.count.to_string()])
            .collect(),
        &[1],
    );
    let events = stats.events.iter();
    let events = table(
        &["EVENT", "COUNT", "MEANING"],
        events
            .map(|event| {
                vec![
                    event.name.clone(),
                    event.count.to_string(),
                    event.help.clone(),
                ]
            })
            .collect(),
        &[1],
    );
    [fill(&stats.flow_table), states, events].join("\n\n")
}

/// The fill in one line.
pub(crate) fn fill(flow_table: &api::FlowTable) -> String {
    let api::FlowTable {
        flows,
        limit,
        slots,
        idle_time_percent,
    } = flow_table;
    let percent = flows * 100 / (*limit).max(1);
    let mut text = format!("{flows} flows, {percent} % of {limit} ({slots} places)");
    if *idle_time_percent < 100 {
        text.push_str(&format!("; idle times are scaled to {idle_time_percent} %"));
    }
    text
}
