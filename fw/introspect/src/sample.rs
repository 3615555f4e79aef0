//! One reading of all counters: the input of rates and metrics.

use bailey_bpf::abi;
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::kernel::clock::Ticks;
use bailey_datapath::maps::control_word::ControlWord;
use bailey_datapath::maps::recorder::{CLASSES, RecordCount, RecordRings};
use bailey_datapath::observe::counters::{Counters, InterfaceCounts};
use bailey_datapath::observe::rule_counts::RuleCounts;

use crate::counters::{CounterKey, counter_rows};
use crate::events::EVENTS;
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

    /// Number of the active generation.
    ///
    /// # Errors
    /// If the pinned map cannot be read.
    pub fn generation(&self) -> Result<u32, DatapathError> {
        Ok(ControlWord::read(&self.pins)?.generation)
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
            let reasons = interface.reasons.iter();
            reasons.map(|(&(hook, reason), count)| {
                let key = (interface.slot as u8, hook as u8, reason as u8);
                (key, [count.packets, count.bytes])
            })
        })
    }

    /// The counters as rows, with their keys.
    pub fn counter_rows(&self) -> Vec<(CounterKey, api::Counter)> {
        counter_rows(&self.interfaces)
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
