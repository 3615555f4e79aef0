//! Names and meanings of the reasons under which the exit counts every packet.

use crate::abi;

/// One reason: its number in the ABI, its name in output, and one sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Index into `reason_counters`.
    pub number: u32,
    /// The name in tables, logs and metrics.
    pub name: &'static str,
    /// Does a packet with this reason pass?
    pub passes: bool,
    /// What it means.
    pub help: &'static str,
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
        "allowed by policy; opened a flow",
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
        "judged",
        "forwarded packet that XDP has judged on its way in",
    ),
    passes(
        abi::REASON_PASS_FAILSAFE,
        "failsafe",
        "let through by the failsafe table, whatever policy says",
    ),
    passes(
        abi::REASON_PASS_LLC,
        "llc",
        "frame with an IEEE 802.2 header, between the sides of a bridge",
    ),
    passes(
        abi::REASON_PASS_RELATED,
        "related",
        "ICMP error about a flow that may pass",
    ),
    passes(
        abi::REASON_PASS_MULTICAST_CONTROL,
        "multicast-control",
        "IGMP or MLD of the link itself",
    ),
    passes(
        abi::REASON_PASS_DHCP,
        "dhcp",
        "DHCP of a client without an address, or on the link",
    ),
    passes(
        abi::REASON_PASS_ETHERTYPE,
        "ethertype-allowed",
        "type that the configuration lets through unread",
    ),
    passes(
        abi::REASON_PASS_WARM_UP,
        "warm-up",
        "policy would have dropped it, but only observes yet",
    ),
    drops(
        abi::REASON_DROP_BLOCKED,
        "blocked",
        "from or to an address under an emergency block",
    ),
    drops(
        abi::REASON_DROP_SPOOFED,
        "spoofed",
        "an inside address as the source of what came from outside",
    ),
    drops(
        abi::REASON_DROP_FLOOD,
        "flood",
        "new flow under a flood that cannot prove its sender, beyond the rate for such",
    ),
    drops(
        abi::REASON_DROP_FLOOD_SOURCE,
        "flood-source",
        "new flow under a flood, beyond the rate of its source",
    ),
    drops(
        abi::REASON_DROP_RATE_LIMIT,
        "rate-limit",
        "allowed by a rule that has opened as many flows as its limit lets it",
    ),
    drops(
        abi::REASON_CHALLENGED,
        "challenged",
        "SYN under a flood, answered so that a client which is there shows it",
    ),
    drops(
        abi::REASON_SYN_COOKIE,
        "syn-cookie",
        "SYN to this machine under a flood, answered with a SYN cookie",
    ),
    drops(
        abi::REASON_CHALLENGE_ANSWER,
        "challenge-answer",
        "RST by which a client has shown that it is there",
    ),
    drops(
        abi::REASON_DROP_POLICY,
        "policy",
        "an isolated endpoint without a rule for this packet",
    ),
    drops(
        abi::REASON_DROP_FLOW_DENIED,
        "flow-denied",
        "packet of a flow whose permission was revoked",
    ),
    drops(
        abi::REASON_DROP_TCP_NO_FLOW,
        "tcp-no-flow",
        "TCP segment of no known flow, and not the SYN that opens one",
    ),
    drops(
        abi::REASON_DROP_TCP_STATE,
        "tcp-state",
        "SYN or SCTP INIT against the direction in which the flow was opened",
    ),
    drops(
        abi::REASON_DROP_ICMP_NO_FLOW,
        "icmp-no-flow",
        "echo reply that nobody asked for",
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
        "no policy program is loaded in the slot",
    ),
    drops(
        abi::REASON_DROP_GENERATION_MISMATCH,
        "generation",
        "handed to a policy program of another generation",
    ),
    drops(
        abi::REASON_DROP_MAP_ERROR,
        "map",
        "a table lookup failed that cannot fail: damaged tables",
    ),
    drops(
        abi::REASON_DROP_BRIDGE_PORT,
        "bridge-port",
        "the NIC that it should leave through is not there at the moment",
    ),
    drops(
        abi::REASON_DROP_ETH_TRUNCATED,
        "eth-truncated",
        "frame shorter than an Ethernet header",
    ),
    drops(
        abi::REASON_DROP_ETHERTYPE,
        "ethertype",
        "a type that nothing lets through",
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
        "IP length below its header or beyond the frame",
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
        "an address that cannot be on the wire",
    ),
    drops(
        abi::REASON_DROP_ND_HOP_LIMIT,
        "nd-hop-limit",
        "neighbour discovery that came through a router",
    ),
    drops(abi::REASON_DROP_VLAN, "vlan", "more than two VLAN tags"),
    drops(
        abi::REASON_DROP_FRAGMENT,
        "fragment",
        "fragment that cannot be: empty, unaligned, too far, or of what is never fragmented",
    ),
    drops(
        abi::REASON_DROP_EXTENSION_HEADER,
        "extension-header",
        "IPv6 extension headers that are too many, too long or out of place",
    ),
    drops(
        abi::REASON_DROP_ICMP_ERROR,
        "icmp-error",
        "ICMP error about a packet of no known flow",
    ),
    drops(
        abi::REASON_DROP_ICMP_ERROR_PAYLOAD,
        "icmp-error-payload",
        "ICMP error whose quoted packet cannot be read or was not its receiver's",
    ),
    drops(
        abi::REASON_DROP_FRAGMENT_TINY,
        "fragment-tiny",
        "first fragment without all headers",
    ),
    drops(
        abi::REASON_DROP_FRAGMENT_OVERLAP,
        "fragment-overlap",
        "later fragment that reaches into the first",
    ),
    drops(
        abi::REASON_DROP_FRAGMENT_NO_FIRST,
        "fragment-no-first",
        "later fragment without a first one that passed",
    ),
    drops(
        abi::REASON_DROP_TUNNEL_PEER,
        "tunnel-peer",
        "tunnelled packet from who is no peer of the tunnel",
    ),
    drops(
        abi::REASON_DROP_TUNNEL_HEADER,
        "tunnel-header",
        "VXLAN or Geneve header that cannot be",
    ),
    drops(
        abi::REASON_DROP_GROUP_MAC,
        "group-mac",
        "packet to a group or broadcast address in a frame to one station",
    ),
    drops(
        abi::REASON_DROP_GROUP,
        "group",
        "data to a group while policy isolates endpoints; frames.groups lists exceptions",
    ),
    drops(
        abi::REASON_DROP_LINK_LOCAL,
        "link-local",
        "link-local data from or to another machine's endpoint; frames.link_local lists exceptions",
    ),
    drops(
        abi::REASON_DROP_ND_SCOPE,
        "nd-scope",
        "neighbour discovery that would leave the link",
    ),
    drops(
        abi::REASON_DROP_TCP_FLAGS,
        "tcp-flags",
        "TCP flags that no stack sends together",
    ),
    drops(
        abi::REASON_DROP_SOURCE_ROUTE,
        "source-route",
        "packet that names its own way: IPv4 source route, IPv6 routing header",
    ),
    drops(
        abi::REASON_DROP_SCTP_NO_FLOW,
        "sctp-no-flow",
        "SCTP packet of no known flow, and none that opens one",
    ),
];

impl Reason {
    /// The reason with this number, if there is one.
    pub fn of(number: u32) -> Option<&'static Self> {
        REASONS.iter().find(|reason| reason.number == number)
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

    /// Every `REASON_*` of the header is named here, so a new one cannot be forgotten.
    #[test]
    fn every_reason_of_the_header_has_a_name() {
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

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = REASONS.iter().map(|reason| reason.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), REASONS.len());
    }
}
