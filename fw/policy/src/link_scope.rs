//! Link scope: multicast, broadcast, link-local and spoofed addresses. Policies select endpoints of
//! the inventory, which lists none of these addresses, so a separate check runs before policies.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::connection::{Connection, Protocol};
use crate::direction::Direction;
use crate::snapshot::Snapshot;

/// The settings of the link-scope check for packets that arrive through a NIC. docs/packets.md
/// defines the check in *Groups*, *Link-local addresses* and *Source addresses*. The check runs
/// before policy evaluation, and no policy can allow a packet that fails the check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkScope {
    /// Whether Bailey runs as a bridge, so that every packet is for another machine.
    pub bridge: bool,
    /// The machine's own addresses; ignored on a bridge.
    pub own: Vec<IpAddr>,
    /// The broadcast addresses of the machine's subnets; ignored on a bridge.
    pub broadcasts: Vec<Ipv4Addr>,
    /// Multicast groups that may receive data.
    pub groups: Vec<IpNet>,
    /// Protocols and destination ports that link-local addresses may use; `None` is every port.
    pub services: Vec<(Protocol, Option<u16>)>,
}

/// The directions in which at least one endpoint or declared prefix is isolated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IsolatedDirections {
    /// Some endpoint is isolated for ingress.
    pub ingress: bool,
    /// Some endpoint is isolated for egress.
    pub egress: bool,
}

impl From<&Snapshot> for IsolatedDirections {
    /// Counts policies that select at least one endpoint, and declared prefixes.
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            ingress: has_isolation(snapshot, Direction::Ingress),
            egress: has_isolation(snapshot, Direction::Egress),
        }
    }
}

/// Why the link-scope check drops a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutOfScope {
    /// The source is the receiving machine's own address, or a broadcast address of its subnets.
    Spoofed,
    /// The destination is a multicast or broadcast address that is not configured.
    Group,
    /// The source or destination is a link-local address, and the service is not configured.
    LinkLocal,
}

impl OutOfScope {
    /// The drop reason under which the packet is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spoofed => "spoofed",
            Self::Group => "group",
            Self::LinkLocal => "link-local",
        }
    }
}

const EIGRP: u8 = 88;
const OSPF: u8 = 89;
const PIM: u8 = 103;
const VRRP: u8 = 112;
const UDP: u8 = 17;

/// Routing and redundancy protocols: protocol, port, and the last byte of the group in 224.0.0.x
/// and in ff02::x.
const CONTROL_PROTOCOLS: [(u8, u16, Option<u8>, Option<u8>); 12] = [
    (OSPF, 0, Some(5), Some(0x05)),
    (OSPF, 0, Some(6), Some(0x06)),
    (EIGRP, 0, Some(10), Some(0x0a)),
    (PIM, 0, Some(13), Some(0x0d)),
    (VRRP, 0, Some(18), Some(0x12)),
    (UDP, 520, Some(9), None),
    (UDP, 521, None, Some(0x09)),
    (UDP, 646, Some(2), Some(0x02)),
    (UDP, 1985, Some(2), None),
    (UDP, 1985, Some(102), None),
    (UDP, 2029, None, Some(0x66)),
    (UDP, 3222, Some(102), Some(0x66)),
];

impl LinkScope {
    /// Returns the reason if the link-scope check drops the first packet of a connection.
    pub fn find_exclusion(
        &self,
        isolates: IsolatedDirections,
        connection: &Connection,
    ) -> Option<OutOfScope> {
        let Connection {
            source,
            destination,
            protocol,
            port,
        } = *connection;
        // Spoofed: from the machine's own address or a subnet broadcast address.
        let is_broadcast = |address: IpAddr| {
            !self.bridge
                && self
                    .broadcasts
                    .iter()
                    .any(|all| IpAddr::V4(*all) == address)
        };
        if !self.bridge && self.own.contains(&source) || is_broadcast(source) {
            return Some(OutOfScope::Spoofed);
        }

        // To a group: only configured groups and control protocols, while policies isolate.
        if is_group(destination) || is_broadcast(destination) {
            let listed = self.groups.iter().any(|net| net.contains(&destination));
            let control = is_control_protocol(destination, protocol, port);
            let closed = isolates.ingress && !listed && !control;
            return closed.then_some(OutOfScope::Group);
        }

        // Link-local: only routing protocols and configured services, while policies isolate.
        let to_machine = !self.bridge && self.own.contains(&destination);
        let local = is_link_local(source) || is_link_local(destination);
        if !local || to_machine || !(isolates.ingress || isolates.egress) {
            return None;
        }
        let routing = matches!(protocol.0, OSPF | EIGRP | PIM | VRRP)
            || protocol == Protocol::UDP && matches!(port, 3784 | 3785);
        let mut services = self.services.iter();
        let listed =
            services.any(|&(known, of)| known == protocol && of.is_none_or(|of| of == port));
        (!routing && !listed).then_some(OutOfScope::LinkLocal)
    }
}

