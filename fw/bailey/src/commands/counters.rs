use bailey_control::api::{self, path};
use bailey_introspect::LiveState;

use crate::args::Listing;
use crate::commands::query::list;
use crate::exit::Exit;
use crate::output::listing::Kind;
use crate::output::table::Column;

/// Packets by interface, hook, verdict and reason.
pub(crate) fn counters(options: &Listing) -> Exit {
    list(
        options,
        path::COUNTERS,
        LiveState::counters,
        "counters",
        |counters: &mut api::Counters| &mut counters.counters,
        &COUNTERS,
    )
}

const COUNTERS: Kind<api::Counter> = Kind {
    columns: &[
        Column::text("INTERFACE", 0, |row| row.interface.clone()),
        Column::text("HOOK", 3, |row| row.hook.clone()),
        Column::text("VERDICT", 0, |row| row.verdict.clone()),
        Column::text("REASON", 0, |row| row.reason.clone()),
        Column::number("PKTS", 0, |row| row.packets),
        Column::number("BYTES", 2, |row| row.bytes),
        Column::text("MEANING", 4, |row| row.help.clone()),
    ],
    name: |row| {
        let api::Counter {
            interface,
            hook,
            reason,
            ..
        } = row;
        format!("{interface}/{hook}/{reason}")
    },
    none: "nothing is counted yet",
};
