//! Counters of rules. A packet of a flow counts in the flow only, so the numbers of a rule are those
//! of ended flows and those of live flows together.

use std::iter::Zip;
use std::mem::offset_of;
use std::ops::RangeFrom;
use std::sync::atomic::{Ordering, fence};
use std::vec;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::{RuleSum, TrafficCount};
use crate::flows::entry::{FlowSlots, counting_rules};
use crate::flows::table::{Census, is_live};
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::maps::rule_totals::RuleTotals;

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
    /// Its live flows; see [`Census::live`](crate::flows::table::Census::live).
    pub live: u64,
}

/// Counters of all rules, and the flows by state, read at one time.
#[derive(Debug, Clone, Default)]
pub struct RuleCounts {
    counts: Vec<RuleCount>,
    census: Census,
}

impl RuleCounts {
    /// Counters of the rule with this id.
    pub fn get(&self, id: u32) -> RuleCount {
        self.counts.get(id as usize).copied().unwrap_or_default()
    }

    /// Flows by state, counted in the same pass over the flow table.
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// All ids that may have counted a packet, with their counters.
    pub fn iter(&self) -> impl Iterator<Item = (u32, RuleCount)> {
        (0..).zip(self.counts.iter().copied())
    }

    /// Ids of rules that have counted a packet.
    pub fn counting(&self) -> impl Iterator<Item = u32> {
        let counting = self.iter().filter(|(_, count)| count.packets > 0);
        counting.map(|(id, _)| id)
    }
}

impl IntoIterator for RuleCounts {
    type Item = (u32, RuleCount);
    type IntoIter = Zip<RangeFrom<u32>, vec::IntoIter<RuleCount>>;

    fn into_iter(self) -> Self::IntoIter {
        (0..).zip(self.counts)
    }
}

/// The pinned counters of rules, and the flows that count for them.
#[derive(Debug)]
pub(crate) struct RuleCounters {
    flows: FlowSlots,
    counters: MappedArray<abi::rule_counter>,
    limits: MappedArray<abi::limit_state>,
    totals: RuleTotals,
    /// One region per CPU, and one of user space.
    regions: usize,
    /// Rule counters per region.
    stride: usize,
}

impl RuleCounters {
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let regions = cpus()? as usize + 1;
        let counters = MappedArray::<abi::rule_counter>::open(pins, "rule_counters")?;
        let stride = counters.len() / regions;
        Ok(Self {
            flows: FlowSlots::open(pins)?,
            counters,
            limits: MappedArray::open(pins, "limit_states")?,
            totals: RuleTotals::open(pins)?,
            regions,
            stride,
        })
    }

    /// Reads the counters of all rules, and stores the greatest numbers seen.
    ///
    /// The order makes every sum too low at most, whatever changes meanwhile: a flow that ends between
    /// the first two steps is missing in both, and what a flow took to new rules is subtracted last.
    /// No reader sees a number go down, because readers share the greatest numbers.
    pub(crate) fn read(&self) -> RuleCounts {
        let resets = self.totals.resets();
        let mut sums = self.folded();
        fence(Ordering::SeqCst);
        let census = self.add_live_flows(&mut sums);
        fence(Ordering::SeqCst);
        self.subtract_moved(&mut sums);
        let counts = (0..).zip(sums);
        RuleCounts {
            counts: counts
                .map(|(id, sum)| self.finish(id, sum, resets))
                .collect(),
            census,
        }
    }

    /// Numbers of ended flows, of packets without a flow, and of an earlier layout.
    fn folded(&self) -> Vec<RuleSum> {
        let mut sums = vec![RuleSum::default(); self.totals.end().min(self.stride)];
        for region in 0..self.regions {
            for (id, sum) in sums.iter_mut().enumerate() {
                let counter = self.counters.read(region * self.stride + id);
                let count = TrafficCount {
                    packets: counter.packets.wrapping_add(counter.carried_packets),
                    bytes: counter.bytes.wrapping_add(counter.carried_bytes),
                };
                sum.add_counter(counter.hits, count, counter.seen);
            }
        }
        sums
    }

    /// Entries that a CPU or a sweeper is changing are left out, and so are tombstones: each of their
    /// packets has counted for the rule.
    fn add_live_flows(&self, sums: &mut [RuleSum]) -> Census {
        let mut census = Census::of_slots(self.flows.len());
        for (slot, _) in self.flows.used() {
            let Some(flow) = self.flows.snapshot(slot) else {
                census.add(abi::STATE_BUSY);
                continue;
            };
            let meta = flow.meta();
            census.add(meta.state());
            if meta.is_busy() || meta.is_locked() || meta.state() == abi::STATE_DENIED {
                continue;
            }
            let count = flow.sum();
            for id in counting_rules(flow.entry.rules) {
                let Some(sum) = sums.get_mut(id as usize) else {
                    continue;
                };
                sum.add(count);
                sum.note_seen(meta.seen());
                sum.live += u64::from(is_live(meta.state()));
            }
        }
        census
    }

    /// Subtracts what flows had counted before they came to their present rules.
    fn subtract_moved(&self, sums: &mut [RuleSum]) {
        for region in 0..self.regions {
            for (id, sum) in sums.iter_mut().enumerate() {
                let index = region * self.stride + id;
                let moved = |offset| self.counters.field(index, offset).load(Ordering::Relaxed);
                sum.subtract(TrafficCount {
                    packets: moved(offset_of!(abi::rule_counter, moved_packets)),
                    bytes: moved(offset_of!(abi::rule_counter, moved_bytes)),
                });
            }
        }
    }

    fn finish(&self, id: u32, sum: RuleSum, resets: u64) -> RuleCount {
        let limited = offset_of!(abi::limit_state, limited);
        let limited = self.limits.get_field(id as usize, limited);
        // A sum below 0 lacks flows that were left out.
        let or_zero = |sum: u64| if (sum as i64) < 0 { 0 } else { sum };
        RuleCount {
            hits: sum.hits,
            packets: self
                .totals
                .greatest_packets(id, or_zero(sum.packets), resets),
            bytes: self.totals.greatest_bytes(id, or_zero(sum.bytes), resets),
            limited: limited.map_or(0, |limited| limited.load(Ordering::Relaxed)),
            seen: sum.seen,
            live: sum.live,
        }
    }
}
