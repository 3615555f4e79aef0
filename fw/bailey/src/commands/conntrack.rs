//! `bailey conntrack`: the flow table as a list, and its statistics.

use std::cell::{Cell, RefCell};

use bailey_config::Config;
use bailey_control::api::{self, FlowColumn, FlowQuery, FlowStats, path};
use bailey_control::client;
use bailey_introspect::LiveState;

use crate::args::{FlowFilterArgs, FlowListArgs, ListArgs, ListFormat, QueryArgs, TopColumn};
use crate::commands::flow_printer::FlowPrinter;
use crate::commands::query::{fall_back_to_pins, read_config, render};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::{describe_unknown_column, repeat};
use crate::output::table::{Column, Table, terminal_columns};
use crate::ttl::format_seconds;

/// The columns of `--sort`. The daemon sorts, so that it need not send the flows beyond `--limit`.
const SORT_COLUMNS: [(&str, FlowColumn); 12] = [
    ("PROTO", FlowColumn::Proto),
    ("SRC", FlowColumn::Src),
    ("DST", FlowColumn::Dst),
    ("STATE", FlowColumn::State),
    ("IDLE", FlowColumn::Idle),
    ("LEFT", FlowColumn::Left),
    ("PKTS", FlowColumn::Pkts),
    ("REPLY", FlowColumn::Reply),
    ("BYTES", FlowColumn::Bytes),
    ("RATE", FlowColumn::Rate),
    ("EGRESS", FlowColumn::Egress),
    ("INGRESS", FlowColumn::Ingress),
];

/// Lists the flows that match the filters.
pub(crate) fn list_flows(args: &FlowListArgs) -> Result<Exit, CommandError> {
    let query = build_query(args).map_err(CommandError::Usage)?;
    let config = read_config(&args.list.config)?;
    Ok(repeat(&args.list.watch, || {
        print_flows(&config, &args.list, &query)
    }))
}

fn build_query(args: &FlowListArgs) -> Result<FlowQuery, String> {
    let list = &args.list;
    let find_column = |name: &String| {
        let mut known = SORT_COLUMNS.iter();
        let found = known.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, column)| *column).ok_or_else(|| {
            describe_unknown_column(name, SORT_COLUMNS.iter().map(|(header, _)| *header))
        })
    };
    if list.reverse && list.sort.is_none() && args.top.is_none() {
        return Err("--reverse: the flow table is unsorted; add --sort COLUMN".to_owned());
    }
    let top = args.top.map(|_| match args.by {
        TopColumn::Bytes => FlowColumn::Bytes,
        TopColumn::Packets => FlowColumn::Pkts,
        TopColumn::Idle => FlowColumn::Idle,
        TopColumn::Left => FlowColumn::Left,
        TopColumn::Rate => FlowColumn::Rate,
    });
    let sort = list.sort.as_ref().map(find_column).transpose()?;
    Ok(FlowQuery {
        sort: sort.or(top),
        reverse: list.reverse,
        limit: list.limit.or(args.top).map(|limit| limit as usize),
        brief: matches!(
            list.output,
            ListFormat::Table | ListFormat::Wide | ListFormat::Name
        ),
        ..filter_of(&args.filter)
    })
}

/// The filters as the API has them.
pub(super) fn filter_of(args: &FlowFilterArgs) -> FlowQuery {
    FlowQuery {
        src: args.src,
        dst: args.dst,
        port: args.port,
        protocol: args.protocol.clone(),
        state: args.state.clone(),
        rule: args.rule.clone(),
        ..FlowQuery::default()
    }
}

/// Prints the flows while they arrive.
fn print_flows(config: &Config, args: &ListArgs, query: &FlowQuery) -> Result<Exit, CommandError> {
    let printer = FlowPrinter::new(args, query.sort == Some(FlowColumn::Rate));
    let printer = RefCell::new(printer);
    read_flows(
        config,
        query,
        |stamp| printer.borrow().begin(stamp),
        |lines| printer.borrow_mut().push(lines),
    )?;
    printer.into_inner().end();
    Ok(Exit::Success)
}

