//! Prints flows while they arrive. Memory holds one block of the list, never the whole list.

use std::fmt::Write as _;

use bailey_control::api::Stamp;
use bailey_tui::text::socket;
use serde::Deserialize;
use serde_json::Value;

use crate::args::{ListArgs, ListFormat};
use crate::output::table::{Cell, Column, Table};
use crate::output::{is_closed, print_bytes, print_line};

/// The fields of a flow that a table shows; serde skips the others.
#[derive(Deserialize)]
struct Row {
    protocol: String,
    source: String,
    source_port: u16,
    destination: String,
    destination_port: u16,
    state: String,
    idle_seconds: u64,
    left_seconds: u64,
    packets: u64,
    bytes: u64,
    reply_packets: u64,
    reply_bytes: u64,
    bytes_per_second: Option<u64>,
    egress_rule: Decider,
    ingress_rule: Decider,
}

/// The rule that decided one side.
#[derive(Deserialize)]
struct Decider {
    rule: String,
}

/// Header of the column that only lists sorted by rate have.
const RATE: &str = "RATE";

const COLUMNS: &[Column<Row>] = &[
    Column::text("PROTO", 0, |row| row.protocol.clone()),
    Column::text("SRC", 0, |row| socket(&row.source, row.source_port)),
    Column::text("DST", 0, |row| {
        socket(&row.destination, row.destination_port)
    }),
    Column::text("STATE", 0, |row| row.state.clone()),
    Column {
        header: "IDLE",
        rank: 2,
        cell: Cell::Scale(
            |row| format!("{} s", row.idle_seconds),
            |row| Some(row.idle_seconds),
        ),
    },
    Column {
        header: "LEFT",
        rank: 7,
        cell: Cell::Scale(
            |row| format!("{} s", row.left_seconds),
            |row| Some(row.left_seconds),
        ),
    },
    Column::number("PKTS", 3, |row| row.packets),
    Column::number("REPLY", 4, |row| row.reply_packets),
    Column::number("BYTES", 5, |row| row.bytes + row.reply_bytes),
    Column {
        header: RATE,
        rank: 0,
        cell: Cell::Scale(
            |row| {
                row.bytes_per_second
                    .map_or_else(String::new, |rate| format!("{rate} B/s"))
            },
            |row| row.bytes_per_second,
        ),
    },
    Column::text("EGRESS", 6, |row| row.egress_rule.rule.clone()),
    Column::text("INGRESS", 1, |row| row.ingress_rule.rule.clone()),
];

/// Rows of a table that are printed together; the first block fixes the widths of the columns.
const BLOCK_ROWS: usize = 1000;

/// Converts a stream of NDJSON lines into the output format.
pub(super) struct FlowPrinter {
    output: ListFormat,
    table: Table<'static, Row>,
    has_flows: bool,
    /// Rows that wait for their block to be full.
    rows: Vec<Row>,
}

impl FlowPrinter {
    /// `has_rates`: the flows come with bytes per second.
    pub(super) fn new(args: &ListArgs, has_rates: bool) -> Self {
        let table = Table::new(COLUMNS, args.terminal_width(), !args.no_headers)
            .sorted_by(args.sort.as_ref());
        Self {
            output: args.output,
            table: if has_rates {
                table
            } else {
                table.without(RATE)
            },
            has_flows: false,
            rows: Vec::new(),
        }
    }

    /// Begins the list; prints the fields of the stamp in JSON and YAML.
    pub(super) fn begin(&self, stamp: &Stamp) {
        match self.output {
            ListFormat::Json => {
                let mut stamp = serde_json::to_string(stamp).unwrap_or_default();
                stamp.pop();
                print_bytes(format!("{stamp},\"flows\":[").as_bytes());
            }
            ListFormat::Yaml => {
                print_bytes(
                    serde_saphyr::to_string(stamp)
                        .unwrap_or_default()
                        .as_bytes(),
                );
                print_bytes(b"flows:");
            }
            _ => {}
        }
    }

    /// Prints whole lines. Returns false if standard output is closed.
    pub(super) fn push(&mut self, lines: &[u8]) -> bool {
        self.print_flows(lines);
        !is_closed()
    }

    /// Ends the list; prints the last block of a table.
    pub(super) fn end(&mut self) {
        match self.output {
            ListFormat::Json => print_line("\n]}"),
            ListFormat::Yaml if self.has_flows => {}
            ListFormat::Yaml => print_line(" []"),
            ListFormat::Table | ListFormat::Wide if !self.has_flows => {
                print_line("no matching flows")
            }
            _ => self.print_rows(),
        }
    }

    fn print_flows(&mut self, lines: &[u8]) {
        if self.output == ListFormat::Ndjson {
            print_bytes(lines);
            return;
        }
        let mut out = String::new();
        for bytes in lines.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()) {
            match self.output {
                ListFormat::Json => {
                    out.push_str(if self.has_flows { ",\n" } else { "\n" });
                    out.push_str(&String::from_utf8_lossy(bytes));
                }
                ListFormat::Yaml => {
                    if !self.has_flows {
                        out.push('\n');
                    }
                    let value: Option<Value> = serde_json::from_slice(bytes).ok();
                    out.push_str(&serde_saphyr::to_string(&[value]).unwrap_or_default());
                }
                ListFormat::Name => {
                    if let Ok(row) = serde_json::from_slice::<Row>(bytes) {
                        let _ = writeln!(
                            out,
                            "{} {} -> {}",
                            row.protocol,
                            socket(&row.source, row.source_port),
                            socket(&row.destination, row.destination_port)
                        );
                    }
                }
                ListFormat::Table | ListFormat::Wide | ListFormat::Ndjson => {
                    self.rows.extend(serde_json::from_slice::<Row>(bytes));
                    if self.rows.len() >= BLOCK_ROWS {
                        self.print_rows();
                    }
                }
            }
            self.has_flows = true;
        }
        print_bytes(out.as_bytes());
    }

    fn print_rows(&mut self) {
        if !self.rows.is_empty() {
            print_bytes(self.table.format_rows(&self.rows).as_bytes());
            self.rows.clear();
        }
    }
}
