//! Entries of the flow table in layout 7, and the same flows in this layout. Reads and writes no map.

use bailey_bpf::abi;

use crate::flows::count::TrafficCount;
use crate::flows::entry::{Snapshot, is_ipv4};
use crate::kernel::clock::Ticks;

/// Words of an entry: metadata word, tuple, both addresses, rules, ack numbers.
pub(crate) const ENTRY_WORDS: usize = 8;

// Flags of layout 7 that have another place now.
const AUDIT: u32 = 0x10;
const SAME_FLAGS: u32 = 0x0f;
/// INSPECT, FROM_NIC and MIDSTREAM: one bit lower now.
const SHIFTED_FLAGS: u32 = 0xe0;

/// The metadata word of an entry in layout 7: state:4 locked:1 serial:3 flags:8 epoch:24 seen:24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormerMeta(pub(crate) u64);

impl FormerMeta {
    /// `enum flow_state`, which has the same numbers in both layouts.
    pub(crate) fn state(self) -> u32 {
        self.field(0, 0xf)
    }

    /// Whether a CPU is writing the entry or revalidating the flow.
    pub(crate) fn is_changing(self) -> bool {
        self.state() == abi::STATE_BUSY || self.field(4, 1) != 0
    }

    /// Time of the last packet.
    pub(crate) fn seen(self) -> Ticks {
        Ticks(self.field(40, 0xff_ffff))
    }

    fn serial(self) -> u32 {
        self.field(5, 7)
    }

    fn flags(self) -> u32 {
        self.field(8, 0xff)
    }

    /// Epoch of the last evaluation, all 24 bits.
    fn epoch(self) -> u32 {
        self.field(16, 0xff_ffff)
    }

    fn field(self, shift: u32, mask: u32) -> u32 {
        (self.0 >> shift) as u32 & mask
    }
}

/// A flow as layout 7 stores it, all of one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormerFlow {
    pub(crate) meta: FormerMeta,
    pub(crate) key: abi::flow_key,
    rules: u64,
    ack: [u32; 2],
    /// By sender: the lower address, the higher.
    counts: [TrafficCount; 2],
}

impl FormerFlow {
    /// The flow of an entry that had this metadata word.
    pub(crate) fn new(
        meta: FormerMeta,
        words: [u64; ENTRY_WORDS],
        counts: [TrafficCount; 2],
    ) -> Self {
        let [_, tuple, low0, low1, high0, high1, rules, ack] = words;
        Self {
            meta,
            key: abi::flow_key {
                tuple,
                addr_lo_be: [low0, low1],
                addr_hi_be: [high0, high1],
            },
            rules,
            ack: bytemuck::cast(ack),
            counts,
        }
    }

    pub(crate) fn rules(&self) -> u64 {
        self.rules
    }

    /// The same flow in this layout, while `epoch` is the epoch of the control word.
    pub(crate) fn encode(&self, epoch: u32) -> Snapshot {
        let is_ipv4 = [self.key.addr_lo_be, self.key.addr_hi_be]
            .into_iter()
            .all(is_ipv4);
        let counts = match is_ipv4 {
            true => self.counts.map(as_counted_in_entry),
            false => self.counts,
        };
        let body: [u64; 4] = match is_ipv4 {
            true => bytemuck::cast(self.ipv4(counts)),
            false => bytemuck::cast(abi::flow_ipv6 {
                addr_lo_be: self.key.addr_lo_be,
                addr_hi_be: self.key.addr_hi_be,
            }),
        };
        let audit = match self.meta.flags() & AUDIT {
            0 => 0,
            _ => abi::RULES_AUDIT,
        };
        Snapshot {
            entry: abi::flow_entry {
                meta: self.encode_meta(is_ipv4, epoch),
                tuple: self.key.tuple,
                rules: self.rules | audit,
                ack: self.ack,
                body,
            },
            counts,
        }
    }

    fn encode_meta(&self, is_ipv4: bool, epoch: u32) -> u64 {
        let meta = self.meta;
        let flags = meta.flags() & SAME_FLAGS | (meta.flags() & SHIFTED_FLAGS) >> 1;
        let family = match is_ipv4 {
            true => 0,
            false => u64::from(abi::META_IPV6),
        };
        u64::from(meta.state()) << abi::META_STATE_SHIFT
            | family
            | u64::from(meta.serial()) << abi::META_SERIAL_SHIFT
            | u64::from(flags) << abi::META_FLAGS_SHIFT
            | u64::from(stamp(meta.epoch(), epoch)) << abi::META_EPOCH_SHIFT
            | u64::from(meta.seen().0) << abi::META_SEEN_SHIFT
    }

    fn ipv4(&self, counts: [TrafficCount; 2]) -> abi::flow_ipv4 {
        let address = |words: [u64; 2]| (words[1] >> 32) as u32;
        abi::flow_ipv4 {
            addr_lo_be: address(self.key.addr_lo_be),
            addr_hi_be: address(self.key.addr_hi_be),
            packets: counts.map(|count| count.packets as u32),
            bytes: counts.map(|count| count.bytes | count.packets >> 32 << abi::COUNT_CARRY_SHIFT),
        }
    }
}

/// The stamp of an entry that was evaluated under the epoch `evaluated`: its low bits while it is
/// current, otherwise 0, which is never current.
fn stamp(evaluated: u32, epoch: u32) -> u32 {
    let half = (abi::META_EPOCH_MASK + 1) >> 1;
    let lead = evaluated.wrapping_sub(epoch) & abi::CONTROL_EPOCH_MASK;
    match evaluated != 0 && lead < half {
        true => evaluated & abi::META_EPOCH_MASK,
        false => 0,
    }
}

