use std::fmt::Write as _;

use bailey_control::api::Stamp;
use serde::Deserialize;
use serde_json::Value;

use crate::args::{ListFormat, Listing};
use crate::output::table::{Cell, Column, Table};
use crate::output::{is_closed, line, raw};

/// What a table shows of a flow; the rest of its line is skipped.
#[derive(Deserialize)]
struct Row {
    protocol: String,
    source: String,
    source_port: u16,
    destination: String,
    destination_port: u16,
    state: String,
    idle_seconds: u64,
    packets: u64,
    bytes: u64,
    reply_packets: u64,
    reply_bytes: u64,
    egress_rule: Decided,
    ingress_rule: Decided,
}

#[derive(Deserialize)]
struct Decided {
    rule: String,
}

const COLUMNS: &[Column<Row>] = &[
    Column::text("PROTO", 0, |row| row.protocol.clone()),
    Column::text("SRC", 0, |row| side(&row.source, row.source_port)),
    Column::text("DST", 0, |row| side(&row.destination, row.destination_port)),
    Column::text("STATE", 0, |row| row.state.clone()),
    Column {
        header: "IDLE",
        rank: 2,
        cell: Cell::Scale(
            |row| format!("{} s", row.idle_seconds),
            |row| Some(row.idle_seconds),
        ),
    },
    Column::number("PKTS", 3, |row| row.packets),
    Column::number("REPLY", 4, |row| row.reply_packets),
    Column::number("BYTES", 5, |row| row.bytes + row.reply_bytes),
    Column::text("EGRESS", 6, |row| row.egress_rule.rule.clone()),
    Column::text("INGRESS", 1, |row| row.ingress_rule.rule.clone()),
];

fn side(address: &str, port: u16) -> String {
    match (port, address.contains(':')) {
        (0, _) => address.to_owned(),
        (port, true) => format!("[{address}]:{port}"),
        (port, false) => format!("{address}:{port}"),
    }
}

/// Rows of a table that are written at one time; the first of them decide how wide it is.
const ROWS: usize = 1000;

/// Prints lines of flows as they come: nowhere is there more than a piece of the list.
pub(super) struct Printer {
    output: ListFormat,
    table: Table<'static, Row>,
    began: bool,
    /// Was any flow printed?
    any: bool,
    /// The begin of a line whose end has not come yet, and lines that wait for others.
    waiting: Vec<u8>,
    rows: Vec<Row>,
}

impl Printer {
    pub(super) fn new(listing: &Listing) -> Self {
        Self {
            output: listing.output,
            table: Table::new(COLUMNS, listing.width(), !listing.no_headers)
                .sorted_by(listing.sort.as_ref()),
            began: false,
            any: false,
            waiting: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Has anything come?
    pub(super) fn began(&self) -> bool {
        self.began
    }

    /// The list begins.
    pub(super) fn begin(&mut self, stamp: &Stamp) {
        self.began = true;
        match self.output {
            ListFormat::Json => {
                let mut stamp = serde_json::to_string(stamp).unwrap_or_default();
                stamp.pop();
                raw(format!("{stamp},\"flows\":[").as_bytes());
            }
            ListFormat::Yaml => {
                raw(serde_saphyr::to_string(stamp)
                    .unwrap_or_default()
                    .as_bytes());
                raw(b"flows:");
            }
            _ => {}
        }
    }

    /// More of it; false if nobody reads any more.
    pub(super) fn take(&mut self, piece: &[u8]) -> bool {
        self.waiting.extend_from_slice(piece);
        if let Some(end) = self.waiting.iter().rposition(|&byte| byte == b'\n') {
            let rest = self.waiting.split_off(end + 1);
            let lines = std::mem::replace(&mut self.waiting, rest);
            self.print(&lines);
        }
        !is_closed()
    }

    /// The list ends.
    pub(super) fn end(&mut self) {
        match self.output {
            ListFormat::Json => line("\n]}"),
            ListFormat::Yaml if self.any => {}
            ListFormat::Yaml => line(" []"),
            ListFormat::Table | ListFormat::Wide if !self.any => line("there is no such flow"),
            _ => self.print_rows(),
        }
    }

    /// Whole lines.
    fn print(&mut self, lines: &[u8]) {
        if self.output == ListFormat::Ndjson {
            raw(lines);
            return;
        }
        let mut out = String::new();
        for bytes in lines.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()) {
            match self.output {
                ListFormat::Json => {
                    out.push_str(if self.any { ",\n" } else { "\n" });
                    out.push_str(&String::from_utf8_lossy(bytes));
                }
                ListFormat::Yaml => {
                    if !self.any {
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
                            side(&row.source, row.source_port),
                            side(&row.destination, row.destination_port)
                        );
                    }
                }
                ListFormat::Table | ListFormat::Wide | ListFormat::Ndjson => {
                    self.rows.extend(serde_json::from_slice::<Row>(bytes));
                    if self.rows.len() >= ROWS {
                        self.print_rows();
                    }
                }
            }
            self.any = true;
        }
        raw(out.as_bytes());
    }

    fn print_rows(&mut self) {
        if !self.rows.is_empty() {
            raw(self.table.rows(&self.rows).as_bytes());
            self.rows.clear();
        }
    }
}
