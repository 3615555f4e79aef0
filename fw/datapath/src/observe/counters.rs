//! Counters by reason, by rule and by event, summed over CPUs when they are read.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::kernel::cpu::cpus;
use crate::maps::interfaces;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::observe::rule_counts::{RuleCount, RuleCounters, RuleCounts};

const SLOTS: usize = abi::INTERFACE_SLOTS as usize;
const HOOKS: usize = abi::HOOKS as usize;

/// Counters of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// Slot of the interface.
    pub slot: usize,
    /// Name that programs were attached under.
    pub name: String,
    /// By hook and reason id.
    pub reasons: BTreeMap<(u32, u32), TrafficCount>,
    /// Frames that a bridge received here and passed, but could not transmit on the peer port.
    pub lost: u64,
}

/// The pinned counters, mapped for reading.
#[derive(Debug)]
pub struct Counters {
    reasons: MappedArray<abi::reason_counters>,
    rules: RuleCounters,
    events: MappedArray<abi::flow_events>,
    lost: MappedArray<u64>,
    /// By slot.
    names: Vec<String>,
    cpus: usize,
}

impl Counters {
    /// Opens the pinned counters.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's maps.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        Ok(Self {
            reasons: MappedArray::open(pins, "reason_counters")?,
            rules: RuleCounters::open(pins)?,
            events: MappedArray::open(pins, "flow_events")?,
            lost: MappedArray::open(pins, "bridge_lost")?,
            names: interfaces::read_slot_names(pins)?,
            cpus: cpus()? as usize,
        })
    }

    /// Nonzero counters of all interfaces together, by hook and reason id.
    pub fn reasons(&self) -> BTreeMap<(u32, u32), TrafficCount> {
        let mut counts = BTreeMap::new();
        for slot in 0..SLOTS {
            self.add_slot(slot, &mut counts);
        }
        counts
    }

    /// Counters of each interface. The name is empty for packets that belong to no attached
    /// interface.
    pub fn interfaces(&self) -> Vec<InterfaceCounts> {
        let slots = self.names.iter().enumerate();
        slots
            .map(|(slot, name)| {
                let mut reasons = BTreeMap::new();
                self.add_slot(slot, &mut reasons);
                InterfaceCounts {
                    slot,
                    name: name.clone(),
                    reasons,
                    lost: self.lost.words()[slot].load(Ordering::Relaxed),
                }
            })
            .filter(|counts| !counts.name.is_empty() || !counts.reasons.is_empty())
            .collect()
    }

    fn add_slot(&self, slot: usize, counts: &mut BTreeMap<(u32, u32), TrafficCount>) {
        for cpu in 0..self.cpus {
            for hook in 0..HOOKS {
                let region = (cpu * SLOTS + slot) * HOOKS + hook;
                for (reason, counter) in (0..).zip(&self.reasons.read(region).reason) {
                    if counter.packets > 0 {
                        let count = counts.entry((hook as u32, reason)).or_default();
                        count.packets += counter.packets;
                        count.bytes += counter.bytes;
                    }
                }
            }
        }
    }

    /// Number of flow events, by `enum flow_event`.
    pub fn events(&self) -> [u64; abi::FLOW_EVENTS as usize] {
        let mut sums = [0_u64; abi::FLOW_EVENTS as usize];
        for cpu in 0..self.events.len() {
            for (sum, count) in sums.iter_mut().zip(self.events.read(cpu).count) {
                *sum += count;
            }
        }
        sums
    }

    /// Reads the counters of all rules, in one pass over the flow table. The numbers are exact at the
    /// time of the call, and no later call returns smaller ones.
    pub fn rules(&self) -> RuleCounts {
        self.rules.read()
    }

    /// Counters of the rule with this id. Reads those of all rules; [`Self::rules`] is cheaper for
    /// several.
    pub fn rule(&self, id: u32) -> RuleCount {
        self.rules().get(id)
    }
}