fn has_isolation(snapshot: &Snapshot, direction: Direction) -> bool {
    let mut policies = snapshot.policies().iter();
    let declared = !snapshot.declared_prefixes().is_empty();
    declared
        || policies.any(|policy| {
            let selected = || snapshot.selected_by(policy).next().is_some();
            policy.rules(direction).is_some() && selected()
        })
}

/// Whether the address is a multicast group or the limited broadcast address: 224.0.0.0/4,
/// 255.255.255.255, ff00::/8.
pub fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// Whether the address is unicast link-local: fe80::/10, 169.254.0.0/16.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn is_control_protocol(group: IpAddr, protocol: Protocol, port: u16) -> bool {
    let (four, six) = match group {
        IpAddr::V4(group) => match group.octets() {
            [224, 0, 0, last] => (Some(last), None),
            _ => return false,
        },
        IpAddr::V6(group) => match group.octets() {
            [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last] => (None, Some(last)),
            _ => return false,
        },
    };
    CONTROL_PROTOCOLS.iter().any(|&(known, of, v4, v6)| {
        let here = four.is_some() && four == v4 || six.is_some() && six == v6;
        known == protocol.0 && of == port && here
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(scope: &LinkScope, isolating: bool, text: &str) -> Option<&'static str> {
        let mut words = text.split_whitespace();
        let mut word = || words.next().unwrap();
        let connection = Connection {
            source: word().parse().unwrap(),
            destination: word().parse().unwrap(),
            protocol: Protocol(word().parse().unwrap()),
            port: word().parse().unwrap(),
        };
        let mut snapshot = Snapshot::default();
        if isolating {
            snapshot = snapshot.with_declared_prefixes(["192.0.2.0/24".parse().unwrap()]);
        }
        scope
            .find_exclusion(IsolatedDirections::from(&snapshot), &connection)
            .map(OutOfScope::name)
    }

    #[test]
    fn group_and_link_local_traffic_needs_configuration() {
        let closed = LinkScope::default();
        let open = LinkScope {
            groups: vec!["224.0.0.251/32".parse().unwrap()],
            services: vec![(Protocol::TCP, Some(179))],
            bridge: true,
            ..LinkScope::default()
        };
        for (text, by_default, listed) in [
            ("10.0.0.1 224.0.0.251 17 5353", Some("group"), None),
            (
                "10.0.0.1 255.255.255.255 17 9",
                Some("group"),
                Some("group"),
            ),
            ("fe80::1 ff02::5 89 0", None, None),
            ("10.0.0.1 224.0.0.5 89 0", None, None),
            ("10.0.0.1 224.0.0.6 88 0", Some("group"), Some("group")),
            ("fe80::1 ff02::66 17 1985", Some("group"), Some("group")),
            ("10.0.0.1 224.0.1.5 89 0", Some("group"), Some("group")),
            ("fe80::1 fe80::2 6 179", Some("link-local"), None),
            (
                "fe80::1 fe80::2 6 80",
                Some("link-local"),
                Some("link-local"),
            ),
            (
                "169.254.1.1 10.0.0.1 17 53",
                Some("link-local"),
                Some("link-local"),
            ),
            ("fe80::1 fe80::2 17 3784", None, None),
            ("10.0.0.1 10.0.0.2 6 80", None, None),
        ] {
            assert_eq!(excluded(&closed, true, text), by_default, "{text}");
            assert_eq!(excluded(&open, true, text), listed, "{text}");
            assert_eq!(excluded(&closed, false, text), None, "{text}");
        }
    }

    #[test]
    fn own_source_is_spoofed_except_on_bridge() {
        let host = LinkScope {
            own: vec!["10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            broadcasts: vec!["10.0.0.255".parse().unwrap()],
            ..LinkScope::default()
        };
        let bridge = LinkScope {
            bridge: true,
            ..host.clone()
        };
        for (text, on_host, on_bridge) in [
            ("10.0.0.1 10.0.0.2 6 80", Some("spoofed"), None),
            ("10.0.0.2 10.0.0.255 17 9", Some("group"), None),
            ("10.0.0.2 10.0.1.255 17 9", None, None),
            ("10.0.0.255 10.0.0.1 17 9", Some("spoofed"), None),
            ("fe80::2 fe80::1 6 80", None, Some("link-local")),
            ("169.254.0.1 10.0.0.1 6 80", None, Some("link-local")),
            (
                "fe80::2 fe80::3 6 80",
                Some("link-local"),
                Some("link-local"),
            ),
        ] {
            assert_eq!(excluded(&host, true, text), on_host, "{text}");
            assert_eq!(excluded(&bridge, true, text), on_bridge, "{text}");
        }
        let open = |text| excluded(&host, false, text);
        assert_eq!(open("10.0.0.1 10.0.0.2 6 80"), Some("spoofed"));
        assert_eq!(open("10.0.0.2 10.0.0.255 17 9"), None);
    }
}
