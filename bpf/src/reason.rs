//! Names and descriptions of the reasons under which the BPF programs count every packet.

use crate::abi;

/// One reason: its number in the ABI, its name in output, and its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Index into `reason_counters`.
    pub number: u32,
    /// The name in tables, logs and metrics.
    pub name: &'static str,
    /// True if packets with this reason pass.
    pub passes: bool,
    /// Description for output, without a trailing period.
    pub help: &'static str,
}

/// Why packets are dropped, in four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonKind {
    /// Policy denies the packet.
    Policy,
    /// A defence stops the packet: blocks, source filtering, floods, rate limits.
    Defence,
    /// The packet itself: malformed, without its flow, or of a kind that does not pass.
    Packet,
    /// Bailey or the machine could not carry the packet: full tables, failed lookups, missing ports.
    Capacity,
}

impl ReasonKind {
    /// The name in tables and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Defence => "defence",
            Self::Packet => "packet",
            Self::Capacity => "capacity",
        }
    }
}

/// Every reason, by number.
pub const REASONS: &[Reason] = &[
    passes(
        abi::REASON_PASS_FLOW,
        "flow",
        "packet of a flow in the table",
    ),
    passes(
        abi::REASON_PASS_NEW,
        "new",
        "allowed by policy; created a flow",
    ),
    passes(abi::REASON_PASS_ARP, "arp", "ARP"),
    passes(
        abi::REASON_PASS_ND,
        "nd",
        "IPv6 neighbour discovery on the link, with hop limit 255",
    ),
    passes(
        abi::REASON_PASS_LINK_LOCAL_CONTROL,
        "link-local-control",
        "frame to 01:80:c2:00:00:0x: STP, LACP, LLDP, 802.1X",
    ),
    passes(
        abi::REASON_PASS_EVALUATED,
        "evaluated",
        "forwarded packet that XDP evaluated on ingress",
    ),
    passes(
        abi::REASON_PASS_FAILSAFE,
        "failsafe",
        "matches a failsafe entry; passes regardless of policy",
    ),
    passes(
        abi::REASON_PASS_LLC,
        "llc",
        "frame with an IEEE 802.2 header, forwarded between the ports of a bridge",
    ),
    passes(
        abi::REASON_PASS_RELATED,
        "related",
        "ICMP error about a flow that passes",
    ),
    passes(
        abi::REASON_PASS_MULTICAST_CONTROL,
        "multicast-control",
        "IGMP or MLD on the link",
    ),
    passes(
        abi::REASON_PASS_DHCP,
        "dhcp",
        "DHCP of a client without an address, or on the link",
    ),
    passes(
        abi::REASON_PASS_ETHERTYPE,
        "ethertype-allowed",
        "EtherType that the configuration passes unparsed",
    ),
    passes(
        abi::REASON_PASS_WARM_UP,
        "warm-up",
        "policy would drop it, but warm-up (audit) mode is active",
    ),
    drops(
        abi::REASON_DROP_BLOCKED,
        "blocked",
        "from or to an address under an emergency block",
    ),
    drops(
        abi::REASON_DROP_SPOOFED,
        "spoofed",
        "source address that cannot arrive here: internal on an external interface, or of this machine",
    ),
    drops(
        abi::REASON_DROP_FLOOD,
        "flood",
        "flood: new flow of an unproven source, beyond the shared rate",
    ),
    drops(
        abi::REASON_DROP_FLOOD_SOURCE,
        "flood-source",
        "flood: new flow beyond the rate of its source",
    ),
    drops(
        abi::REASON_DROP_RATE_LIMIT,
        "rate-limit",
        "allowed by a rule whose rate limit of new flows is reached",
    ),
    drops(
        abi::REASON_CHALLENGED,
        "challenged",
        "flood: SYN answered with a challenge that proves the client address",
    ),
    drops(
        abi::REASON_SYN_COOKIE,
        "syn-cookie",
        "flood: SYN to this machine answered with a SYN cookie",
    ),
    drops(
        abi::REASON_CHALLENGE_ANSWER,
        "challenge-answer",
        "RST that answers a challenge and proves the client address",
    ),
    drops(
        abi::REASON_DROP_POLICY,
        "policy",
        "an isolated endpoint without a rule for this packet",
    ),
    drops(
        abi::REASON_DROP_FLOW_DENIED,
        "flow-denied",
        "packet of a flow that policy no longer allows",
    ),
    drops(
        abi::REASON_DROP_TCP_NO_FLOW,
        "tcp-no-flow",
        "TCP segment without a flow, other than a SYN",
    ),
    drops(
        abi::REASON_DROP_TCP_STATE,
        "tcp-state",
        "SYN or SCTP INIT against the original direction of the flow",
    ),
    drops(
        abi::REASON_DROP_ICMP_NO_FLOW,
        "icmp-no-flow",
        "echo reply without a request",
    ),
    drops(
        abi::REASON_DROP_FLOW_TABLE_FULL,
        "flow-table-full",
        "allowed, but both buckets hold only live flows",
    ),
    drops(
        abi::REASON_DROP_FLOW_CONTENTION,
        "flow-contention",
        "allowed, but other CPUs changed the bucket at every attempt",
    ),
    drops(
        abi::REASON_DROP_NO_POLICY,
        "no-policy",
        "no policy program in the slot of the active generation",
    ),
    drops(
        abi::REASON_DROP_GENERATION_MISMATCH,
        "generation-mismatch",
        "the policy program is of another generation",
    ),
    drops(
        abi::REASON_DROP_MAP_ERROR,
        "map-error",
        "map lookup failed: damaged tables",
    ),
    drops(
        abi::REASON_DROP_BRIDGE_PORT,
        "bridge-port",
        "the egress interface is not available",
    ),
    drops(
        abi::REASON_DROP_ETH_TRUNCATED,
        "eth-truncated",
        "frame shorter than an Ethernet header",
    ),
    drops(
        abi::REASON_DROP_ETHERTYPE,
        "ethertype",
        "EtherType that is not allowed",
    ),
    drops(
        abi::REASON_DROP_IP_TRUNCATED,
        "ip-truncated",
        "frame shorter than an IP header",
    ),
    drops(
        abi::REASON_DROP_IP_HEADER,
        "ip-header",
        "wrong IP version, IHL below 5, or malformed options",
    ),
    drops(
        abi::REASON_DROP_IP_LENGTH,
        "ip-length",
        "IP length shorter than the header or longer than the frame",
    ),
    drops(
        abi::REASON_DROP_L4_TRUNCATED,
        "l4-truncated",
        "packet shorter than its layer-4 header",
    ),
    drops(
        abi::REASON_DROP_L4_HEADER,
        "l4-header",
        "TCP data offset, UDP length or SCTP tag out of range",
    ),
    drops(
        abi::REASON_DROP_MARTIAN,
        "martian",
        "address that is invalid on the wire",
    ),
    drops(
        abi::REASON_DROP_ND_HOP_LIMIT,
        "nd-hop-limit",
        "neighbour discovery with a hop limit below 255: forwarded by a router",
    ),
    drops(abi::REASON_DROP_VLAN, "vlan", "more than two VLAN tags"),
    drops(
        abi::REASON_DROP_FRAGMENT,
        "fragment",
        "invalid fragment: empty, unaligned, too long, or of a protocol that is never fragmented",
    ),
    drops(
        abi::REASON_DROP_EXTENSION_HEADER,
        "extension-header",
        "IPv6 extension headers: too many, too long or out of order",
    ),
    drops(
        abi::REASON_DROP_ICMP_ERROR,
        "icmp-error",
        "ICMP error about a packet without a flow",
    ),
    drops(
        abi::REASON_DROP_ICMP_ERROR_PAYLOAD,
        "icmp-error-payload",
        "ICMP error whose quoted packet is unreadable or not from the receiver of the error",
    ),
    drops(
        abi::REASON_DROP_FRAGMENT_TINY,
        "fragment-tiny",
        "first fragment without all headers",
    ),
    drops(
        abi::REASON_DROP_FRAGMENT_OVERLAP,
        "fragment-overlap",
        "later fragment that overlaps the first one",
    ),
    drops(
        abi::REASON_DROP_FRAGMENT_NO_FIRST,
        "fragment-no-first",
        "later fragment whose first fragment did not pass",
    ),
    drops(
        abi::REASON_DROP_TUNNEL_PEER,
        "tunnel-peer",
        "tunnel packet from an address that is not a configured peer",
    ),
    drops(
        abi::REASON_DROP_TUNNEL_HEADER,
        "tunnel-header",
        "invalid VXLAN or Geneve header",
    ),
    drops(
        abi::REASON_DROP_GROUP_MAC,
        "group-mac",
        "packet to a multicast or broadcast address in a unicast frame",
    ),
    drops(
        abi::REASON_DROP_GROUP,
        "group",
        "data to a group while policy isolates endpoints; frames.groups lists exceptions",
    ),
    drops(
        abi::REASON_DROP_LINK_LOCAL,
        "link-local",
        "link-local data of an endpoint on another host; frames.link_local lists exceptions",
    ),
    drops(
        abi::REASON_DROP_ND_SCOPE,
        "nd-scope",
        "neighbour discovery that would leave the link",
    ),
    drops(
        abi::REASON_DROP_TCP_FLAGS,
        "tcp-flags",
        "TCP flag combination that no TCP stack sends",
    ),
    drops(
        abi::REASON_DROP_SOURCE_ROUTE,
        "source-route",
        "IPv4 source route or IPv6 routing header",
    ),
    drops(
        abi::REASON_DROP_SCTP_NO_FLOW,
        "sctp-no-flow",
        "SCTP packet without a flow, other than one that creates a flow",
    ),
];

