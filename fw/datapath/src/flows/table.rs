//! The flow table, read while the programs write it. Each flow is read whole; the set of flows is
//! not a snapshot of one moment.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use bailey_bpf::abi;
use bailey_policy::Protocol;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::flows::entry::{FlowSlots, SLOTS, Snapshot, is_dead, key_of, rule_ids};
use crate::kernel::clock::Ticks;
use crate::maps::flow_keys::pinned_abi_version;
use crate::maps::pins::PinDir;

/// The pinned flow table, mapped for reading.
#[derive(Debug)]
pub struct FlowTable {
    slots: FlowSlots,
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
    /// Low bits of the epoch of the last evaluation.
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
    /// No flow yet in a table of this size.
    pub(crate) fn of_slots(slots: usize) -> Self {
        Self {
            slots: slots as u64,
            ..Self::default()
        }
    }

    /// Counts a slot in use.
    pub(crate) fn add(&mut self, state: u32) {
        self.by_state[state as usize % abi::STATE_COUNT as usize] += 1;
        self.used_slots += 1;
    }

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
            slots: FlowSlots::open(pins)?,
        })
    }

    /// Counts flows by state. Reads no other part of the entries.
    pub fn census(&self) -> Census {
        let mut census = Census::of_slots(self.slots.len());
        for (slot, _) in self.slots.used() {
            census.add(self.slots.meta(slot).state());
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
        self.slots
            .used()
            .filter(|&(slot, _)| self.slots.meta(slot).is_busy())
            .count()
    }

    /// All flows, including expired ones that have not been removed yet.
    pub fn iter(&self) -> impl Iterator<Item = Flow> {
        self.slots
            .used()
            .filter_map(|(slot, tag)| self.read(slot, tag))
    }

    /// The flow in the slot with this index, if the slot is in use.
    pub fn at(&self, slot_index: usize) -> Option<Flow> {
        match self.slots.tag(slot_index) {
            0 => None,
            tag => self.read(slot_index, tag),
        }
    }

    fn read(&self, slot: usize, tag: u8) -> Option<Flow> {
        read_flow(&self.slots.snapshot(slot)?, slot, tag)
    }
}

/// The flow of a slot that was read whole; `None` if it has none.
pub(crate) fn read_flow(snapshot: &Snapshot, slot: usize, tag: u8) -> Option<Flow> {
    let is_flow = !snapshot.meta().is_busy() && !is_dead(&snapshot.entry);
    is_flow.then(|| decode(snapshot, slot, tag))
}

fn decode(snapshot: &Snapshot, slot: usize, tag: u8) -> Flow {
    let meta = snapshot.meta();
    let key = key_of(&snapshot.entry);
    // Addresses and ports by sender.
    let low = (
        address(key.addr_lo_be),
        (key.tuple >> abi::TUPLE_PORT_LO_SHIFT) as u16,
    );
    let high = (
        address(key.addr_hi_be),
        (key.tuple >> abi::TUPLE_PORT_HI_SHIFT) as u16,
    );
    let [low_count, high_count] = snapshot.counts;
    let (source, destination, original, reply) = if meta.created_by_lower() {
        (low, high, low_count, high_count)
    } else {
        (high, low, high_count, low_count)
    };
    let [egress_rule, ingress_rule] = rule_ids(snapshot.entry.rules);
    Flow {
        source: source.0,
        destination: destination.0,
        protocol: Protocol((key.tuple >> abi::TUPLE_PROTOCOL_SHIFT) as u8),
        source_port: source.1,
        destination_port: destination.1,
        zone: (key.tuple >> abi::TUPLE_ZONE_SHIFT) as u32,
        state: meta.state(),
        flags: meta.flags(),
        epoch: meta.epoch(),
        seen: meta.seen(),
        egress_rule,
        ingress_rule,
        original,
        reply,
        slot: (slot / SLOTS, slot % SLOTS),
        tag,
        key,
    }
}

/// An address as keys and records have it.
pub(crate) fn address(words: [u64; 2]) -> IpAddr {
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
