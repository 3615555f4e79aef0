//! Answers of the daemon about a connection or a source, in lines.

use std::net::IpAddr;
use std::path::Path;

use bailey_control::api::path;
use bailey_control::api_live::{Live, LiveDecision, LiveQuery};
use bailey_control::api_records::{PacketRecord, RecordFilter, RecordsQuery, RecordsSummary};
use bailey_control::client::{self, ClientError};

use crate::json_lines;
use crate::model::Question;
use crate::number::until;
use crate::text::{escape, socket, time_of_day};

/// Most denials of a source.
const DENIALS: usize = 20;

/// Asks the daemon; a title and lines, or why there is no answer.
pub(crate) fn ask(socket_path: &Path, question: &Question) -> (String, Vec<String>) {
    let title = title_of(question);
    let lines = match question {
        Question::Connection(src, dst, protocol, port) => {
            connection(socket_path, *src, *dst, protocol, *port)
        }
        Question::Source(address) => denials(socket_path, *address),
    };
    let lines = lines.unwrap_or_else(|problem| vec![problem]);
    (title, lines.iter().map(|line| escape(line)).collect())
}

fn title_of(question: &Question) -> String {
    match question {
        Question::Connection(src, dst, protocol, port) => {
            format!(
                "now: {src} to {}/{protocol}",
                socket(&dst.to_string(), *port)
            )
        }
        Question::Source(address) => format!("last denials of {address}"),
    }
}

fn connection(
    socket_path: &Path,
    src: IpAddr,
    dst: IpAddr,
    protocol: &str,
    port: u16,
) -> Result<Vec<String>, String> {
    let protocol = bailey_config::parse_protocol(protocol)?;
    let query = LiveQuery {
        src,
        dst,
        protocol: protocol.0,
        port,
    };
    let live: Live = client::get(socket_path, path::EXPLAIN, &query).map_err(in_words)?;
    Ok(lines_of(&live))
}

fn in_words(error: ClientError) -> String {
    error.to_string()
}

/// In the order in which the datapath asks.
fn lines_of(live: &Live) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fact = |name: &str, text: String| lines.push(format!("{name:<9} {text}"));
    if !live.enforcing {
        fact("HERE", "no program is attached: every packet passes".into());
    }
    if live.warm_up {
        fact("WARM-UP", "packets that policy denies pass".into());
    }
    match live.spoofed_on.as_slice() {
        [] => fact("source", "no interface drops the address as spoofed".into()),
        on => fact(
            "SPOOFED",
            format!("dropped if the packet arrives on {}", on.join(", ")),
        ),
    }
    for flow in &live.flows {
        let under = if flow.current {
            "the active"
        } else {
            "earlier"
        };
        let text = format!(
            "{} from port {}, idle {}, {} left, under {under} policies",
            flow.state,
            flow.source_port,
            until(flow.idle_seconds),
            until(flow.left_seconds)
        );
        fact("flow", text);
    }
    if live.flows.is_empty() {
        fact("flow", "none: the next packet would be the first".into());
    }
    match live.failsafe.as_deref() {
        None => fact("failsafe", "unknown".into()),
        Some([]) => fact("failsafe", "no entry has this source and port".into()),
        Some(entries) => fact("FAILSAFE", format!("{}: passes", entries.join("; "))),
    }
    for block in &live.blocks {
        let (left, reason) = (until(block.remaining_seconds), &block.reason);
        fact("BLOCKED", format!("{} for {left}: {reason}", block.prefix));
    }
    if live.blocks.is_empty() {
        fact("blocks", "none has one of the addresses".into());
    }
    match &live.policy {
        None => fact("policy", "unknown".into()),
        Some(policy) => {
            let verdict = if policy.allowed { "ALLOW" } else { "DENY" };
            fact("policy", verdict.into());
            fact("  egress", decision(&policy.egress));
            fact("  ingress", decision(&policy.ingress));
        }
    }
    match live.flood_seconds {
        None => fact("flood", "none".into()),
        Some(seconds) => fact(
            "FLOOD",
            format!("for {}: new clients prove themselves", until(seconds)),
        ),
    }
    lines.extend(packets(
        &live.records,
        "no packet of the connection is recorded",
    ));
    lines
}

fn decision(decision: &LiveDecision) -> String {
    let verdict = if decision.allowed { "allow" } else { "deny" };
    let mut text = format!("{verdict}  {}", decision.rule);
    if !decision.isolated_by.is_empty() {
        text += &format!("  isolated by {}", decision.isolated_by.join(", "));
    }
    for limit in &decision.limits {
        text += &format!(
            "  {} of {} new connections left{}",
            limit.left,
            limit.burst,
            if limit.per_source {
                " for this source"
            } else {
                ""
            }
        );
    }
    text
}

/// The last dropped packets of an address.
fn denials(socket_path: &Path, address: IpAddr) -> Result<Vec<String>, String> {
    let filter = RecordFilter {
        from_ip: vec![address.into()],
        verdict: vec!["drop".to_owned()],
        ..RecordFilter::default()
    };
    let query = RecordsQuery {
        filter: Some(serde_json::to_string(&filter).map_err(|error| error.to_string())?),
        last: Some(DENIALS),
        ..RecordsQuery::default()
    };
    let mut records = Vec::new();
    client::stream_lines(
        socket_path,
        path::RECORDS,
        &query,
        false,
        |_: RecordsSummary| {},
        |lines| {
            records.extend(json_lines::parsed::<PacketRecord>(lines));
            true
        },
    )
    .map_err(in_words)?;
    Ok(packets(
        &records,
        "no dropped packet of this address is recorded",
    ))
}

/// Packets, the newest first.
fn packets(records: &[PacketRecord], none: &str) -> Vec<String> {
    if records.is_empty() {
        return vec![none.to_owned()];
    }
    let line = |record: &PacketRecord| {
        let end = |address: &Option<String>, port: Option<u16>| {
            socket(address.as_deref().unwrap_or("-"), port.unwrap_or_default())
        };
        format!(
            "{} {} {} to {} {} {} {}",
            time_of_day(&record.time),
            record.verdict,
            end(&record.source, record.source_port),
            end(&record.destination, record.destination_port),
            record.tcp_flags,
            record.reason,
            record.decider_names()
        )
    };
    records.iter().rev().map(line).collect()
}