/// Reads flows from the daemon or from the pinned maps: `begin` gets the stamp, `accept` whole JSON lines
/// until it returns false.
///
/// # Errors
/// If neither has an answer, or the query is wrong.
pub(super) fn read_flows(
    config: &Config,
    query: &FlowQuery,
    begin: impl Fn(&api::Stamp),
    accept: impl Fn(&[u8]) -> bool,
) -> Result<(), CommandError> {
    let has_begun = Cell::new(false);
    let streamed = client::stream_lines(
        &config.paths.socket(),
        path::FLOWS,
        query,
        false,
        |stamp| {
            has_begun.set(true);
            begin(&stamp);
        },
        &accept,
    );
    let Err(error) = streamed else { return Ok(()) };
    // A list from the pinned maps must not follow a part of the daemon's list.
    if has_begun.get() {
        return Err(CommandError::IncompleteList(error));
    }
    fall_back_to_pins(config, error)?;
    let list = LiveState::new(config.clone()).flow_list(query.clone())?;
    let list = list.map_err(CommandError::Usage)?;
    begin(list.stamp());
    list.write(|lines| accept(&lines));
    Ok(())
}

/// Shows how full the table is, flows by state, and events of flows.
pub(crate) fn show_stats(args: &QueryArgs) -> Result<Exit, CommandError> {
    render(
        args,
        path::FLOW_STATS,
        LiveState::flow_stats,
        format_stats,
        |_| Exit::Success,
    )
}

fn format_stats(stats: &FlowStats) -> String {
    let width = terminal_columns();
    let states = Table::new(STATES, width, true).format_rows(&stats.states);
    let events = Table::new(EVENTS, width, true).format_rows(&stats.events);
    let mut fill = format_fill(&stats.flow_table).join("\n");
    if let Some(forecast) = &stats.forecast {
        fill += &format!("\n{}", format_forecast(forecast));
    }
    format!("{fill}\n\n{states}\n{events}")
        .trim_end()
        .to_owned()
}

/// When timeouts shrink and new flows are refused, at the growth of the last minute.
fn format_forecast(forecast: &api::FlowForecast) -> String {
    let Some(slope) = forecast.live_per_second else {
        return "growth is known after 10 s".to_owned();
    };
    let when = |seconds: Option<u64>| match seconds {
        Some(0) => "now".to_owned(),
        Some(seconds) => format!("in {}", format_seconds(seconds)),
        None => "not at this rate".to_owned(),
    };
    format!(
        "live flows {slope:+.1}/s; timeouts shrink {}; new flows are refused {}",
        when(forecast.seconds_to_shrink),
        when(forecast.seconds_to_refuse)
    )
}

const STATES: &[Column<api::NamedCount>] = &[
    Column::text("STATE", 0, |row| row.name.clone()),
    Column::number("FLOWS", 0, |row| row.count),
];

const EVENTS: &[Column<api::NamedCount>] = &[
    Column::text("EVENT", 0, |row| row.name.clone()),
    Column::number("COUNT", 0, |row| row.count),
    Column::rate("/s", 0, |row| row.per_second),
    Column::text("DESCRIPTION", 1, |row| row.help.clone()),
];

/// Fill of the table in two lines: used slots, and live flows with the scale of timeouts.
pub(crate) fn format_fill(flow_table: &api::FlowTable) -> [String; 2] {
    let api::FlowTable {
        slots_used,
        slots,
        live_flows,
        limit,
        timeout_scaling_from,
        timeout_percent,
    } = flow_table;
    let percent = |part: u64, of: u64| part * 100 / of.max(1);
    let scale = match *timeout_percent < 100 {
        true => format!("timeouts are scaled to {timeout_percent} %"),
        false => format!("timeouts are scaled from {timeout_scaling_from} on"),
    };
    [
        format!(
            "{slots_used} of {slots} slots used, {} %",
            percent(*slots_used, *slots)
        ),
        format!(
            "{live_flows} live flows of {limit}, {} %; {scale}",
            percent(*live_flows, *limit)
        ),
    ]
}
