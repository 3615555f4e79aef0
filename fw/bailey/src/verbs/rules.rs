use bailey_bpf::abi;
use bailey_datapath::clock::Ticks;
use serde::Serialize;

use crate::cli::{Format, Read};
use crate::exit::Exit;
use crate::output::{json, line, table};
use crate::verbs::pinned;

#[derive(Debug, Serialize)]
struct Row {
    id: u32,
    rule: String,
    hits: u64,
    packets: u64,
    bytes: u64,
    /// Seconds since the last packet; absent if there was none.
    idle_seconds: Option<u64>,
}

/// Every rule of the generation in force and what it decided.
pub(crate) fn rules(options: &Read) -> Exit {
    let (pinned, counters) = match pinned::open_counters(options) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let fixed = [abi::RULE_NOT_ISOLATED, abi::RULE_OWN_NODE, abi::RULE_SELF];
    let now = Ticks::now();
    let ids = pinned.names.rules.iter().map(|rule| rule.id).chain(fixed);
    let rows: Vec<Row> = ids
        .map(|id| {
            let count = counters.rule(id);
            Row {
                id,
                rule: pinned.names.label(id),
                hits: count.hits,
                packets: count.packets,
                bytes: count.bytes,
                idle_seconds: count.seen.map(|seen| now.seconds_since(seen)),
            }
        })
        .collect();
    match options.output {
        Format::Json => json(&serde_json::json!({
            "schema_version": 1,
            "generation": pinned.names.generation,
            "rules": rows,
        })),
        Format::Table => line(&table(
            &["RULE", "HITS", "PKTS", "BYTES", "LAST"],
            rows.iter().map(cells).collect(),
            &[1, 2, 3, 4],
        )),
    }
    Exit::Success
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.rule.clone(),
        row.hits.to_string(),
        row.packets.to_string(),
        row.bytes.to_string(),
        row.idle_seconds
            .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s ago")),
    ]
}
