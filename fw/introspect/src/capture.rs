//! Captured frames with names.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bailey_control::api_records::{PacketRecord, RecordFilter};
use bailey_datapath::DatapathError;
use bailey_datapath::observe::capture::{Capture, CaptureChoice};
use bailey_policy::Snapshot;

use crate::live_state::{LiveState, NamesVersion};
use crate::record_namer::RecordNamer;

/// A capture with a filter and names.
pub struct FrameSource<'a> {
    state: &'a LiveState,
    capture: Capture,
    filter: RecordFilter,
    inventory: Option<Arc<Snapshot>>,
    namer: RecordNamer,
    /// The last version of names that was tried.
    tried: NamesVersion,
}

/// A frame, and the packet in it with the names of endpoints and rules.
#[derive(Debug)]
pub struct NamedFrame {
    /// Time of the packet, to the nanosecond.
    pub time: SystemTime,
    /// The packet and its verdict.
    pub packet: PacketRecord,
    /// The first bytes of the frame.
    pub bytes: Vec<u8>,
    /// Bytes of the whole frame.
    pub frame_bytes: u64,
    /// The generation that was active when the frame was read.
    pub revision: u32,
}

impl LiveState {
    /// Captures frames that match a filter. `inventory` has the names of endpoints. `snaplen`: bytes of a
    /// frame that are copied; `duration`: time after which the programs stop by themselves. The inner error:
    /// the filter names an unknown object.
    ///
    /// # Errors
    /// If nothing is pinned, or the kernel refuses.
    pub fn capture(
        &self,
        filter: RecordFilter,
        inventory: Option<Arc<Snapshot>>,
        snaplen: u32,
        duration: Duration,
    ) -> Result<Result<FrameSource<'_>, String>, DatapathError> {
        let namer = match self.record_namer(filter.clone(), inventory.clone()) {
            Ok(namer) => namer,
            Err(message) => return Ok(Err(message)),
        };
        let choice = CaptureChoice {
            reasons: namer.reasons(),
            prefix: one_prefix(&filter),
            snaplen,
            duration,
        };
        Ok(Ok(FrameSource {
            state: self,
            capture: Capture::start(&self.pins, &choice)?,
            filter,
            inventory,
            tried: namer.version(),
            namer,
        }))
    }
}

/// A prefix that each matching packet has at one of its ends, for the programs: they then copy fewer frames.
fn one_prefix(filter: &RecordFilter) -> Option<ipnet::IpNet> {
    let choices = [&filter.ip, &filter.from_ip, &filter.to_ip];
    choices.into_iter().find_map(|prefixes| match prefixes[..] {
        [one] => Some(one),
        _ => None,
    })
}

impl FrameSource<'_> {
    /// The frames since the last call that match, in the order of their times.
    pub fn read(&mut self) -> Vec<NamedFrame> {
        self.refresh_names();
        let revision = self.tried.0;
        let frames = self.capture.read().into_iter();
        let matching = frames.filter(|frame| self.namer.is_match(&frame.packet));
        let named = matching.map(|frame| NamedFrame {
            time: frame.packet.time,
            packet: self.namer.name(&frame.packet),
            bytes: frame.bytes,
            frame_bytes: frame.frame_bytes,
            revision,
        });
        named.collect()
    }

    /// Frames that found no room, whether they match or not.
    pub fn missed(&self) -> u64 {
        self.capture.missed()
    }

    /// Reads the names again if a commit has changed them.
    fn refresh_names(&mut self) {
        let version = self.state.names_version().unwrap_or_default();
        if version == self.tried {
            return;
        }
        self.tried = version;
        // A filter may name a rule that no longer exists; the old names then stay.
        let names = self
            .state
            .record_namer(self.filter.clone(), self.inventory.clone());
        if let Ok(namer) = names {
            self.namer = namer;
        }
    }
}
