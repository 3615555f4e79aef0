//! The flow table, read while the programs write it. Each flow is read whole; the set of flows is
//! not a snapshot of one moment.

use std::collections::BTreeSet;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{Ordering, fence};

use bailey_bpf::abi;
use bailey_policy::Protocol;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::kernel::clock::Ticks;
use crate::maps::flow_keys::pinned_abi_version;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// The pinned flow table, mapped for reading.
#[derive(Debug)]
pub struct FlowTable {
    tags: MappedArray<u64>,
    buckets: MappedArray<abi::flow_bucket>,
}

/// One flow in its original direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Address of the endpoint that created the flow.
    pub source: IpAddr,
    /// Address of the other endpoint.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Port of the source; the identifier of an ICMP echo.
    pub source_port: u16,
    /// Port of the destination.
    pub destination_port: u16,
    /// VLAN zone, if VLANs have separate flows: outer * 4096 + inner for two tags.
    pub zone: u32,
    /// `enum flow_state`.
    pub state: u32,
    /// `FLOW_*` flags.
    pub flags: u32,
    /// Epoch of the last evaluation.
    pub epoch: u32,
    /// Time of the last packet.
    pub seen: Ticks,
    /// Id of the deciding rule at the source.
    pub egress_rule: u32,
    /// Id of the deciding rule at the destination.
    pub ingress_rule: u32,
    /// Packets sent by the source.
    pub original: TrafficCount,
    /// Packets sent by the destination.
    pub reply: TrafficCount,
    /// Bucket, and slot in the bucket.
    pub slot: (usize, usize),
    /// Tag of the slot.
    pub tag: u8,
    /// Key, for [`FlowHash`](crate::flows::hash::FlowHash).
    pub key: abi::flow_key,
}

impl Flow {
    /// Index of the slot in the table, for [`FlowTable::at`].
    pub fn slot_index(&self) -> usize {
        self.slot.0 * SLOTS + self.slot.1
    }
}

/// Slots per bucket.
pub(crate) const SLOTS: usize = abi::FLOW_SLOTS as usize;

/// Offset of an entry in its bucket.
pub(crate) const fn entry_offset(slot: usize) -> usize {
    offset_of!(abi::flow_bucket, entry) + slot * size_of::<abi::flow_entry>()
}

/// Offset of an entry's metadata word in its bucket.
pub(crate) const fn meta_offset(slot: usize) -> usize {
    entry_offset(slot) + offset_of!(abi::flow_entry, meta)
}

/// Offset in the bucket of the counters of one sender: the lower address, 0, or the higher, 1.
const fn count_offset(sender: usize, slot: usize) -> usize {
    offset_of!(abi::flow_bucket, count) + (sender * SLOTS + slot) * size_of::<abi::flow_count>()
}

/// The state in a metadata word.
pub(crate) fn state_in(meta: u64) -> u32 {
    (meta >> abi::META_STATE_SHIFT) as u32 & abi::META_STATE_MASK
}

/// `is_live` of state.h: replied to and not closed, and therefore not evicted for another flow.
pub(crate) fn is_live(state: u32) -> bool {
    matches!(
        state,
        abi::STATE_TCP_ESTABLISHED
            | abi::STATE_TCP_FIN_WAIT
            | abi::STATE_UDP_REPLIED
            | abi::STATE_ICMP_REPLIED
            | abi::STATE_SCTP_REPLIED
            | abi::STATE_OTHER_REPLIED
    )
}

/// Number of flows by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// By `enum flow_state`.
    pub by_state: [u64; abi::STATE_COUNT as usize],
    /// Slots in use.
    pub used_slots: u64,
    /// Slots in the table.
    pub slots: u64,
}

impl Census {
    /// Flows that both endpoints have sent packets of. Timeouts are scaled with their number.
    pub fn live(&self) -> u64 {
        let states = (0..).zip(&self.by_state);
        let live = states.filter(|(state, _)| is_live(*state));
        live.map(|(_, count)| count).sum()
    }
}

