use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::kernel::mmap::Mapping;
use crate::maps::interfaces;
use crate::maps::pinned::map_pinned;
use crate::maps::pins::PinDir;

/// What one rule decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// New flows.
    pub hits: u64,
    /// Packets of all its flows.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that its rate limit did not let open a flow.
    pub limited: u64,
    /// When the last one came, if any did.
    pub seen: Option<Ticks>,
}

/// What was counted for one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// The name it was attached under.
    pub name: String,
    /// By hook and reason number.
    pub reasons: BTreeMap<(u32, u32), TrafficCount>,
    /// Frames that a bridge took in here, passed, and could not send on.
    pub lost: u64,
}

/// The counters of the programs, summed over CPUs whenever they are read.
#[derive(Debug)]
pub struct Counters {
    reasons: Mapping,
    rules: Mapping,
    events: Mapping,
    lost: Mapping,
    limits: Mapping,
    /// By slot.
    names: Vec<String>,
    cpus: usize,
    stride: usize,
}

impl Counters {
    /// Opens the counters that are pinned there.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let cpus = cpus()? as usize;
        let (reasons, _) = map_pinned(pins, "reason_counters", size_of::<abi::reason_counters>())?;
        let (rules, entries) = map_pinned(pins, "rule_counters", size_of::<abi::rule_counter>())?;
        let (events, _) = map_pinned(pins, "flow_events", size_of::<abi::flow_events>())?;
        Ok(Self {
            reasons,
            rules,
            events,
            lost: map_pinned(pins, "bridge_lost", 8)?.0,
            limits: map_pinned(pins, "limit_states", size_of::<abi::limit_state>())?.0,
            names: interfaces::slot_names(pins)?,
            cpus,
            stride: entries / cpus,
        })
    }

    /// How many rule ids have a counter.
    pub fn rule_count(&self) -> u32 {
        self.stride as u32
    }

    /// By hook and reason number, those that counted anything, on all interfaces.
    pub fn reasons(&self) -> BTreeMap<(u32, u32), TrafficCount> {
        let mut counts = BTreeMap::new();
        for slot in 0..abi::INTERFACE_SLOTS as usize {
            self.add_slot(slot, &mut counts);
        }
        counts
    }

    /// The same by interface: the name that it was attached under, what was counted, and what a
    /// bridge received on it and could not deliver. The name of what was counted for no attached
    /// interface is empty.
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
        let words = self.reasons.words();
        for cpu in 0..self.cpus {
            for hook in 0..abi::HOOKS as usize {
                let region = (cpu * abi::INTERFACE_SLOTS as usize + slot) * abi::HOOKS as usize;
                for reason in 0..abi::REASON_MAX as usize {
                    let at = ((region + hook) * abi::REASON_MAX as usize + reason) * 2;
                    let packets = words[at].load(Ordering::Relaxed);
                    if packets > 0 {
                        let count = counts.entry((hook as u32, reason as u32)).or_default();
                        count.packets += packets;
                        count.bytes += words[at + 1].load(Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// What happened to flows, by `enum flow_event`.
    pub fn events(&self) -> [u64; abi::FLOW_EVENTS as usize] {
        let line = abi::FLOW_EVENT_LINE as usize;
        let lines = self.events.words().chunks_exact(line);
        let mut sums = [0_u64; abi::FLOW_EVENTS as usize];
        for words in lines {
            for (sum, word) in sums.iter_mut().zip(words) {
                *sum += word.load(Ordering::Relaxed);
            }
        }
        sums
    }

    /// What the rule of this id decided.
    pub fn rule(&self, id: u32) -> RuleCount {
        let limited = self.limits.words().get(id as usize * 2 + 1);
        let mut count = RuleCount {
            limited: limited.map_or(0, |limited| limited.load(Ordering::Relaxed)),
            ..RuleCount::default()
        };
        let words = self.rules.words();
        for cpu in 0..self.cpus {
            let at = (cpu * self.stride + id as usize) * 4;
            let Some([hits, packets, bytes, seen]) = words.get(at..at + 4) else {
                continue;
            };
            let packets = packets.load(Ordering::Relaxed);
            count.hits += hits.load(Ordering::Relaxed);
            count.packets += packets;
            count.bytes += bytes.load(Ordering::Relaxed);
            if packets > 0 {
                let seen = Ticks(seen.load(Ordering::Relaxed) as u32);
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
