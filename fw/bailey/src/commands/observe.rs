//! `bailey observe`: packets that the recorder has noted, and those that come.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::SystemTime;

use bailey_control::api::path;
use bailey_control::api_records::{
    EndpointName, LostRecords, PacketRecord, RecordedRule, RecordsQuery, RecordsSummary,
};
use bailey_control::client;
use bailey_introspect::LiveState;
use serde::Deserialize;

use crate::args::{ObserveArgs, RecordFormat};
use crate::commands::flow_printer::format_socket;
use crate::commands::query::{fall_back_to_pins, read_config};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::table::{Column, Table, terminal_columns};
use crate::output::{is_closed, print_bytes, print_line, stderr_line};

/// Records without `--last`, `--first`, `--all` or a time.
const LAST: usize = 20;
/// Shows records.
pub(crate) fn observe(args: &ObserveArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let query = query_of(args);
    let mut printer = Printer::new(args);
    let mut received = Received::default();
    let streamed = {
        let printer = RefCell::new(&mut printer);
        client::stream_lines(
            &config.paths.socket(),
            path::RECORDS,
            &query,
            query.follow,
            |summary: RecordsSummary| printer.borrow_mut().begin(&summary),
            |piece| printer.borrow_mut().print_all(received.push(piece)),
        )
    };
    if let Err(error) = streamed {
        // Records from the pinned maps must not follow a part of the daemon's.
        if printer.summary.is_some() {
            return Err(CommandError::IncompleteList(error));
        }
        fall_back_to_pins(&config, error)?;
        // Without names the records are still true.
        let input = PolicyInput::of_config(config.clone());
        let inventory = input.load().snapshot.map(Arc::new);
        let list = LiveState::new(config).record_list(&query, inventory)?;
        let list = list.map_err(CommandError::Usage)?;
        printer.begin(list.summary());
        list.run(|records, lost| {
            let lost = (lost > 0).then_some(Line::Lost(LostRecords { lost }));
            let records = records
                .iter()
                .cloned()
                .map(|record| Line::Record(Box::new(record)));
            printer.print_all(records.chain(lost).collect())
        });
    }
    printer.end(&query);
    Ok(Exit::Success)
}

/// The query that the command line asks for. Without a choice of old records, a follower shows only new
/// ones, and others the last [`LAST`].
fn query_of(args: &ObserveArgs) -> RecordsQuery {
    let has_time = args.since.is_some() || args.until.is_some();
    let last = match args.last {
        Some(last) => Some(last as usize),
        None if args.all || args.first.is_some() || has_time => None,
        None if args.follow => Some(0),
        None => Some(LAST),
    };
    let time = |time: Option<SystemTime>| time.map(bailey_clock::rfc3339_milliseconds);
    RecordsQuery {
        filter: serde_json::to_string(&args.record_filter()).ok(),
        last,
        first: args.first.map(|first| first as usize),
        since: time(args.since),
        until: time(args.until),
        follow: args.follow,
    }
}

/// A line of the daemon's answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Record(Box<PacketRecord>),
    Lost(LostRecords),
}

/// Received bytes of a line that is not complete yet.
#[derive(Default)]
struct Received(Vec<u8>);

