use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{Ordering, fence};

use bailey_bpf::abi;
use bailey_policy::Protocol;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::kernel::clock::Ticks;
use crate::kernel::mmap::Mapping;
use crate::maps::pinned::{layout_version, map_pinned};
use crate::maps::pins::PinDir;

/// The flow table, read while the programs write it: each flow is whole, the set of them is not
/// of one moment.
#[derive(Debug)]
pub struct FlowTable {
    tags: Mapping,
    lines: Mapping,
    buckets: usize,
}

/// One flow in its original direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Who opened it.
    pub source: IpAddr,
    /// Who was asked.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Port of the source; the identifier of an ICMP echo.
    pub source_port: u16,
    /// Port of the destination.
    pub destination_port: u16,
    /// The VLAN, where VLANs have flows of their own: outer * 4096 + inner for two tags.
    pub zone: u32,
    /// `enum flow_state`.
    pub state: u32,
    /// `FLOW_*` flags.
    pub flags: u32,
    /// The epoch it was last judged under.
    pub epoch: u32,
    /// Its last packet.
    pub seen: Ticks,
    /// The deciding rule at the source.
    pub egress_rule: u32,
    /// The deciding rule at the destination.
    pub ingress_rule: u32,
    /// Packets of the side that opened it.
    pub original: TrafficCount,
    /// Packets of the other side.
    pub reply: TrafficCount,
    /// Where it is: bucket and lane.
    pub slot: (usize, usize),
    /// The fingerprint of its lane.
    pub tag: u8,
    /// Its key, for [`FlowHash`](crate::flows::hash::FlowHash).
    pub key: abi::flow_key,
}

impl Flow {
    /// Its place in the table, for [`FlowTable::at`].
    pub fn place(&self) -> usize {
        self.slot.0 * LANES + self.slot.1
    }
}

const LANES: usize = abi::FLOW_SLOTS as usize;
/// Words of a flow's line.
pub(crate) const LINE_WORDS: usize = size_of::<abi::flow_entry>() / 8;
const BUCKET_WORDS: usize = size_of::<abi::flow_bucket>() / 8;
const COUNTS: usize = std::mem::offset_of!(abi::flow_bucket, count) / 8;
const COUNT_WORDS: usize = size_of::<abi::flow_count>() / 8;

/// Where a flow's line begins among the words of the map.
pub(crate) fn line_at(bucket: usize, lane: usize) -> usize {
    bucket * BUCKET_WORDS + lane * LINE_WORDS
}

/// Where its counters are: those of the lower address, 0, or the higher, 1.
fn count_at(side: usize, bucket: usize, lane: usize) -> usize {
    bucket * BUCKET_WORDS + COUNTS + (side * LANES + lane) * COUNT_WORDS
}

/// `state_live` of source.h: live and replied, which is never evicted for another.
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

/// How many flows there are, and how they are spread over states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// By `enum flow_state`.
    pub by_state: [u64; abi::STATE_COUNT as usize],
    /// Lanes that are taken.
    pub taken: u64,
    /// Lanes that there are.
    pub slots: u64,
}

impl Census {
    /// Flows that both sides have spoken in: those that idle times depend on.
    pub fn live(&self) -> u64 {
        let states = (0..).zip(&self.by_state);
        let live = states.filter(|(state, _)| is_live(*state));
        live.map(|(_, count)| count).sum()
    }
}

impl FlowTable {
    /// Counts, without looking at more than states.
    pub fn census(&self) -> Census {
        let mut census = Census {
            slots: (self.buckets * LANES) as u64,
            ..Census::default()
        };
        for bucket in 0..self.buckets {
            let tags = self.tags.words()[bucket].load(Ordering::Relaxed);
            if tags == 0 {
                continue;
            }
            let taken = tags.to_le_bytes();
            for lane in (0..LANES).filter(|&lane| taken[lane] != 0) {
                let state = self.state(bucket, lane) as usize;
                census.by_state[state % abi::STATE_COUNT as usize] += 1;
                census.taken += 1;
            }
        }
        census
    }

    /// The rules that its flows carry.
    pub fn rule_ids(&self) -> BTreeSet<u32> {
        self.iter()
            .flat_map(|flow| [flow.egress_rule, flow.ingress_rule])
            .collect()
    }

