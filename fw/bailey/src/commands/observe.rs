//! `bailey observe`: packets that the recorder has noted, and those that come.

use std::cell::RefCell;
use std::time::SystemTime;

use bailey_control::api_records::{
    LostRecords, PacketRecord, RecordedRule, RecordsQuery, RecordsSummary,
};

use crate::args::{ObserveArgs, RecordFormat};
use crate::commands::query::read_config;
use crate::commands::record_lines::{
    RecordLine, deciders, destination, format_record, interface, read_records, source,
};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::table::{Column, Table, terminal_columns};
use crate::output::{is_closed, print_bytes, print_line, stderr_line};

/// Records without `--last`, `--first`, `--all` or a time.
const LAST: usize = 20;
/// Shows records.
pub(crate) fn observe(args: &ObserveArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let query = query_of(args);
    let mut printer = Printer::new(args);
    let printer = RefCell::new(&mut printer);
    read_records(
        &config,
        &query,
        |summary| printer.borrow_mut().begin(summary),
        |lines| printer.borrow_mut().print_all(lines),
    )?;
    printer.borrow().end(&query);
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
    fn print_all(&mut self, lines: Vec<RecordLine>) -> bool {
        let mut records = Vec::new();
        for line in lines {
            match line {
                RecordLine::Record(record) => records.push(self.with_names(*record)),
                RecordLine::Lost(LostRecords { lost }) => {
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
            RecordFormat::Compact => print_each(records, format_record),
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

fn verb(rule: &RecordedRule) -> &'static str {
    if rule.denies {
        "denied by"
    } else {
        "allowed by"
    }
}
