//! Layout of the flow table: keys, rules and counters of entries, for both families. Decides nothing
//! about flows.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::flows::meta_word::MetaWord;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::maps::values::SharedValues;

/// Slots per bucket.
pub(crate) const SLOTS: usize = abi::FLOW_SLOTS as usize;

/// Ids of the rules in an entry's word of rules: at the source and at the destination.
pub(crate) fn rule_ids(rules: u64) -> [u32; 2] {
    [abi::RULES_EGRESS_SHIFT, abi::RULES_INGRESS_SHIFT]
        .map(|shift| (rules >> shift) as u32 & abi::RULES_MASK)
}

/// The rules that a flow counts for. A rule that decides at both ends counts once.
pub(crate) fn counting_rules(rules: u64) -> impl Iterator<Item = u32> {
    let [egress, ingress] = rule_ids(rules);
    let ingress = (ingress != egress).then_some(ingress);
    let ids = [Some(egress), ingress].into_iter().flatten();
    ids.filter(|&id| id != abi::RULE_NONE)
}

/// The same word of rules without ids.
pub(crate) fn without_rule_ids(rules: u64) -> u64 {
    let mask = u64::from(abi::RULES_MASK);
    rules & !(mask << abi::RULES_EGRESS_SHIFT | mask << abi::RULES_INGRESS_SHIFT)
}

/// The key of an entry of either family.
pub(crate) fn key_of(entry: &abi::flow_entry) -> abi::flow_key {
    let (addr_lo_be, addr_hi_be) = if MetaWord(entry.meta).is_ipv6() {
        let body: abi::flow_ipv6 = bytemuck::cast(entry.body);
        (body.addr_lo_be, body.addr_hi_be)
    } else {
        let body: abi::flow_ipv4 = bytemuck::cast(entry.body);
        (mapped_ipv4(body.addr_lo_be), mapped_ipv4(body.addr_hi_be))
    };
    abi::flow_key {
        tuple: entry.tuple,
        addr_lo_be,
        addr_hi_be,
    }
}

fn mapped_ipv4(address_be: u32) -> [u64; 2] {
    let words = [abi::V4_MAPPED_WORD, address_be];
    [0, bytemuck::cast(words)]
}

/// Whether an evictor that found no need for its slot left this entry. Its key is all zero, which no
/// packet has.
pub(crate) fn is_dead(entry: &abi::flow_entry) -> bool {
    let key = key_of(entry);
    let is_zero = |address: [u64; 2]| address == [0; 2] || address == mapped_ipv4(0);
    key.tuple == 0 && is_zero(key.addr_lo_be) && is_zero(key.addr_hi_be)
}

/// Whether the address of a key is an IPv4 address.
pub(crate) fn is_ipv4(address_be: [u64; 2]) -> bool {
    address_be[0] == 0 && address_be[1] as u32 == abi::V4_MAPPED_WORD
}

/// The slots in use by the tag words of a table, with their tags.
pub(crate) fn used_slots(words: &[AtomicU64]) -> impl Iterator<Item = (usize, u8)> {
    words.iter().enumerate().flat_map(|(bucket, word)| {
        let tags = word.load(Ordering::Acquire).to_le_bytes();
        (0..SLOTS)
            .map(move |slot| (bucket * SLOTS + slot, tags[slot]))
            .filter(|&(_, tag)| tag != 0)
    })
}

/// Entry and counters of a flow, all of one moment.
pub(crate) struct Snapshot {
    /// The entry; its metadata word is that of the moment.
    pub(crate) entry: abi::flow_entry,
    /// By sender: the lower address, the higher.
    pub(crate) counts: [TrafficCount; 2],
}

impl Snapshot {
    pub(crate) fn meta(&self) -> MetaWord {
        MetaWord(self.entry.meta)
    }

    /// Counters of both senders together, modulo 2^64.
    pub(crate) fn sum(&self) -> TrafficCount {
        let [low, high] = self.counts;
        TrafficCount {
            packets: low.packets.wrapping_add(high.packets),
            bytes: low.bytes.wrapping_add(high.bytes),
        }
    }
}

/// The slots of a flow table, mapped into memory. A slot is its index in the table.
#[derive(Debug)]
pub(crate) struct FlowSlots {
    tags: MappedArray<u64>,
    entries: MappedArray<abi::flow_entry>,
    counts6: MappedArray<abi::flow_count>,
}