impl Reason {
    /// The reason with this number, or `None` if the ABI has no such reason.
    pub fn of(number: u32) -> Option<&'static Self> {
        REASONS.iter().find(|reason| reason.number == number)
    }

    /// The kind of a drop; `None` if packets with this reason pass.
    pub fn kind(&self) -> Option<ReasonKind> {
        if self.passes {
            return None;
        }
        Some(match self.number {
            abi::REASON_DROP_POLICY | abi::REASON_DROP_FLOW_DENIED => ReasonKind::Policy,
            abi::REASON_DROP_BLOCKED
            | abi::REASON_DROP_SPOOFED
            | abi::REASON_DROP_FLOOD
            | abi::REASON_DROP_FLOOD_SOURCE
            | abi::REASON_DROP_RATE_LIMIT
            | abi::REASON_CHALLENGED
            | abi::REASON_SYN_COOKIE
            | abi::REASON_CHALLENGE_ANSWER => ReasonKind::Defence,
            abi::REASON_DROP_FLOW_TABLE_FULL
            | abi::REASON_DROP_FLOW_CONTENTION
            | abi::REASON_DROP_NO_POLICY
            | abi::REASON_DROP_GENERATION_MISMATCH
            | abi::REASON_DROP_MAP_ERROR
            | abi::REASON_DROP_BRIDGE_PORT => ReasonKind::Capacity,
            _ => ReasonKind::Packet,
        })
    }
}