/// The part of the counters that an IPv4 entry has room for: 40 bits of packets, 56 bits of bytes.
fn as_counted_in_entry(count: TrafficCount) -> TrafficCount {
    const PACKET_BITS: u32 = 32 + u64::BITS - abi::COUNT_CARRY_SHIFT;
    TrafficCount {
        packets: count.packets & ((1 << PACKET_BITS) - 1),
        bytes: count.bytes & abi::COUNT_BYTES_MASK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::entry::key_of;
    use crate::flows::meta_word::MetaWord;

    const EPOCH: u32 = 0x12_3456;

    fn meta(state: u32, flags: u32, epoch: u32) -> FormerMeta {
        let serial = 5_u64;
        FormerMeta(
            u64::from(state)
                | serial << 5
                | u64::from(flags) << 8
                | u64::from(epoch) << 16
                | 0xabcdef << 40,
        )
    }

    fn flow(meta: FormerMeta, addresses: [[u64; 2]; 2]) -> FormerFlow {
        let [[a, b], [c, d]] = addresses;
        let counts = [(3, 300), (5 << 32 | 4, 400)];
        let counts = counts.map(|(packets, bytes)| TrafficCount { packets, bytes });
        let rules = 20 | 21 << abi::RULES_INGRESS_SHIFT | 77 << abi::RULES_OPENED_SHIFT;
        FormerFlow::new(
            meta,
            [0, 0x06_1234_5678, a, b, c, d, rules, 9 << 32 | 8],
            counts,
        )
    }

    fn ipv4(last: u32) -> [u64; 2] {
        let low = u64::from(abi::V4_MAPPED_WORD);
        [
            0,
            low | u64::from(u32::from_ne_bytes([10, 0, 0, last as u8])) << 32,
        ]
    }

    #[test]
    fn ipv4_flow_keeps_all_its_fields() {
        let former = flow(
            meta(abi::STATE_TCP_ESTABLISHED, 0x4f, EPOCH),
            [ipv4(1), ipv4(2)],
        );
        let new = former.encode(EPOCH);
        let word = MetaWord(new.entry.meta);
        assert_eq!(word.state(), abi::STATE_TCP_ESTABLISHED);
        assert!(!word.is_ipv6() && !word.is_locked());
        let flags = abi::FLOW_ORIG_LOW
            | abi::FLOW_REPLIED
            | abi::FLOW_FIN_LOW
            | abi::FLOW_FIN_HIGH
            | abi::FLOW_FROM_NIC;
        assert_eq!(word.flags(), flags);
        assert_eq!((word.epoch(), word.seen()), (0x3456, Ticks(0xabcdef)));
        let serial = new.entry.meta >> abi::META_SERIAL_SHIFT & u64::from(abi::META_SERIAL_MASK);
        assert_eq!(serial, 5);
        assert_eq!(key_of(&new.entry), former.key);
        assert_eq!((new.entry.rules, new.entry.ack), (former.rules, [8, 9]));
        let body: abi::flow_ipv4 = bytemuck::cast(new.entry.body);
        assert_eq!(body.packets, [3, 4]);
        assert_eq!(body.bytes, [300, 400 | 5 << abi::COUNT_CARRY_SHIFT]);
        assert_eq!(new.sum().packets, 5 << 32 | 7);
    }

    #[test]
    fn ipv6_flow_keeps_its_addresses() {
        let former = flow(
            meta(abi::STATE_DENIED, 0xb0, EPOCH),
            [[1, 2], [3, u64::from(abi::V4_MAPPED_WORD)]],
        );
        let new = former.encode(EPOCH);
        let word = MetaWord(new.entry.meta);
        assert!(word.is_ipv6());
        assert_eq!(word.state(), abi::STATE_DENIED);
        assert_eq!(word.flags(), abi::FLOW_INSPECT | abi::FLOW_MIDSTREAM);
        assert_eq!(new.entry.rules, former.rules | abi::RULES_AUDIT);
        assert_eq!(key_of(&new.entry), former.key);
        assert_eq!(new.counts[1].packets, 5 << 32 | 4);
    }

    #[test]
    fn only_current_stamps_survive() {
        assert_eq!(stamp(EPOCH, EPOCH), 0x3456);
        assert_eq!(stamp(EPOCH + 1, EPOCH), 0x3457, "a later evaluation");
        assert_eq!(stamp(EPOCH - 1, EPOCH), 0, "stale");
        assert_eq!(stamp(0, 0), 0);
        assert_eq!(stamp(0, abi::CONTROL_EPOCH_MASK), 0, "never current");
        assert_eq!(stamp(1, abi::CONTROL_EPOCH_MASK), 1, "across the wrap");
        assert_eq!(stamp(0x12_0000, 0x12_0000), 0, "its low bits are 0");
        assert_eq!(stamp(EPOCH + (1 << 15), EPOCH), 0, "would count as stale");
    }

    #[test]
    fn changing_entries_are_recognized() {
        assert!(meta(abi::STATE_BUSY, 0, 0).is_changing());
        assert!(FormerMeta(meta(abi::STATE_DENIED, 0, 0).0 | 0x10).is_changing());
        assert!(!meta(abi::STATE_DENIED, 0, 0).is_changing());
    }
}
