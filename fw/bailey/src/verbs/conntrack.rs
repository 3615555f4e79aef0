use bailey_datapath::clock::Ticks;
use bailey_datapath::flows::{Flow, FlowTable, state_name};
use serde::Serialize;

use crate::cli::{Format, Read};
use crate::exit::Exit;
use crate::output::{json, line, table};
use crate::rule_names::RuleNames;
use crate::verbs::pinned;

#[derive(Debug, Serialize)]
struct Row {
    protocol: String,
    source: String,
    source_port: u16,
    destination: String,
    destination_port: u16,
    state: &'static str,
    idle_seconds: u64,
    packets: u64,
    bytes: u64,
    reply_packets: u64,
    reply_bytes: u64,
    egress_rule: String,
    ingress_rule: String,
}

/// All flows in the table.
pub(crate) fn list(options: &Read) -> Exit {
    let pinned = match pinned::open(options) {
        Ok(pinned) => pinned,
        Err(exit) => return exit,
    };
    let flows = match FlowTable::open(&pinned.pins) {
        Ok(flows) => flows,
        Err(error) => return pinned::fail(&error),
    };
    let now = Ticks::now();
    let mut rows: Vec<Row> = flows
        .iter()
        .map(|flow| row(&flow, now, &pinned.names))
        .collect();
    rows.sort_by(|a, b| {
        let key = |r: &Row| (r.protocol.clone(), r.source.clone(), r.destination.clone());
        (key(a), a.source_port).cmp(&(key(b), b.source_port))
    });
    match options.output {
        Format::Json => json(&serde_json::json!({"schema_version": 1, "flows": rows})),
        Format::Table => line(&table(
            &[
                "PROTO", "SRC", "DST", "STATE", "IDLE", "PKTS", "REPLY", "EGRESS", "INGRESS",
            ],
            rows.iter().map(cells).collect(),
            &[4, 5, 6],
        )),
    }
    Exit::Success
}

fn row(flow: &Flow, now: Ticks, names: &RuleNames) -> Row {
    Row {
        protocol: flow.protocol.to_string(),
        source: flow.source.to_string(),
        source_port: flow.source_port,
        destination: flow.destination.to_string(),
        destination_port: flow.destination_port,
        state: state_name(flow.state),
        idle_seconds: now.seconds_since(flow.seen),
        packets: flow.original.packets,
        bytes: flow.original.bytes,
        reply_packets: flow.reply.packets,
        reply_bytes: flow.reply.bytes,
        egress_rule: names.label(flow.egress_rule),
        ingress_rule: names.label(flow.ingress_rule),
    }
}

fn cells(row: &Row) -> Vec<String> {
    let side = |address: &str, port: u16| match (port, address.contains(':')) {
        (0, _) => address.to_owned(),
        (port, true) => format!("[{address}]:{port}"),
        (port, false) => format!("{address}:{port}"),
    };
    vec![
        row.protocol.clone(),
        side(&row.source, row.source_port),
        side(&row.destination, row.destination_port),
        row.state.to_owned(),
        format!("{} s", row.idle_seconds),
        row.packets.to_string(),
        row.reply_packets.to_string(),
        row.egress_rule.clone(),
        row.ingress_rule.clone(),
    ]
}
