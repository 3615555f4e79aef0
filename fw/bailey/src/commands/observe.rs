//! `bailey observe`: packets that the recorder has noted, and those that come.

use std::cell::RefCell;
use std::time::SystemTime;

use bailey_control::api_records::{LostRecords, RecordsQuery, RecordsSummary};

use crate::args::ObserveArgs;
use crate::commands::query::read_config;
use crate::commands::record_lines::{RecordLine, read_records};
use crate::commands::record_printer::RecordPrinter;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{is_closed, stderr_line};

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
        filter: serde_json::to_string(&args.filter.record_filter()).ok(),
        last,
        first: args.first.map(|first| first as usize),
        since: time(args.since),
        until: time(args.until),
        follow: args.follow,
    }
}

/// Prints records, and what a list of them is about.
struct Printer {
    records: RecordPrinter,
    summary: Option<RecordsSummary>,
    has_printed: bool,
}

impl Printer {
    fn new(args: &ObserveArgs) -> Self {
        Self {
            records: RecordPrinter::new(args.output, args.numeric),
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
                RecordLine::Record(record) => records.push(*record),
                RecordLine::Lost(LostRecords { lost }) => {
                    stderr_line!("{lost} records were overwritten before they could be read");
                }
            }
        }
        self.has_printed |= !records.is_empty();
        self.records.print(records);
        !is_closed()
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
}
