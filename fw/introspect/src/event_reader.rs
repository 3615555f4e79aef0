//! Records as they come, for the daemon, with the number of packets for which each stands.

use std::time::Duration;

use bailey_datapath::maps::recorder::{CLASSES, RecordCount, RecordCursor};
use bailey_datapath::observe::records::{PacketRecord, RecordReader, Sampling};
use bailey_datapath::{DatapathError, PinDir};

use crate::live_state::LiveState;

/// Pause between two readings while little comes.
const PAUSE: Duration = Duration::from_millis(100);
/// Pause while more comes. Half a ring of 4096 records then lasts for 100 000 packets per second and CPU, if
/// they come evenly; from there on the programs sample.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Reads all records, and adapts the sampling to the time between two readings.
#[derive(Debug)]
pub struct EventReader {
    reader: RecordReader,
    pins: PinDir,
    cursor: RecordCursor,
    sampling: Sampling,
    pause: Duration,
    counts: [RecordCount; CLASSES],
}

/// The records of one reading, in the order of their times.
#[derive(Debug, Default)]
pub struct EventBatch {
    /// The records.
    pub records: Vec<PacketRecord>,
    /// Records that were overwritten before they were read, by class.
    pub lost: [u64; CLASSES],
    /// Packets for which each record stands, by class.
    pub weights: [u64; CLASSES],
    /// Time until the next reading.
    pub pause: Duration,
}

impl LiveState {
    /// Opens the recorder for the daemon, behind the newest record; `None` if the recorder is off.
    ///
    /// # Errors
    /// If a pinned map cannot be opened.
    pub fn event_reader(&self) -> Result<Option<EventReader>, DatapathError> {
        let reader = RecordReader::open(&self.pins)?;
        if !reader.is_on() {
            return Ok(None);
        }
        reader.reset_sampling()?;
        Ok(Some(EventReader {
            cursor: reader.cursor(true),
            counts: reader.counts(),
            pins: self.pins.clone_handle()?,
            sampling: Sampling::default(),
            pause: PAUSE,
            reader,
        }))
    }
}

impl EventReader {
    /// Reads the records since the last call.
    pub fn read(&mut self) -> EventBatch {
        // A process without the right to write reads what there is; the daemon has the right.
        let sooner = (self.pause.as_millis() / BUSY_PAUSE.as_millis()) as u64;
        let adapted = self
            .reader
            .adapt_sampling(&self.cursor, &mut self.sampling, sooner);
        self.pause = match adapted.unwrap_or_default() {
            true => BUSY_PAUSE,
            false => PAUSE,
        };
        let batch = self.reader.read(&mut self.cursor);
        let counts = self.reader.counts();
        let mut weights = [1; CLASSES];
        for (weight, (now, before)) in weights.iter_mut().zip(counts.iter().zip(&self.counts)) {
            let packets = now.packets.saturating_sub(before.packets);
            let written = now.written.saturating_sub(before.written).max(1);
            *weight = ((packets + written / 2) / written).max(1);
        }
        self.counts = counts;
        EventBatch {
            records: batch.records,
            lost: batch.lost_by_class,
            weights,
            pause: self.pause,
        }
    }

    /// Reads the names of interfaces again.
    pub fn refresh_names(&mut self) {
        // Without a map of names the last ones stay.
        let _ = self.reader.refresh_names(&self.pins);
    }

    /// Lets every packet leave a record, before the daemon ends.
    pub fn reset_sampling(&self) {
        let _ = self.reader.reset_sampling();
    }
}