impl Received {
    /// The lines that are complete with these bytes.
    fn push(&mut self, piece: &[u8]) -> Vec<Line> {
        self.0.extend_from_slice(piece);
        let Some(end) = self.0.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.0.split_off(end + 1);
        let complete = std::mem::replace(&mut self.0, rest);
        let lines = complete.split(|&byte| byte == b'\n');
        lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

/// Prints records in one format.
struct Printer {
    format: RecordFormat,
    is_numeric: bool,
    table: Table<'static, PacketRecord>,
    summary: Option<RecordsSummary>,
    has_printed: bool,
}

impl Printer {
    fn new(args: &ObserveArgs) -> Self {
        Self {
            format: args.output,
            is_numeric: args.numeric,
            table: Table::new(COLUMNS, terminal_columns(), true),
            summary: None,
            has_printed: false,
        }
    }

    /// Reports the time of the oldest record, and how many there were.
    fn begin(&mut self, summary: &RecordsSummary) {
        let oldest = summary.oldest.as_ref().map_or_else(
            || "no packet has been recorded".to_owned(),
            |time| format!("oldest record {time}"),
        );
        stderr_line!(
            "{oldest}; {} records written of {} packets, {} of them overwritten",
            summary.written,
            summary.packets,
            summary.lost
        );
        self.summary = Some(summary.clone());
    }

    /// Prints records, and reports lost ones. Returns false if standard output is closed.
    fn print_all(&mut self, lines: Vec<Line>) -> bool {
        let mut records = Vec::new();
        for line in lines {
            match line {
                Line::Record(record) => records.push(self.with_names(*record)),
                Line::Lost(LostRecords { lost }) => {
                    stderr_line!("{lost} records were overwritten before they could be read");
                }
            }
        }
        self.print(&records);
        !is_closed()
    }

    fn with_names(&self, mut record: PacketRecord) -> PacketRecord {
        if self.is_numeric {
            record.source_endpoint = None;
            record.destination_endpoint = None;
        }
        record
    }

    fn end(&self, query: &RecordsQuery) {
        let has_records = self
            .summary
            .as_ref()
            .is_some_and(|known| known.oldest.is_some());
        if !self.has_printed && has_records && !query.follow {
            stderr_line!("no record matches");
        }
    }

    fn print(&mut self, records: &[PacketRecord]) {
        if records.is_empty() {
            return;
        }
        self.has_printed = true;
        match self.format {
            RecordFormat::Table => print_bytes(self.table.format_rows(records).as_bytes()),
            RecordFormat::Compact => print_each(records, compact),
            RecordFormat::Dict => print_each(records, dict),
            RecordFormat::Json => print_each(records, |record| {
                serde_json::to_string(record).unwrap_or_default()
            }),
        }
    }
}

/// Prints records in one write, so that a follower of a flood does not fall behind.
fn print_each(records: &[PacketRecord], format: impl Fn(&PacketRecord) -> String) {
    let lines: Vec<String> = records.iter().map(format).collect();
    print_line(&lines.join("\n"));
}

fn compact(record: &PacketRecord) -> String {
    let mut line = format!(
        "{} {} {} {} {}",
        record.time,
        interface(record),
        record.traffic_direction,
        record.verdict.to_uppercase(),
        record.reason
    );
    if let Some(protocol) = &record.protocol {
        line += &format!(" {protocol} {} -> {}", source(record), destination(record));
    }
    if !record.tcp_flags.is_empty() {
        line += &format!(" {}", record.tcp_flags);
    }
    line += &format!(" {} B", record.bytes);
    match deciders(record) {
        by if by.is_empty() => line,
        by => format!("{line} by {by}"),
    }
}

fn dict(record: &PacketRecord) -> String {
    let mut lines = vec![
        ("time", record.time.clone()),
        ("interface", interface(record)),
        ("direction", record.traffic_direction.clone()),
        ("verdict", record.verdict.clone()),
        ("reason", record.reason.clone()),
    ];
    if let Some(protocol) = &record.protocol {
        lines.push(("protocol", protocol.clone()));
        lines.push(("source", source(record)));
        lines.push(("destination", destination(record)));
        let ends = [&record.source_endpoint, &record.destination_endpoint];
        let addresses = [&record.source, &record.destination];
        for (name, (endpoint, address)) in ["from", "to"].iter().zip(ends.iter().zip(addresses)) {
            if let (Some(_), Some(address)) = (endpoint, address) {
                lines.push((name, address.clone()));
            }
        }
    }
    if record.zone != 0 {
        lines.push(("zone", record.zone.to_string()));
    }
    if !record.tcp_flags.is_empty() {
        lines.push(("flags", record.tcp_flags.clone()));
    }
    lines.push(("bytes", record.bytes.to_string()));
    if record.segments != 1 {
        lines.push(("segments", record.segments.to_string()));
    }
    for (name, rule) in [
        ("egress", &record.egress_rule),
        ("ingress", &record.ingress_rule),
    ] {
        if let Some(rule) = rule {
            lines.push((name, format!("{} {}", verb(rule), rule.name.rule)));
        }
    }
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name:>11}: {value}\n"));
    lines.collect()
}

const COLUMNS: &[Column<PacketRecord>] = &[
    Column::text("TIME", 0, |row| row.time.clone()),
    Column::text("INTERFACE", 4, interface),
    Column::text("DIRECTION", 3, |row| row.traffic_direction.clone()),
    Column::text("VERDICT", 0, |row| row.verdict.clone()),
    Column::text("REASON", 0, |row| row.reason.clone()),
    Column::text("PROTO", 2, |row| row.protocol.clone().unwrap_or_default()),
    Column::text("SRC", 0, source),
    Column::text("DST", 0, destination),
    Column::text("FLAGS", 5, |row| row.tcp_flags.clone()),
    Column::number("BYTES", 6, |row| row.bytes),
    Column::text("BY", 1, deciders),
];

fn interface(record: &PacketRecord) -> String {
    record.interface.clone().unwrap_or_else(|| "-".to_owned())
}

fn source(record: &PacketRecord) -> String {
    let address = record.source.as_deref();
    format_end(address, record.source_endpoint.as_ref(), record.source_port)
}

fn destination(record: &PacketRecord) -> String {
    let (address, endpoint) = (record.destination.as_deref(), &record.destination_endpoint);
    format_end(address, endpoint.as_ref(), record.destination_port)
}

/// The name of an end, or its address, and its port.
fn format_end(address: Option<&str>, endpoint: Option<&EndpointName>, port: Option<u16>) -> String {
    let port = port.unwrap_or_default();
    match endpoint {
        Some(EndpointName {
            namespace, name, ..
        }) => {
            let name = match namespace.as_str() {
                "" => name.clone(),
                namespace => format!("{namespace}/{name}"),
            };
            format_socket(&name, port)
        }
        None => format_socket(address.unwrap_or("-"), port),
    }
}

fn verb(rule: &RecordedRule) -> &'static str {
    if rule.denies {
        "denied by"
    } else {
        "allowed by"
    }
}

/// The rules that decided: those that deny, or else all.
fn deciders(record: &PacketRecord) -> String {
    let rules = [&record.egress_rule, &record.ingress_rule];
    let rules = || rules.into_iter().flatten();
    let is_denied = rules().any(|rule| rule.denies);
    let deciding = rules().filter(|rule| rule.denies == is_denied);
    let mut names: Vec<&str> = deciding.map(|rule| &*rule.name.rule).collect();
    names.dedup();
    names.join(", ")
}
