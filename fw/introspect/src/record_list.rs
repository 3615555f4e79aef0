//! Records as a list: those that a query chooses, and those that come while it follows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use bailey_clock::parse_rfc3339;
use bailey_control::LineSink;
use bailey_control::api_records::{
    LostRecords, PacketRecord, RecordFilter, RecordsQuery, RecordsSummary,
};
use bailey_datapath::DatapathError;
use bailey_policy::Snapshot;

use crate::live_state::LiveState;
use crate::records::RecordSource;

/// Pause between two readings of a follower.
const PAUSE: Duration = Duration::from_millis(20);
/// A follower reports lost records once in this time.
const REPORT: Duration = Duration::from_secs(1);
/// Size in bytes at which a chunk of lines is handed to a sink.
const CHUNK_BYTES: usize = 64 << 10;

/// The records that match a query.
#[derive(Debug)]
pub struct RecordList {
    source: RecordSource,
    /// Records that were there at the begin.
    chosen: Vec<PacketRecord>,
    summary: RecordsSummary,
    is_following: bool,
}

impl LiveState {
    /// Reads the records that a query asks for. `inventory` has the names of endpoints. The inner error:
    /// the query is invalid, or the recorder is off.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn record_list(
        &self,
        query: &RecordsQuery,
        inventory: Option<Arc<Snapshot>>,
    ) -> Result<Result<RecordList, String>, DatapathError> {
        let checked = filter_of(query).and_then(|filter| Ok((filter, Choice::of(query)?)));
        let (filter, choice) = match checked {
            Ok(checked) => checked,
            Err(message) => return Ok(Err(message)),
        };
        let from_now = query.follow && query.last == Some(0);
        let source = match self.records(filter, from_now, inventory)? {
            Ok(source) => source,
            Err(message) => return Ok(Err(message)),
        };
        Ok(Ok(RecordList::begin(source, &choice, query.follow)))
    }
}

fn filter_of(query: &RecordsQuery) -> Result<RecordFilter, String> {
    let Some(text) = &query.filter else {
        return Ok(RecordFilter::default());
    };
    serde_json::from_str(text).map_err(|error| format!("filter: {error}"))
}

/// Which of the records that are there.
struct Choice {
    last: Option<usize>,
    first: Option<usize>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Choice {
    fn of(query: &RecordsQuery) -> Result<Self, String> {
        let time = |name: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(parse_rfc3339).transpose();
            parsed.map_err(|error| format!("{name}: {error}"))
        };
        Ok(Self {
            last: query.last,
            first: query.first,
            since: time("since", &query.since)?,
            until: time("until", &query.until)?,
        })
    }

    fn of_records(&self, records: Vec<(SystemTime, PacketRecord)>) -> Vec<PacketRecord> {
        let is_in_time = |time: SystemTime| {
            self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time <= until)
        };
        let records = records.into_iter().filter(|(time, _)| is_in_time(*time));
        let records = records.map(|(_, record)| record);
        let mut kept: VecDeque<PacketRecord> =
            records.take(self.first.unwrap_or(usize::MAX)).collect();
        let last = self.last.unwrap_or(kept.len());
        kept.drain(..kept.len().saturating_sub(last));
        kept.into()
    }
}

impl RecordList {
    fn begin(mut source: RecordSource, choice: &Choice, is_following: bool) -> Self {
        let read = source.read();
        let count = source.count();
        Self {
            summary: RecordsSummary {
                oldest: read.oldest.map(bailey_clock::rfc3339_milliseconds),
                packets: count.packets,
                written: count.written,
                lost: read.lost,
            },
            chosen: choice.of_records(read.records),
            source,
            is_following,
        }
    }

    /// What the recorder has held.
    pub fn summary(&self) -> &RecordsSummary {
        &self.summary
    }

    /// Hands out the records, and while it follows those of each reading, until `accept` returns false:
    /// records in the order of their times, and how many were overwritten before they could be read.
    pub fn run(mut self, mut accept: impl FnMut(&[PacketRecord], u64) -> bool) {
        let mut goes_on = accept(&self.chosen, 0) && self.is_following;
        drop(std::mem::take(&mut self.chosen));
        let mut lost = 0;
        let mut reported = bailey_clock::now();
        while goes_on {
            sleep(PAUSE);
            let read = self.source.read();
            lost += read.lost;
            let is_due = reported.elapsed() >= REPORT;
            let records: Vec<PacketRecord> = read.records.into_iter().map(|(_, r)| r).collect();
            goes_on = accept(&records, if is_due { lost } else { 0 });
            if is_due {
                lost = 0;
                reported = bailey_clock::now();
            }
        }
    }

    /// Writes the records as JSON lines.
    pub fn write(self, sink: &mut dyn LineSink) {
        self.run(|records, lost| {
            let mut lines = Vec::new();
            for record in records {
                if serde_json::to_writer(&mut lines, record).is_ok() {
                    lines.push(b'\n');
                }
                if lines.len() >= CHUNK_BYTES && !sink.send(std::mem::take(&mut lines).into()) {
                    return false;
                }
            }
            if lost > 0 && serde_json::to_writer(&mut lines, &LostRecords { lost }).is_ok() {
                lines.push(b'\n');
            }
            match lines.is_empty() {
                true => sink.is_open(),
                false => sink.send(lines.into()),
            }
        });
    }
}