impl FlowSlots {
    /// Opens the pinned table for reading.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's table.
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        Ok(Self {
            tags: MappedArray::open_table(pins, "flow_tags")?,
            entries: MappedArray::open_table(pins, "flows")?,
            counts6: MappedArray::open_table(pins, "flow_counts6")?,
        })
    }

    /// Opens the pinned table for reading and writing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_writable(pins: &PinDir) -> Result<Self, DatapathError> {
        Ok(Self {
            tags: MappedArray::open_writable_table(pins, "flow_tags")?,
            entries: MappedArray::open_writable_table(pins, "flows")?,
            counts6: MappedArray::open_writable_table(pins, "flow_counts6")?,
        })
    }

    /// Maps an open table for reading and writing.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn of_values(values: &SharedValues) -> Result<Self, DatapathError> {
        Ok(Self {
            tags: values.mapped("flow_tags")?,
            entries: values.mapped("flows")?,
            counts6: values.mapped("flow_counts6")?,
        })
    }

    pub(crate) fn buckets(&self) -> usize {
        self.tags.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets() * SLOTS
    }

    /// The tag word of a bucket.
    pub(crate) fn tag_word(&self, bucket: usize) -> &AtomicU64 {
        &self.tags.words()[bucket]
    }

    /// Tag of a slot; 0: free, or no such slot.
    pub(crate) fn tag(&self, slot: usize) -> u8 {
        let word = self.tags.get_field(slot / SLOTS, 0);
        let tags = word.map_or(0, |word| word.load(Ordering::Acquire));
        tags.to_le_bytes()[slot % SLOTS]
    }

    /// All slots in use, with their tags.
    pub(crate) fn used(&self) -> impl Iterator<Item = (usize, u8)> {
        used_slots(self.tags.words())
    }

    /// Frees a slot.
    pub(crate) fn release(&self, slot: usize) {
        let byte = 0xff << (slot % SLOTS * 8);
        self.tag_word(slot / SLOTS)
            .fetch_and(!byte, Ordering::AcqRel);
    }

    pub(crate) fn meta_word(&self, slot: usize) -> &AtomicU64 {
        self.entries.field(slot, offset_of!(abi::flow_entry, meta))
    }

    pub(crate) fn meta(&self, slot: usize) -> MetaWord {
        MetaWord(self.meta_word(slot).load(Ordering::Acquire))
    }

    /// Exchanges a metadata word. False if it is another one by now.
    pub(crate) fn exchange(&self, slot: usize, old: MetaWord, new: MetaWord) -> bool {
        self.meta_word(slot)
            .compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Changes the word of an entry that this process has claimed, and returns the new word. Leaves an
    /// entry alone that has another word by now: a packet has used the free slot since.
    pub(crate) fn change_claim(
        &self,
        slot: usize,
        claimed: MetaWord,
        next: impl Fn(MetaWord) -> MetaWord,
    ) -> MetaWord {
        loop {
            let now = self.meta(slot);
            // A late packet of the flow may have stored its time. Programs change no more of an entry
            // that user space holds.
            if !now.is_equal_but_seen(claimed) || self.exchange(slot, now, next(now)) {
                return next(now);
            }
        }
    }

    pub(crate) fn rules_word(&self, slot: usize) -> &AtomicU64 {
        self.entries.field(slot, offset_of!(abi::flow_entry, rules))
    }

    /// Copies entry and counters between two equal reads of the metadata word. One that changes
    /// meanwhile is read again, and left out after four tries.
    pub(crate) fn snapshot(&self, slot: usize) -> Option<Snapshot> {
        for _ in 0..4 {
            let meta = self.meta(slot);
            let snapshot = self.read(slot, meta);
            fence(Ordering::Acquire);
            if self.meta(slot) == meta {
                return Some(snapshot);
            }
        }
        None
    }

    /// Copies entry and counters of the flow that has this metadata word. For entries that the
    /// caller holds.
    pub(crate) fn read(&self, slot: usize, meta: MetaWord) -> Snapshot {
        let mut entry = self.entries.read(slot);
        entry.meta = meta.0;
        let counts = [0, 1].map(|sender| match meta.is_ipv6() {
            true => self.count6(slot, sender),
            false => self.count4(slot, sender),
        });
        Snapshot { entry, counts }
    }

    /// Writes all but the metadata word. For entries that the caller holds. The rules last: while the
    /// entry has none, no process that ends the flow counts its counters.
    pub(crate) fn fill(&self, slot: usize, flow: &Snapshot) {
        const RULES: usize = offset_of!(abi::flow_entry, rules) / size_of::<u64>();
        let words: [u64; 8] = bytemuck::cast(flow.entry);
        let of_entry = words.into_iter().enumerate().skip(1);
        for (at, word) in of_entry.filter(|&(at, _)| at != RULES) {
            let field = self.entries.field(slot, at * size_of::<u64>());
            field.store(word, Ordering::Release);
        }
        if flow.meta().is_ipv6() {
            for (sender, &TrafficCount { packets, bytes }) in flow.counts.iter().enumerate() {
                let count = abi::flow_count { packets, bytes };
                let cell = slot * 2 + sender;
                self.counts6.write(cell, &count, Ordering::Release);
            }
        }
        let rules = self.rules_word(slot);
        rules.store(flow.entry.rules, Ordering::Release);
    }

    pub(crate) fn write_ack(&self, slot: usize, ack: [u32; 2]) {
        let word = self.entries.field(slot, offset_of!(abi::flow_entry, ack));
        word.store(bytemuck::cast(ack), Ordering::Release);
    }

    /// The packets are 32 bits of the body, their upper 8 bits lie above the bytes. A packet that
    /// wraps the lower bits counts in the upper ones.
    fn count4(&self, slot: usize, sender: usize) -> TrafficCount {
        let body = offset_of!(abi::flow_entry, body);
        let packets = body + offset_of!(abi::flow_ipv4, packets);
        let packets = self.entries.field(slot, packets);
        let bytes = body + offset_of!(abi::flow_ipv4, bytes) + sender * size_of::<u64>();
        let bytes = self.entries.field(slot, bytes);
        let carry = |bytes: u64| bytes >> abi::COUNT_CARRY_SHIFT;

        let mut before = bytes.load(Ordering::Acquire);
        loop {
            let pair: [u32; 2] = bytemuck::cast(packets.load(Ordering::Acquire));
            let after = bytes.load(Ordering::Acquire);
            if carry(after) == carry(before) {
                return TrafficCount {
                    packets: carry(after) << 32 | u64::from(pair[sender]),
                    bytes: after & abi::COUNT_BYTES_MASK,
                };
            }
            before = after;
        }
    }

    fn count6(&self, slot: usize, sender: usize) -> TrafficCount {
        let abi::flow_count { packets, bytes } = self.counts6.read(slot * 2 + sender);
        TrafficCount { packets, bytes }
    }

    /// Clears all slots and their counters. No packet may be inside a program meanwhile.
    #[cfg(feature = "testing")]
    pub(crate) fn clear(&self) {
        for bucket in 0..self.buckets() {
            self.tags.clear(bucket);
        }
        for slot in 0..self.len() {
            self.entries.clear(slot);
        }
        for cell in 0..self.counts6.len() {
            self.counts6.clear(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_both_families_are_read() {
        let ipv4 = abi::flow_ipv4 {
            addr_lo_be: u32::from_ne_bytes([10, 0, 0, 1]),
            addr_hi_be: u32::from_ne_bytes([10, 0, 0, 2]),
            packets: [3, 4],
            bytes: [5, 6],
        };
        let mut entry = abi::flow_entry {
            meta: 1,
            tuple: 9,
            rules: 0,
            ack: [0; 2],
            body: bytemuck::cast(ipv4),
        };
        let octets: [u8; 16] = bytemuck::cast(key_of(&entry).addr_hi_be);
        assert_eq!(octets[10..], [0xff, 0xff, 10, 0, 0, 2]);
        assert!(!is_dead(&entry));
        entry.meta |= u64::from(abi::META_IPV6);
        assert_eq!(key_of(&entry).addr_hi_be, [5, 6]);
        (entry.tuple, entry.body) = (0, [0, 7, 7, 7]);
        entry.meta = 1;
        assert!(is_dead(&entry), "a late packet may count in it");
    }

    #[test]
    fn rule_of_both_ends_counts_once() {
        let word = |egress: u64, ingress: u64| egress | ingress << abi::RULES_INGRESS_SHIFT;
        let ids = |rules| counting_rules(rules).collect::<Vec<_>>();
        assert_eq!(ids(word(5, 6)), [5, 6]);
        assert_eq!(ids(word(5, 5)), [5]);
        assert_eq!(ids(word(0, 6)), [6]);
        assert_eq!(without_rule_ids(word(5, 6) | 1 << 60), 1 << 60);
    }
}
