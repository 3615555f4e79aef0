use bailey_control::api::{self, path};

use crate::cli::Read;
use crate::exit::Exit;
use crate::output::table;
use crate::verbs::ask::show;
use crate::view::View;

/// Packets by interface, hook, verdict and reason.
pub(crate) fn counters(options: &Read) -> Exit {
    let text = |counters: &api::Counters| {
        table(
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
        )
    };
    show(options, path::COUNTERS, View::counters, text)
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
