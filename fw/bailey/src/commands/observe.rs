//! `bailey observe`: packets that the recorder has noted, and those that come.

use std::collections::VecDeque;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use bailey_control::api_records::{PacketRecord, RecordedRule};
use bailey_introspect::{LiveState, RecordSource, Records};

use crate::args::{ObserveArgs, RecordFormat};
use crate::commands::flow_printer::format_socket;
use crate::commands::query::read_config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::table::{Column, Table, terminal_columns};
use crate::output::{is_closed, print_bytes, print_line, stderr_line};

/// Records without `--last`, `--first`, `--all` or a time.
const LAST: u64 = 20;
/// Pause between two readings of a follower.
const PAUSE: Duration = Duration::from_millis(20);
/// A follower reports lost records once in this time.
const REPORT: Duration = Duration::from_secs(1);

/// Shows records.
pub(crate) fn observe(args: &ObserveArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    // Without a choice of old records, a follower shows only new ones.
    let has_choice = args.last.is_some() || args.all || args.since.is_some();
    let from_now = args.follow && !has_choice;
    let source = LiveState::new(config).records(args.filter.filter(), from_now)?;
    let mut source = source.map_err(CommandError::Usage)?;
    let mut printer = Printer::new(args.output);
    if !from_now {
        let records = source.read();
        report(&records, &source);
        let chosen = chosen(args, records.records);
        if chosen.is_empty() && records.oldest.is_some() {
            stderr_line!("no record matches");
        }
        printer.print(&chosen);
    }
    if args.follow {
        follow(&mut source, &mut printer);
    }
    Ok(Exit::Success)
}

/// The records that the command line asks for.
fn chosen(args: &ObserveArgs, records: Vec<(SystemTime, PacketRecord)>) -> Vec<PacketRecord> {
    let is_in_time = |time: SystemTime| {
        args.since.is_none_or(|since| time >= since) && args.until.is_none_or(|until| time <= until)
    };
    let has_time = args.since.is_some() || args.until.is_some();
    let records = records.into_iter().filter(|(time, _)| is_in_time(*time));
    let records = records.map(|(_, record)| record);
    if let Some(first) = args.first {
        return records.take(first as usize).collect();
    }
    let mut kept: VecDeque<PacketRecord> = records.collect();
    let last = match args.last {
        Some(last) => last as usize,
        None if args.all || has_time => kept.len(),
        None => LAST as usize,
    };
    kept.drain(..kept.len().saturating_sub(last));
    kept.into()
}

/// Reports the time of the oldest record, and how many are gone.
fn report(records: &Records, source: &RecordSource) {
    let count = source.count();
    let oldest = records.oldest.map_or_else(
        || "no packet has been recorded".to_owned(),
        |time| format!("oldest record {}", bailey_clock::rfc3339_milliseconds(time)),
    );
    stderr_line!(
        "{oldest}; {} records written of {} packets",
        count.written,
        count.packets
    );
}

fn follow(source: &mut RecordSource, printer: &mut Printer) {
    let mut lost = 0;
    let mut reported = bailey_clock::now();
    while !is_closed() {
        let records = source.read();
        lost += records.lost;
        let new: Vec<PacketRecord> = records.records.into_iter().map(|(_, r)| r).collect();
        printer.print(&new);
        if lost > 0 && reported.elapsed() >= REPORT {
            stderr_line!("{lost} records were overwritten before they could be read");
            lost = 0;
            reported = bailey_clock::now();
        }
        sleep(PAUSE);
    }
}

/// Prints records in one format.
struct Printer {
    format: RecordFormat,
    table: Table<'static, PacketRecord>,
}

impl Printer {
    fn new(format: RecordFormat) -> Self {
        Self {
            format,
            table: Table::new(COLUMNS, terminal_columns(), true),
        }
    }

    fn print(&mut self, records: &[PacketRecord]) {
        if records.is_empty() {
            return;
        }
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
    let address = record.source.as_deref().unwrap_or("-");
    format_socket(address, record.source_port.unwrap_or_default())
}

fn destination(record: &PacketRecord) -> String {
    let address = record.destination.as_deref().unwrap_or("-");
    format_socket(address, record.destination_port.unwrap_or_default())
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
