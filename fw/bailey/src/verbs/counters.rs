use bailey_control::api::{self, path};

use crate::cli::{Format, Read};
use crate::exit::Exit;
use crate::output::{json, line, table};
use crate::verbs::ask::ask;
use crate::view::View;

/// Packets by interface, hook, verdict and reason.
pub(crate) fn counters(options: &Read) -> Exit {
    let counters: api::Counters = match ask(options, path::COUNTERS, View::counters) {
        Ok(counters) => counters,
        Err(exit) => return exit,
    };
    match options.output {
        Format::Json => json(&counters),
        Format::Table => line(&table(
            &[
                "INTERFACE",
                "HOOK",
                "VERDICT",
                "REASON",
                "PKTS",
                "BYTES",
                "MEANING",
            ],
            counters.counters.iter().map(cells).collect(),
            &[4, 5],
        )),
    }
    Exit::Success
}

fn cells(row: &api::Counter) -> Vec<String> {
    vec![
        row.interface.clone(),
        row.hook.clone(),
        row.verdict.clone(),
        row.reason.clone(),
        row.packets.to_string(),
        row.bytes.to_string(),
        row.help.clone(),
    ]
}