impl FlowTable {
    /// Opens the pinned table.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's table.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let version = pinned_abi_version(pins)?;
        if version != u64::from(abi::ABI_VERSION) {
            return Err(DatapathError::Layout {
                name: "flow_keys",
                message: format!("layout {version}, this version reads {}", abi::ABI_VERSION),
            });
        }
        Ok(Self {
            tags: MappedArray::open(pins, "flow_tags")?,
            buckets: MappedArray::open(pins, "flows")?,
        })
    }

    /// Counts flows by state. Reads no other part of the entries.
    pub fn census(&self) -> Census {
        let mut census = Census {
            slots: (self.tags.len() * SLOTS) as u64,
            ..Census::default()
        };
        for (bucket, slot, _) in self.used_slots() {
            let state = self.state(bucket, slot) as usize;
            census.by_state[state % abi::STATE_COUNT as usize] += 1;
            census.used_slots += 1;
        }
        census
    }

    /// Ids of the rules that flows refer to.
    pub fn rule_ids(&self) -> BTreeSet<u32> {
        self.iter()
            .flat_map(|flow| [flow.egress_rule, flow.ingress_rule])
            .collect()
    }

    /// Number of slots in use whose entry is BUSY: being written by a CPU, or abandoned by a
    /// sweeper.
    pub fn busy(&self) -> usize {
        self.used_slots()
            .filter(|&(bucket, slot, _)| self.state(bucket, slot) == abi::STATE_BUSY)
            .count()
    }

    /// All flows, including expired ones that have not been removed yet.
    pub fn iter(&self) -> impl Iterator<Item = Flow> {
        self.used_slots().filter_map(|(bucket, slot, tag)| {
            let flow = self.read(bucket, slot)?;
            Some(Flow { tag, ..flow })
        })
    }

    /// The flow in the slot with this index, if the slot is in use.
    pub fn at(&self, slot_index: usize) -> Option<Flow> {
        let (bucket, slot) = (slot_index / SLOTS, slot_index % SLOTS);
        let tags = self.tags.get_field(bucket, 0)?.load(Ordering::Relaxed);
        let tag = tags.to_le_bytes()[slot];
        let flow = self.read(bucket, slot).filter(|_| tag != 0)?;
        Some(Flow { tag, ..flow })
    }

    /// Bucket, slot and tag of all slots in use.
    fn used_slots(&self) -> impl Iterator<Item = (usize, usize, u8)> {
        self.tags
            .words()
            .iter()
            .enumerate()
            .flat_map(|(bucket, tags)| {
                let tags = tags.load(Ordering::Relaxed).to_le_bytes();
                (0..SLOTS)
                    .map(move |slot| (bucket, slot, tags[slot]))
                    .filter(|&(.., tag)| tag != 0)
            })
    }

    fn state(&self, bucket: usize, slot: usize) -> u32 {
        let meta = self.buckets.field(bucket, meta_offset(slot));
        state_in(meta.load(Ordering::Relaxed))
    }

    /// Reads an entry. One that changes during the read is read again, and left out after four
    /// tries.
    fn read(&self, bucket: usize, slot: usize) -> Option<Flow> {
        let meta = self.buckets.field(bucket, meta_offset(slot));
        for _ in 0..4 {
            let before = meta.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            let mut entry: abi::flow_entry = self.buckets.read_part(bucket, entry_offset(slot));
            entry.meta = before;
            fence(Ordering::Acquire);
            if meta.load(Ordering::Relaxed) == before {
                let counts = [0, 1].map(|sender| self.count(sender, bucket, slot));
                return decode(&entry, counts, (bucket, slot));
            }
        }
        None
    }

    fn count(&self, sender: usize, bucket: usize, slot: usize) -> TrafficCount {
        let at = count_offset(sender, slot);
        let abi::flow_count { packets, bytes } = self.buckets.read_part(bucket, at);
        TrafficCount { packets, bytes }
    }
}

fn decode(
    entry: &abi::flow_entry,
    counts: [TrafficCount; 2],
    slot: (usize, usize),
) -> Option<Flow> {
    let state = state_in(entry.meta);
    if state == abi::STATE_BUSY {
        return None;
    }
    let meta = |shift: u32, mask: u32| (entry.meta >> shift) as u32 & mask;
    let flags = meta(abi::META_FLAGS_SHIFT, abi::META_FLAGS_MASK);
    let tuple = entry.key.tuple;
    let low = (
        address(entry.key.addr_lo_be),
        (tuple >> abi::TUPLE_PORT_LO_SHIFT) as u16,
    );
    let high = (
        address(entry.key.addr_hi_be),
        (tuple >> abi::TUPLE_PORT_HI_SHIFT) as u16,
    );
    let created_by_lower = flags & abi::FLOW_ORIG_LOW != 0;
    let (source, destination) = if created_by_lower {
        (low, high)
    } else {
        (high, low)
    };
    let [low_count, high_count] = counts;
    let (original, reply) = if created_by_lower {
        (low_count, high_count)
    } else {
        (high_count, low_count)
    };
    let rule = |shift: u32| (entry.rules >> shift) as u32 & abi::RULES_MASK;
    Some(Flow {
        source: source.0,
        destination: destination.0,
        protocol: Protocol((tuple >> abi::TUPLE_PROTOCOL_SHIFT) as u8),
        source_port: source.1,
        destination_port: destination.1,
        zone: (tuple >> abi::TUPLE_ZONE_SHIFT) as u32,
        state,
        flags,
        epoch: meta(abi::META_EPOCH_SHIFT, abi::META_EPOCH_MASK),
        seen: Ticks(meta(abi::META_SEEN_SHIFT, abi::META_SEEN_MASK)),
        egress_rule: rule(abi::RULES_EGRESS_SHIFT),
        ingress_rule: rule(abi::RULES_INGRESS_SHIFT),
        original,
        reply,
        slot,
        tag: 0,
        key: entry.key,
    })
}

fn address(words: [u64; 2]) -> IpAddr {
    let octets: [u8; 16] = bytemuck::cast(words);
    Ipv6Addr::from(octets).to_canonical()
}

/// Names of flow states, each once.
pub const STATES: [&str; 9] = [
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "TIME_WAIT",
    "CLOSED",
    "UNREPLIED",
    "REPLIED",
    "DENIED",
];

/// Name of a flow state in output.
pub fn state_name(state: u32) -> &'static str {
    match state {
        abi::STATE_TCP_SYN_SENT => "SYN_SENT",
        abi::STATE_TCP_SYN_RECV => "SYN_RECV",
        abi::STATE_TCP_ESTABLISHED => "ESTABLISHED",
        abi::STATE_TCP_FIN_WAIT => "FIN_WAIT",
        abi::STATE_TCP_TIME_WAIT => "TIME_WAIT",
        abi::STATE_CLOSED => "CLOSED",
        abi::STATE_UDP_NEW | abi::STATE_ICMP_NEW | abi::STATE_SCTP_NEW | abi::STATE_OTHER_NEW => {
            "UNREPLIED"
        }
        abi::STATE_UDP_REPLIED
        | abi::STATE_ICMP_REPLIED
        | abi::STATE_SCTP_REPLIED
        | abi::STATE_OTHER_REPLIED => "REPLIED",
        abi::STATE_DENIED => "DENIED",
        _ => "BUSY",
    }
}
