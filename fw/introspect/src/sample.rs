//! One reading of all counters: the input of rates and metrics.

use bailey_bpf::abi;
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::kernel::clock::Ticks;
use bailey_datapath::maps::recorder::{CLASSES, RecordCount, RecordRings};
use bailey_datapath::observe::counters::{Counters, InterfaceCounts};
use bailey_datapath::observe::rule_counts::RuleCounts;

use crate::counters::{CounterKey, CounterRow, counter_rows, lost_key};
use crate::events::EVENTS;
use crate::flow_stats::flow_stats_of;
use crate::live_state::LiveState;

/// The counters, kept open.
#[derive(Debug)]
pub struct Sampler {
    counters: Counters,
    recorder: Option<RecordRings>,
}

/// All counters at one time.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Counters of rules, and flows by state.
    pub rules: RuleCounts,
    /// Packets by interface, hook and reason.
    pub interfaces: Vec<InterfaceCounts>,
    /// Events of flows, by number.
    pub events: [u64; abi::FLOW_EVENTS as usize],
    /// Packets and records, by class; 0 without a recorder.
    pub records: [RecordCount; CLASSES],
}

impl LiveState {
    /// Opens the counters.
    ///
    /// # Errors
    /// If a pinned map cannot be opened.
    pub fn sampler(&self) -> Result<Sampler, DatapathError> {
        Ok(Sampler {
            counters: Counters::open(&self.pins)?,
            recorder: RecordRings::open(&self.pins).ok(),
        })
    }
}

impl Sampler {
    /// Reads the counters.
    pub fn sample(&self) -> Sample {
        let recorder = self.recorder.as_ref();
        Sample {
            rules: self.counters.rules(),
            interfaces: self.counters.interfaces(),
            events: self.counters.events(),
            records: recorder.map(RecordRings::counts).unwrap_or_default(),
        }
    }
}

impl Sample {
    /// Packets and bytes of each counter.
    pub fn counters(&self) -> impl Iterator<Item = (CounterKey, [u64; 2])> {
        self.interfaces.iter().flat_map(|interface| {
            let slot = interface.slot as u8;
            let reasons = interface.reasons.iter();
            let reasons = reasons.map(move |(&(hook, reason), count)| {
                let key = (slot, hook as u8, reason as u8);
                (key, [count.packets, count.bytes])
            });
            let lost = (interface.lost > 0).then_some((lost_key(slot), [interface.lost, 0]));
            reasons.chain(lost)
        })
    }

    /// The counters as rows, with their keys.
    pub fn counter_rows(&self) -> Vec<CounterRow> {
        counter_rows(&self.interfaces)
    }

    /// Flow statistics; `flow_table` is the fill by the same sample.
    pub fn flow_stats(&self, stamp: api::Stamp, flow_table: api::FlowTable) -> api::FlowStats {
        flow_stats_of(stamp, flow_table, self.rules.census(), &self.events)
    }

    /// Name and number of each event.
    pub fn event_names() -> impl Iterator<Item = (u32, &'static str)> {
        EVENTS.iter().map(|&(event, name, _)| (event, name))
    }

    /// Time of the last packet of a rule, in seconds since 1970, to 1.1 s.
    pub fn last_packet(&self, rule: u32) -> Option<f64> {
        self.rules.get(rule).seen.map(Ticks::unix_seconds)
    }
}