    /// Opens the table that is pinned there.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let version = layout_version(pins)?;
        if version != u64::from(abi::ABI_VERSION) {
            return Err(DatapathError::Layout {
                name: "flow_keys",
                message: format!("layout {version}, this version reads {}", abi::ABI_VERSION),
            });
        }
        let (tags, buckets) = map_pinned(pins, "flow_tags", size_of::<u64>())?;
        Ok(Self {
            tags,
            lines: map_pinned(pins, "flows", size_of::<abi::flow_bucket>())?.0,
            buckets,
        })
    }

    /// Lanes that are taken and hold no flow at the moment: being written, if any CPU is.
    pub fn busy(&self) -> usize {
        (0..self.buckets)
            .map(|bucket| {
                let tags = self.tags.words()[bucket]
                    .load(Ordering::Relaxed)
                    .to_le_bytes();
                let taken = (0..LANES).filter(|&lane| tags[lane] != 0);
                taken
                    .filter(|&lane| self.state(bucket, lane) == abi::STATE_BUSY)
                    .count()
            })
            .sum()
    }

    fn state(&self, bucket: usize, lane: usize) -> u32 {
        let meta = &self.lines.words()[line_at(bucket, lane)];
        (meta.load(Ordering::Relaxed) >> abi::META_STATE_SHIFT) as u32 & abi::META_STATE_MASK
    }

    /// All flows, expired ones that nobody has touched since included.
    pub fn iter(&self) -> impl Iterator<Item = Flow> {
        (0..self.buckets).flat_map(move |bucket| {
            let tags = self.tags.words()[bucket]
                .load(Ordering::Relaxed)
                .to_le_bytes();
            (0..LANES)
                .filter(move |&lane| tags[lane] != 0)
                .filter_map(move |lane| {
                    let flow = self.flow(bucket, lane)?;
                    let tag = tags[lane];
                    Some(Flow { tag, ..flow })
                })
        })
    }

    /// The flow at a place, if one is there.
    pub fn at(&self, place: usize) -> Option<Flow> {
        let (bucket, lane) = (place / LANES, place % LANES);
        let tags = self.tags.words().get(bucket)?.load(Ordering::Relaxed);
        let tag = tags.to_le_bytes()[lane];
        let flow = self.flow(bucket, lane).filter(|_| tag != 0)?;
        Some(Flow { tag, ..flow })
    }

    fn flow(&self, bucket: usize, lane: usize) -> Option<Flow> {
        let at = line_at(bucket, lane);
        let line = &self.lines.words()[at..at + LINE_WORDS];
        // A line that changed while it was read is read again, then left out.
        for _ in 0..4 {
            let meta = line[0].load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            let mut words: [u64; LINE_WORDS] =
                std::array::from_fn(|word| line[word].load(Ordering::Relaxed));
            words[0] = meta;
            fence(Ordering::Acquire);
            let stable = line[0].load(Ordering::Relaxed) == meta;
            let entry: abi::flow_entry = bytemuck::cast(words);
            if stable {
                let counts = [0, 1].map(|side| self.count(side, bucket, lane));
                return decode(&entry, counts, (bucket, lane));
            }
        }
        None
    }

    fn count(&self, side: usize, bucket: usize, lane: usize) -> TrafficCount {
        let at = count_at(side, bucket, lane);
        let load = |at: usize| self.lines.words()[at].load(Ordering::Relaxed);
        TrafficCount {
            packets: load(at),
            bytes: load(at + 1),
        }
    }
}

fn decode(
    entry: &abi::flow_entry,
    counts: [TrafficCount; 2],
    slot: (usize, usize),
) -> Option<Flow> {
    let meta = |shift: u32, mask: u32| (entry.meta >> shift) as u32 & mask;
    let state = meta(abi::META_STATE_SHIFT, abi::META_STATE_MASK);
    if state == abi::STATE_BUSY {
        return None;
    }
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
    let opened_low = flags & abi::FLOW_ORIG_LOW != 0;
    let (source, destination) = if opened_low { (low, high) } else { (high, low) };
    let [low_count, high_count] = counts;
    let (original, reply) = if opened_low {
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

/// The names of states, each once.
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

/// The name of a flow state in output.
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
