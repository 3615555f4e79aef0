//! Bytes per second of flows: two readings of their counters, a second apart.

use std::hash::Hasher;
use std::thread::sleep;
use std::time::Duration;

use bailey_datapath::flows::table::{Flow, FlowTable};
use rustc_hash::FxHasher;

/// Time between the two readings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes per second in both directions, by slot in ascending order. 24 bytes per flow that matches.
#[derive(Debug, Default)]
pub(crate) struct FlowRates(Vec<Reading>);

/// A flow with its bytes at the first reading, later its bytes per second.
#[derive(Debug)]
struct Reading {
    slot: u32,
    /// Tells the flow from another one that has the slot later.
    flow: u64,
    bytes: u64,
}

impl FlowRates {
    /// Measures the flows that match. Takes [`INTERVAL`].
    pub(crate) fn measure(table: &FlowTable, is_match: impl Fn(&Flow) -> bool) -> Self {
        let mut known = Vec::with_capacity(table.census().used_slots as usize);
        for flow in table.iter().filter(|flow| is_match(flow)) {
            known.push(Reading {
                slot: flow.slot_index() as u32,
                flow: identity(&flow),
                bytes: bytes(&flow),
            });
        }
        let begun = bailey_clock::now();
        sleep(INTERVAL);
        let seconds = begun.elapsed().as_secs_f64();
        known.retain_mut(|reading| {
            let now = table.at(reading.slot as usize);
            let now = now.filter(|flow| identity(flow) == reading.flow);
            let grown = now.and_then(|flow| bytes(&flow).checked_sub(reading.bytes));
            reading.bytes = (grown.unwrap_or(0) as f64 / seconds).round() as u64;
            grown.is_some()
        });
        known.sort_unstable_by_key(|reading| reading.slot);
        Self(known)
    }

    /// Bytes per second of a flow; 0 if it is newer than the measurement.
    pub(crate) fn of(&self, flow: &Flow) -> u64 {
        let slot = flow.slot_index() as u32;
        let found = self.0.binary_search_by_key(&slot, |reading| reading.slot);
        found.map_or(0, |at| self.0[at].bytes)
    }
}

fn bytes(flow: &Flow) -> u64 {
    flow.original.bytes + flow.reply.bytes
}

fn identity(flow: &Flow) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytemuck::bytes_of(&flow.key));
    hasher.finish()
}
