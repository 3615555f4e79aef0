//! Records in the formats of `bailey observe` and `bailey capture`.

use bailey_control::api_records::{PacketRecord, RecordedRule};

use crate::args::RecordFormat;
use crate::commands::record_lines::{destination, format_record, interface, source};
use crate::output::table::{Column, Table, terminal_columns};
use crate::output::{print_bytes, print_line};

/// Prints records in one format.
pub(super) struct RecordPrinter {
    format: RecordFormat,
    is_numeric: bool,
    table: Table<'static, PacketRecord>,
}

impl RecordPrinter {
    /// `is_numeric`: without the names of endpoints.
    pub(super) fn new(format: RecordFormat, is_numeric: bool) -> Self {
        Self {
            format,
            is_numeric,
            table: Table::new(COLUMNS, terminal_columns(), true),
        }
    }

    pub(super) fn print(&mut self, mut records: Vec<PacketRecord>) {
        if records.is_empty() {
            return;
        }
        if self.is_numeric {
            for record in &mut records {
                record.source_endpoint = None;
                record.destination_endpoint = None;
            }
        }
        match self.format {
            RecordFormat::Table => print_bytes(self.table.format_rows(&records).as_bytes()),
            RecordFormat::Compact => print_each(&records, format_record),
            RecordFormat::Dict => print_each(&records, dict),
            RecordFormat::Json => print_each(&records, |record| {
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
    Column::text("BY", 1, PacketRecord::decider_names),
];

fn verb(rule: &RecordedRule) -> &'static str {
    if rule.denies {
        "denied by"
    } else {
        "allowed by"
    }
}
