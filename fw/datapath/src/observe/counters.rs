//! Counters by reason and by rule, summed over CPUs when they are read.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::maps::interfaces;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

const SLOTS: usize = abi::INTERFACE_SLOTS as usize;
const HOOKS: usize = abi::HOOKS as usize;

/// Counters of one rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// New flows that the rule decided.
    pub hits: u64,
    /// Packets of all its flows.
    pub packets: u64,
    /// Bytes of all its flows.
    pub bytes: u64,
    /// Packets that the rule's rate limit dropped.
    pub limited: u64,
    /// Time of the last packet.
    pub seen: Option<Ticks>,
}

/// Counters of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceCounts {
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
    rules: MappedArray<abi::rule_counter>,
    events: MappedArray<abi::flow_events>,
    lost: MappedArray<u64>,
    limits: MappedArray<abi::limit_state>,
    /// By slot.
    names: Vec<String>,
    cpus: usize,
    /// Rule counters per CPU.
    stride: usize,
}

impl Counters {
    /// Opens the pinned counters.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's maps.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let cpus = cpus()? as usize;
        let rules = MappedArray::open(pins, "rule_counters")?;
        let stride = rules.len() / cpus;
        Ok(Self {
            reasons: MappedArray::open(pins, "reason_counters")?,
            rules,
            events: MappedArray::open(pins, "flow_events")?,
            lost: MappedArray::open(pins, "bridge_lost")?,
            limits: MappedArray::open(pins, "limit_states")?,
            names: interfaces::read_slot_names(pins)?,
            cpus,
            stride,
        })
    }

    /// Number of rule ids that have a counter.
    pub fn rule_count(&self) -> u32 {
        self.stride as u32
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

    /// Counters of the rule with this id.
    pub fn rule(&self, id: u32) -> RuleCount {
        let limited = offset_of!(abi::limit_state, limited);
        let limited = self.limits.get_field(id as usize, limited);
        let mut count = RuleCount {
            limited: limited.map_or(0, |limited| limited.load(Ordering::Relaxed)),
            ..RuleCount::default()
        };
        for cpu in 0..self.cpus {
            let index = cpu * self.stride + id as usize;
            if index >= self.rules.len() {
                continue;
            }
            let counter = self.rules.read(index);
            count.hits += counter.hits;
            count.packets += counter.packets;
            count.bytes += counter.bytes;
            if counter.packets > 0 {
                let seen = Ticks(counter.seen as u32);
                let newer =
                    |old: &Ticks| seen.0.wrapping_sub(old.0) & abi::TICK_MASK < abi::TICK_MASK / 2;
                if count.seen.as_ref().is_none_or(newer) {
                    count.seen = Some(seen);
                }
            }
        }
        count
    }
}
