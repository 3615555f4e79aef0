//! `bailey counters`: packets by interface, hook, verdict and reason.

use bailey_control::api::{self, path};
use bailey_introspect::LiveState;

use crate::args::ListArgs;
use crate::commands::query::render_list;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::ListLayout;
use crate::output::table::Column;

/// Lists the packet counters.
pub(crate) fn list_counters(args: &ListArgs) -> Result<Exit, CommandError> {
    render_list(
        args,
        path::COUNTERS,
        LiveState::counters,
        "counters",
        |counters: &mut api::Counters| &mut counters.counters,
        &COUNTERS,
    )
}

const COUNTERS: ListLayout<api::Counter> = ListLayout {
    columns: &[
        Column::text("INTERFACE", 0, |row| row.interface.clone()),
        Column::text("HOOK", 3, |row| row.hook.clone()),
        Column::text("VERDICT", 0, |row| row.verdict.clone()),
        Column::text("KIND", 5, |row| {
            row.kind.clone().unwrap_or_else(|| "-".to_owned())
        }),
        Column::text("REASON", 0, |row| row.reason.clone()),
        Column::number("PKTS", 0, |row| row.packets),
        Column::rate("/s", 1, |row| row.packets_per_second),
        Column::number("BYTES", 2, |row| row.bytes),
        Column::text("LAST PACKET", 6, |row| {
            row.last_packet.clone().unwrap_or_else(|| "-".to_owned())
        }),
        Column::text("DESCRIPTION", 4, |row| row.help.clone()),
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
    empty: "no packets counted",
};
