//! The pinned flow table and rule counters of layout 7, read while its programs write them.

use std::collections::BTreeSet;
use std::sync::atomic::{Ordering, fence};

use aya::maps::MapData;
use bytemuck::Pod;

use crate::error::DatapathError;
use crate::flows::count::{RuleSum, TrafficCount};
use crate::flows::entry::{SLOTS, rule_ids, used_slots};
use crate::kernel::cpu::cpus;
use crate::maps::mapped::MappedArray;
use crate::maps::pinned::check_value_size;
use crate::maps::pins::PinDir;
use crate::maps::table::FORMER_LAYOUT;
use crate::upgrade::former_entry::{ENTRY_WORDS, FormerFlow, FormerMeta};

const WORD: usize = size_of::<u64>();
const ENTRY: usize = ENTRY_WORDS * WORD;
const COUNT_WORDS: usize = 2;
/// Words of a bucket: the entries, then two counters each, by sender and slot.
const BUCKET_WORDS: usize = SLOTS * (ENTRY_WORDS + 2 * COUNT_WORDS);

/// Words of a rule counter: hits, packets, bytes, time of the last packet.
type Counter = [u64; 4];

/// The maps of layout 7 that this layout has in another shape.
pub(crate) struct FormerTable {
    tags: MappedArray<u64>,
    buckets: MappedArray<[u64; BUCKET_WORDS]>,
    rules: MappedArray<Counter>,
    cpus: usize,
}

impl FormerTable {
    /// Maps the pinned table.
    ///
    /// # Errors
    /// If a map is not pinned or has another shape.
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let table = Self {
            tags: open(pins, "flow_tags")?,
            buckets: open(pins, "flows")?,
            rules: open(pins, "rule_counters")?,
            cpus: cpus()? as usize,
        };
        if table.tags.len() != table.buckets.len() {
            return Err(DatapathError::Layout {
                name: "flows",
                message: format!(
                    "it has {} buckets, flow_tags has {}",
                    table.buckets.len(),
                    table.tags.len()
                ),
            });
        }
        Ok(table)
    }

    /// Number of slots.
    pub(crate) fn len(&self) -> usize {
        self.tags.len() * SLOTS
    }

    /// All slots in use.
    pub(crate) fn used(&self) -> impl Iterator<Item = usize> {
        used_slots(self.tags.words()).map(|(slot, _)| slot)
    }

    pub(crate) fn meta(&self, slot: usize) -> FormerMeta {
        let word = self.buckets.field(slot / SLOTS, slot % SLOTS * ENTRY);
        FormerMeta(word.load(Ordering::Acquire))
    }

    /// Copies the flow in a slot. `None` while a program changes it.
    pub(crate) fn read(&self, slot: usize) -> Option<FormerFlow> {
        let (bucket, at) = (slot / SLOTS, slot % SLOTS);
        for _ in 0..4 {
            let meta = self.meta(slot);
            if meta.is_changing() {
                return None;
            }
            let words = self.buckets.read_part(bucket, at * ENTRY);
            let counts = [0, 1].map(|sender| self.count(bucket, sender, at));
            fence(Ordering::Acquire);
            if self.meta(slot) == meta {
                return Some(FormerFlow::new(meta, words, counts));
            }
        }
        None
    }

    fn count(&self, bucket: usize, sender: usize, at: usize) -> TrafficCount {
        let offset = SLOTS * ENTRY + (sender * SLOTS + at) * COUNT_WORDS * WORD;
        let [packets, bytes]: [u64; COUNT_WORDS] = self.buckets.read_part(bucket, offset);
        TrafficCount { packets, bytes }
    }

    /// Counters of all rules, by id.
    pub(crate) fn rule_counts(&self) -> Vec<RuleSum> {
        let stride = self.rules.len() / self.cpus;
        let mut counts = vec![RuleSum::default(); stride];
        for cpu in 0..self.cpus {
            for (id, sum) in counts.iter_mut().enumerate() {
                let [hits, packets, bytes, seen] = self.rules.read(cpu * stride + id);
                sum.add_counter(hits, TrafficCount { packets, bytes }, seen);
            }
        }
        counts
    }

    /// Ids of the rules that flows refer to, or that have counted a packet.
    pub(crate) fn used_rule_ids(&self) -> BTreeSet<u32> {
        let counting = (0..).zip(self.rule_counts());
        let counting = counting.filter(|(_, count)| count.packets > 0);
        let flows = self.used().filter_map(|slot| self.read(slot));
        let of_flows = flows.flat_map(|flow| rule_ids(flow.rules()));
        counting.map(|(id, _)| id).chain(of_flows).collect()
    }
}

fn open<T: Pod>(pins: &PinDir, name: &'static str) -> Result<MappedArray<T>, DatapathError> {
    let map = MapData::from_pin(pins.pin_of_layout(name, FORMER_LAYOUT)).map_err(|error| {
        DatapathError::Layout {
            name,
            message: error.to_string(),
        }
    })?;
    check_value_size(&map, name, size_of::<T>())?;
    MappedArray::of_map(&map, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_layout_7() {
        assert_eq!(BUCKET_WORDS * WORD, 768);
        assert_eq!(size_of::<Counter>(), 32);
    }
}
