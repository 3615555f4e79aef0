//! Layout of the flow table: metadata words, keys, rules and counters of entries, for both families.
//! Decides nothing about flows.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::kernel::clock::Ticks;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::maps::values::SharedValues;

/// Slots per bucket.
pub(crate) const SLOTS: usize = abi::FLOW_SLOTS as usize;

const LOCKED: u64 = abi::META_LOCKED as u64;
const IPV6: u64 = abi::META_IPV6 as u64;
const SERIAL: u64 = (abi::META_SERIAL_MASK as u64) << abi::META_SERIAL_SHIFT;
const EPOCH: u64 = (abi::META_EPOCH_MASK as u64) << abi::META_EPOCH_SHIFT;
const FLAGS: u64 = (abi::META_FLAGS_MASK as u64) << abi::META_FLAGS_SHIFT;
/// In the place of the epoch of a claimed entry, above the state.
const ACCOUNTED: u64 = (abi::META_STATE_MASK as u64 + 1) << abi::META_EPOCH_SHIFT;
const LOWER_HALF: u64 = u32::MAX as u64;

/// The metadata word of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetaWord(pub(crate) u64);

impl MetaWord {
    /// `enum flow_state`
    pub(crate) fn state(self) -> u32 {
        self.field(abi::META_STATE_SHIFT, abi::META_STATE_MASK)
    }

    /// Whether a CPU is writing the entry, user space holds it, or the slot is free.
    pub(crate) fn is_busy(self) -> bool {
        self.state() == abi::STATE_BUSY
    }

    /// Whether a CPU revalidates the flow, or user space holds the entry.
    pub(crate) fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    /// Whether user space has claimed the entry.
    pub(crate) fn is_held(self) -> bool {
        self.is_busy() && self.is_locked()
    }

    pub(crate) fn is_ipv6(self) -> bool {
        self.0 & IPV6 != 0
    }

    /// `FLOW_*` flags
    pub(crate) fn flags(self) -> u32 {
        self.field(abi::META_FLAGS_SHIFT, abi::META_FLAGS_MASK)
    }

    /// Low bits of the epoch of the last evaluation; 0 is never current.
    pub(crate) fn epoch(self) -> u32 {
        self.field(abi::META_EPOCH_SHIFT, abi::META_EPOCH_MASK)
    }

    /// Time of the last packet; of a held entry, time of the claim.
    pub(crate) fn seen(self) -> Ticks {
        Ticks(self.field(abi::META_SEEN_SHIFT, abi::META_SEEN_MASK))
    }

    pub(crate) fn created_by_lower(self) -> bool {
        self.flags() & abi::FLOW_ORIG_LOW != 0
    }

    /// The same word with a stamp that is never current.
    pub(crate) fn without_epoch(self) -> Self {
        Self(self.0 & !EPOCH)
    }

    /// The word with which user space claims the entry at this time. The place of the epoch keeps the
    /// state: if this process is killed, another can end the flow.
    pub(crate) fn claimed_at(self, now: Ticks) -> Self {
        let state = u64::from(self.state()) << abi::META_EPOCH_SHIFT;
        let seen = u64::from(now.0) << abi::META_SEEN_SHIFT;
        Self(seen | state | LOCKED | self.0 & (SERIAL | IPV6 | FLAGS))
    }

    /// The word with which user space claims the free slot of this word for a flow. If this process is
    /// killed, another ends the flow: its source does not count it yet.
    pub(crate) fn claimed_for(self, flow: Self, now: Ticks) -> Self {
        let kept = Self(self.0 & SERIAL | flow.0 & IPV6);
        match flow.state() {
            abi::STATE_DENIED => kept.claimed_at(now).claimed_as_denied(),
            _ => kept.claimed_at(now),
        }
    }

    /// The same word of a claimed entry that counts for no rule.
    pub(crate) fn claimed_as_denied(self) -> Self {
        let state = u64::from(abi::META_STATE_MASK) << abi::META_EPOCH_SHIFT;
        Self(self.0 & !state | u64::from(abi::STATE_DENIED) << abi::META_EPOCH_SHIFT)
    }

    /// The state that a claimed entry had; BUSY: its slot was free.
    pub(crate) fn claimed_state(self) -> u32 {
        self.epoch() & abi::META_STATE_MASK
    }

    /// Whether the source of a claimed entry has one live flow less.
    pub(crate) fn is_accounted(self) -> bool {
        self.0 & ACCOUNTED != 0
    }

    /// The same word of a claimed entry, after its source has one live flow less.
    pub(crate) fn accounted(self) -> Self {
        Self(self.0 | ACCOUNTED)
    }

    /// The word of a free slot, with the same serial.
    pub(crate) fn unlocked(self) -> Self {
        Self(self.0 & SERIAL)
    }

    /// The word of `next`, with the serial of this one.
    pub(crate) fn with_state_of(self, next: Self) -> Self {
        Self(next.0 & !SERIAL | self.0 & SERIAL)
    }

    /// Whether two words differ in the last-seen time at most.
    pub(crate) fn is_equal_but_seen(self, other: Self) -> bool {
        (self.0 ^ other.0) & LOWER_HALF == 0
    }

    fn field(self, shift: u32, mask: u32) -> u32 {
        (self.0 >> shift) as u32 & mask
    }
}

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
        let words = self.tags.words().iter().enumerate();
        words.flat_map(|(bucket, word)| {
            let tags = word.load(Ordering::Acquire).to_le_bytes();
            (0..SLOTS)
                .map(move |slot| (bucket * SLOTS + slot, tags[slot]))
                .filter(|&(_, tag)| tag != 0)
        })
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
    fn claimed_word_tells_how_to_end_the_flow() {
        let word = MetaWord(u64::MAX);
        let claimed = word.claimed_at(Ticks(7));
        assert!(claimed.is_held() && claimed.is_ipv6() && !claimed.is_accounted());
        assert_eq!(claimed.claimed_state(), abi::STATE_DENIED);
        assert_eq!((claimed.seen(), claimed.flags()), (Ticks(7), word.flags()));
        assert!(claimed.is_equal_but_seen(word.claimed_at(Ticks(8))));
        assert!(claimed.accounted().is_accounted() && claimed.accounted().is_held());
        assert_eq!(claimed.accounted().claimed_state(), abi::STATE_DENIED);
        assert_eq!(claimed.unlocked(), MetaWord(SERIAL));
        let denied = claimed.claimed_as_denied();
        assert!(denied.is_held() && denied.is_ipv6());
        assert_eq!(denied.claimed_state(), abi::STATE_DENIED);
        assert!(claimed.unlocked().is_busy() && !claimed.unlocked().is_held());
    }

    #[test]
    fn claim_of_free_slot_keeps_the_family() {
        let flow = |state: u32| MetaWord(u64::from(state) | IPV6 | FLAGS);
        let free = MetaWord(SERIAL);
        let live = free.claimed_for(flow(abi::STATE_TCP_ESTABLISHED), Ticks(7));
        assert!(live.is_held() && live.is_ipv6() && !live.is_accounted());
        assert_eq!(
            (live.claimed_state(), live.seen()),
            (abi::STATE_BUSY, Ticks(7))
        );
        assert_eq!(live.unlocked(), free);
        let denied = free.claimed_for(flow(abi::STATE_DENIED), Ticks(7));
        assert_eq!(denied.claimed_state(), abi::STATE_DENIED);
    }

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
        entry.meta |= IPV6;
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