const fn passes(number: u32, name: &'static str, help: &'static str) -> Reason {
    Reason {
        number,
        name,
        passes: true,
        help,
    }
}

const fn drops(number: u32, name: &'static str, help: &'static str) -> Reason {
    Reason {
        number,
        name,
        passes: false,
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new `REASON_*` of the header without a name here is an error.
    #[test]
    fn every_header_reason_has_a_name() {
        let header = include_str!("../abi.h");
        let mut in_header: Vec<u32> = header
            .lines()
            .filter_map(|line| line.trim().strip_prefix("REASON_"))
            .filter(|line| !line.starts_with("MAX") && !line.starts_with("NONE"))
            .filter_map(|line| line.split_once(" = ")?.1.split(',').next()?.parse().ok())
            .collect();
        in_header.sort_unstable();
        let mut named: Vec<u32> = REASONS.iter().map(|reason| reason.number).collect();
        named.sort_unstable();
        assert_eq!(named, in_header);
        assert!(named.iter().all(|&number| number < abi::REASON_MAX));
    }

    /// docs/packets.md and docs/floods.md define when a packet has a reason.
    #[test]
    fn every_reason_is_defined_on_a_page() {
        let pages = [
            include_str!("../../docs/packets.md"),
            include_str!("../../docs/floods.md"),
        ];
        for reason in REASONS {
            let quoted = format!("`{}`", reason.name);
            assert!(pages.iter().any(|page| page.contains(&quoted)), "{quoted}");
        }
    }

    #[test]
    fn reason_names_are_unique() {
        let mut names: Vec<_> = REASONS.iter().map(|reason| reason.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), REASONS.len());
    }
}
