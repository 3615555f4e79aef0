//! The counters outside the table that change with a flow: live flows per source, and the region of
//! rule counters to which only user space adds.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::{RuleSum, TrafficCount};
use crate::flows::entry::{Snapshot, counting_rules, key_of};
use crate::flows::hash::FlowHash;
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// The counters, mapped for writing.
pub(crate) struct FlowAccounts {
    pub(crate) hash: FlowHash,
    sources: MappedArray<u64>,
    rules: MappedArray<abi::rule_counter>,
    /// Index of the first rule counter of user space.
    region: usize,
    /// Rule counters per region.
    stride: usize,
}

impl FlowAccounts {
    /// Opens the pinned counters.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's maps.
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let cpus = cpus()? as usize;
        let rules = MappedArray::<abi::rule_counter>::open_writable(pins, "rule_counters")?;
        let stride = rules.len() / (cpus + 1);
        Ok(Self {
            hash: FlowHash::open(pins)?,
            sources: MappedArray::open_writable(pins, "source_flows")?,
            rules,
            region: cpus * stride,
            stride,
        })
    }

    /// Counts one live flow more for the source of a flow.
    pub(crate) fn add_to_source(&self, flow: &Snapshot) {
        for cell in self.source_cells(flow) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts one live flow less.
    pub(crate) fn subtract_from_source(&self, flow: &Snapshot) {
        for cell in self.source_cells(flow) {
            cell.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn source_cells(&self, flow: &Snapshot) -> [&AtomicU64; 2] {
        let created_by_lower = flow.meta().created_by_lower();
        let cells = self
            .hash
            .source_cells(&key_of(&flow.entry), created_by_lower);
        cells.map(|cell| &self.sources.words()[cell])
    }

    /// Adds the counters of a flow that leaves the rules of this word, and was seen last at `seen`.
    pub(crate) fn fold(&self, rules: u64, sum: TrafficCount, seen: Ticks) {
        for id in self.counted(rules) {
            self.note_seen(id, seen);
            self.field(id, offset_of!(abi::rule_counter, packets))
                .fetch_add(sum.packets, Ordering::AcqRel);
            self.field(id, offset_of!(abi::rule_counter, bytes))
                .fetch_add(sum.bytes, Ordering::AcqRel);
        }
    }

    /// Notes the counters that a flow has when it comes to the rules of this word. They are subtracted
    /// from the numbers of these rules.
    pub(crate) fn note_moved(&self, rules: u64, sum: TrafficCount) {
        for id in self.counted(rules) {
            self.field(id, offset_of!(abi::rule_counter, moved_packets))
                .fetch_add(sum.packets, Ordering::AcqRel);
            self.field(id, offset_of!(abi::rule_counter, moved_bytes))
                .fetch_add(sum.bytes, Ordering::AcqRel);
        }
    }

    /// Sets the numbers of rules, by id, from an earlier layout. May be repeated: they replace those of
    /// the last call.
    pub(crate) fn carry(&self, counts: &[RuleSum]) {
        for (id, count) in counts.iter().enumerate().take(self.stride) {
            if let Some(seen) = count.seen {
                self.note_seen(id, seen);
            }
            for (offset, number) in [
                (offset_of!(abi::rule_counter, hits), count.hits),
                (
                    offset_of!(abi::rule_counter, carried_packets),
                    count.packets,
                ),
                (offset_of!(abi::rule_counter, carried_bytes), count.bytes),
            ] {
                self.field(id, offset).store(number, Ordering::Release);
            }
        }
    }

    /// The time of a rule's last packet is that of the latest flow. Only one process writes it.
    fn note_seen(&self, id: usize, seen: Ticks) {
        let numbers = [
            offset_of!(abi::rule_counter, packets),
            offset_of!(abi::rule_counter, carried_packets),
        ];
        let counted = numbers.map(|offset| self.field(id, offset).load(Ordering::Relaxed));
        let last = self.field(id, offset_of!(abi::rule_counter, seen));
        let known = Ticks(last.load(Ordering::Relaxed) as u32);
        let known = (counted != [0; 2]).then_some(known);
        last.store(seen.latest(known).0.into(), Ordering::Relaxed);
    }

    fn counted(&self, rules: u64) -> impl Iterator<Item = usize> {
        let ids = counting_rules(rules).map(|id| id as usize);
        ids.filter(|&id| id < self.stride)
    }

    fn field(&self, id: usize, offset: usize) -> &AtomicU64 {
        self.rules.field(self.region + id, offset)
    }
}
