use std::cell::RefCell;

use bailey_config::Config;
use bailey_control::api::{self, FlowColumn, FlowQuery, FlowStats, path};
use bailey_control::client;
use bailey_introspect::LiveState;

use crate::args::{Flows, ListFormat, Listing, Screen};
use crate::commands::query::{config, fail, go_on_without_daemon, question, show};
use crate::commands::flow_printer::Printer;
use crate::exit::Exit;
use crate::output::complain;
use crate::output::listing::{no_column, watched};
use crate::output::table::{Column, Table, terminal_columns};

/// The columns to sort by, which the daemon does: it need not send what is cut off.
const SORTED: [(&str, FlowColumn); 10] = [
    ("PROTO", FlowColumn::Proto),
    ("SRC", FlowColumn::Src),
    ("DST", FlowColumn::Dst),
    ("STATE", FlowColumn::State),
    ("IDLE", FlowColumn::Idle),
    ("PKTS", FlowColumn::Pkts),
    ("REPLY", FlowColumn::Reply),
    ("BYTES", FlowColumn::Bytes),
    ("EGRESS", FlowColumn::Egress),
    ("INGRESS", FlowColumn::Ingress),
];

/// The flows of the table.
pub(crate) fn list(options: &Flows) -> Exit {
    let listing = &options.listing;
    let query = match query(options) {
        Ok(query) => query,
        Err(message) => return question(message),
    };
    let config = match config(&listing.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    watched(&listing.watch, || once(&config, listing, &query))
}

fn query(options: &Flows) -> Result<FlowQuery, String> {
    let listing = &options.listing;
    let column = |name: &String| {
        let mut known = SORTED.iter();
        let found = known.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found
            .map(|(_, column)| *column)
            .ok_or_else(|| no_column(name, SORTED.iter().map(|(header, _)| *header)))
    };
    if listing.reverse && listing.sort.is_none() {
        return Err("--reverse: the table has no order; --sort COLUMN gives it one".to_owned());
    }
    Ok(FlowQuery {
        src: options.src,
        dst: options.dst,
        port: options.port,
        protocol: options.protocol.clone(),
        state: options.state.clone(),
        rule: options.rule.clone(),
        sort: listing.sort.as_ref().map(column).transpose()?,
        reverse: listing.reverse,
        limit: listing.limit.map(|limit| limit as usize),
        brief: matches!(
            listing.output,
            ListFormat::Table | ListFormat::Wide | ListFormat::Name
        ),
    })
}

fn once(config: &Config, listing: &Listing, query: &FlowQuery) -> Exit {
    let mut printer = Printer::new(listing);
    let answered = {
        let printer = RefCell::new(&mut printer);
        client::stream_flows(
            &config.paths.socket(),
            query,
            |stamp| printer.borrow_mut().begin(&stamp),
            |piece| printer.borrow_mut().take(piece),
        )
    };
    if let Err(error) = answered {
        if printer.began() {
            // Half a list must not look like a whole one.
            complain!("error: {error}; the list is not complete");
            return Exit::Negative;
        }
        if let Err(exit) = go_on_without_daemon(config, &error) {
            return exit;
        }
        match LiveState::new(config.clone()).flow_list(query.clone()) {
            Ok(Ok(list)) => {
                printer.begin(list.stamp());
                list.write(|piece| printer.take(&piece));
            }
            Ok(Err(message)) => return question(message),
            Err(error) => return fail(&error),
        }
    }
    printer.end();
    Exit::Success
}

/// How full the table is, and what happened to flows.
pub(crate) fn stats(options: &Screen) -> Exit {
    show(
        options,
        path::FLOW_STATS,
        LiveState::flow_stats,
        stats_text,
        |_| Exit::Success,
    )
}

fn stats_text(stats: &FlowStats) -> String {
    let width = terminal_columns();
    let states = Table::new(STATES, width, true).rows(&stats.states);
    let events = Table::new(EVENTS, width, true).rows(&stats.events);
    let fill = fill(&stats.flow_table).join("\n");
    format!("{fill}\n\n{states}\n{events}")
        .trim_end()
        .to_owned()
}

const STATES: &[Column<api::NamedCount>] = &[
    Column::text("STATE", 0, |row| row.name.clone()),
    Column::number("FLOWS", 0, |row| row.count),
];

const EVENTS: &[Column<api::NamedCount>] = &[
    Column::text("EVENT", 0, |row| row.name.clone()),
    Column::number("COUNT", 0, |row| row.count),
    Column::text("MEANING", 1, |row| row.help.clone()),
];

/// Fill of the table in two lines: slots, and the live flows that scale timeouts.
pub(crate) fn fill(flow_table: &api::FlowTable) -> [String; 2] {
    let api::FlowTable {
        slots_used,
        slots,
        live_flows,
        limit,
        timeout_scaling_from,
        timeout_percent,
    } = flow_table;
    let percent = |part: u64, of: u64| part * 100 / of.max(1);
    let mut lines = [
        format!(
            "{slots_used} of {slots} slots used, {} %",
            percent(*slots_used, *slots)
        ),
        format!(
            "{live_flows} live flows of {limit}, {} %",
            percent(*live_flows, *limit)
        ),
    ];
    lines[1].push_str(&if *timeout_percent < 100 {
        format!("; timeouts are scaled to {timeout_percent} %")
    } else {
        format!("; timeouts are scaled from {timeout_scaling_from} live flows on")
    });
    lines
}
