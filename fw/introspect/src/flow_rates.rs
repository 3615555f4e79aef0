//! Bytes per second of flows: two readings of their counters, a second apart.

use std::thread::sleep;
use std::time::Duration;

use bailey_datapath::flows::table::{Flow, FlowTable};
use rustc_hash::FxHashMap;

/// Time between the two readings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes per second in both directions, by slot. 24 bytes per flow.
#[derive(Debug, Default)]
pub(crate) struct FlowRates(FxHashMap<u32, u64>);

impl FlowRates {
    /// Measures the flows that match. Takes [`INTERVAL`].
    pub(crate) fn measure(table: &FlowTable, is_match: impl Fn(&Flow) -> bool) -> Self {
        let mut known = FxHashMap::default();
        for flow in table.iter().filter(|flow| is_match(flow)) {
            known.insert(flow.slot_index() as u32, bytes(&flow));
        }
        let begun = bailey_clock::now();
        sleep(INTERVAL);
        let seconds = begun.elapsed().as_secs_f64();
        known.retain(|slot, before| {
            // A smaller number is that of another flow, which has the slot now.
            let now = table.at(*slot as usize).map(|flow| bytes(&flow));
            let grown = now.and_then(|now| now.checked_sub(*before));
            *before = (grown.unwrap_or(0) as f64 / seconds).round() as u64;
            grown.is_some()
        });
        Self(known)
    }

    /// Bytes per second of a flow; 0 if it is newer than the measurement.
    pub(crate) fn of(&self, flow: &Flow) -> u64 {
        let slot = flow.slot_index() as u32;
        self.0.get(&slot).copied().unwrap_or(0)
    }
}

fn bytes(flow: &Flow) -> u64 {
    flow.original.bytes + flow.reply.bytes
}
