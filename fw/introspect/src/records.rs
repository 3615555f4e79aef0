//! Records of packets: reads the pinned rings, filters, and names.

use std::sync::Arc;
use std::time::SystemTime;

use bailey_control::api_records::{PacketRecord, RecordFilter};
use bailey_datapath::DatapathError;
use bailey_datapath::maps::recorder::{RecordCount, RecordCursor};
use bailey_datapath::observe::records::RecordReader;
use bailey_policy::Snapshot;

use crate::live_state::LiveState;
use crate::record_namer::RecordNamer;

/// The recorder, with a filter and names.
#[derive(Debug)]
pub(crate) struct RecordSource {
    reader: RecordReader,
    cursor: RecordCursor,
    namer: RecordNamer,
}

/// The records of one reading that match the filter, in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// The records with their exact times.
    pub records: Vec<(SystemTime, PacketRecord)>,
    /// Records of any kind that were overwritten before they were read.
    pub lost: u64,
    /// Time of the oldest record that was read, whether it matches or not.
    pub oldest: Option<SystemTime>,
}

impl LiveState {
    /// Opens the recorder. `from_now`: only records of later packets. `inventory` has the names of
    /// endpoints. The inner error: the filter names an unknown object, or the recorder is off.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub(crate) fn records(
        &self,
        filter: RecordFilter,
        from_now: bool,
        inventory: Option<Arc<Snapshot>>,
    ) -> Result<Result<RecordSource, String>, DatapathError> {
        let reader = RecordReader::open(&self.pins)?;
        if !reader.is_on() {
            return Ok(Err(
                "the recorder is off: recorder.records is 0 in the configuration of the running Bailey"
                    .to_owned(),
            ));
        }
        let namer = self.record_namer(filter, inventory);
        Ok(namer.map(|namer| RecordSource {
            cursor: reader.cursor(from_now),
            reader,
            namer,
        }))
    }
}

impl RecordSource {
    /// Reads the records since the last call.
    pub(crate) fn read(&mut self) -> Records {
        let batch = self.reader.read(&mut self.cursor);
        let oldest = batch.records.first().map(|record| record.time);
        let records = batch.records.iter();
        let matching = records.filter(|record| self.namer.is_match(record));
        Records {
            records: matching.map(|r| (r.time, self.namer.name(r))).collect(),
            lost: batch.lost,
            oldest,
        }
    }

    /// Packets and records of all classes since the recorder began.
    pub(crate) fn count(&self) -> RecordCount {
        let counts = self.reader.counts();
        RecordCount {
            packets: counts.iter().map(|count| count.packets).sum(),
            written: counts.iter().map(|count| count.written).sum(),
        }
    }
}
