use bailey_bpf::abi;
use bailey_bpf::reason::Reason;
use serde::Serialize;

use crate::cli::{Format, Read};
use crate::exit::Exit;
use crate::output::{json, line, table};
use crate::verbs::pinned;

#[derive(Debug, Serialize)]
struct Row {
    hook: &'static str,
    verdict: &'static str,
    reason: String,
    packets: u64,
    bytes: u64,
    help: &'static str,
}

/// Packets by hook, verdict and reason.
pub(crate) fn counters(options: &Read) -> Exit {
    let (_, counters) = match pinned::open_counters(options) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let rows: Vec<Row> = counters
        .reasons()
        .into_iter()
        .map(|((hook, number), count)| {
            let reason = Reason::of(number);
            Row {
                hook: if hook == abi::HOOK_XDP { "xdp" } else { "tc" },
                verdict: if reason.is_some_and(|reason| reason.passes) {
                    "pass"
                } else {
                    "drop"
                },
                reason: reason.map_or_else(|| number.to_string(), |r| r.name.to_owned()),
                packets: count.packets,
                bytes: count.bytes,
                help: reason.map_or("", |reason| reason.help),
            }
        })
        .collect();
    match options.output {
        Format::Json => json(&serde_json::json!({"schema_version": 1, "counters": rows})),
        Format::Table => line(&table(
            &["HOOK", "VERDICT", "REASON", "PKTS", "BYTES", "MEANING"],
            rows.iter().map(cells).collect(),
            &[3, 4],
        )),
    }
    Exit::Success
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.hook.to_owned(),
        row.verdict.to_owned(),
        row.reason.clone(),
        row.packets.to_string(),
        row.bytes.to_string(),
        row.help.to_owned(),
    ]
}
