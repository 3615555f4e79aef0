use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::connection::{Connection, Protocol};
use crate::direction::Direction;
use crate::snapshot::Snapshot;

/// What comes in through a NIC and does not pass whatever policies say: docs/packets.md, *Groups*,
/// *Link-local addresses* and *Who may say so*. Policies speak of listed endpoints, so this is asked
/// beside them, and before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkScope {
    /// Does every packet come in for another machine, as on a bridge?
    pub bridge: bool,
    /// The addresses of the machine. A bridge has none that matter.
    pub own: Vec<IpAddr>,
    /// The broadcast addresses of the subnets that the machine is in. A bridge does not know them.
    pub broadcasts: Vec<Ipv4Addr>,
    /// Groups that data may go to.
    pub groups: Vec<IpNet>,
    /// Protocols, and ports of the side that is asked, that link-local addresses may use.
    pub services: Vec<(Protocol, Option<u16>)>,
}

/// In which directions policies isolate anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IsolatedDirections {
    /// From what others open to it.
    pub ingress: bool,
    /// From what it opens to others.
    pub egress: bool,
}

impl IsolatedDirections {
    /// Those of a snapshot: of policies that select somebody, and of declared prefixes.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            ingress: has_isolated_endpoint(snapshot, Direction::Ingress),
            egress: has_isolated_endpoint(snapshot, Direction::Egress),
        }
    }
}

/// Why such a packet does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutOfScope {
    /// From an address of the machine that it comes to, or of all in a subnet of that.
    Spoofed,
    /// Data to a group.
    Group,
    /// From or to a link-local address.
    LinkLocal,
}

impl OutOfScope {
    /// The reason that the packet is counted under.
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

/// Routing and redundancy: protocol, port, and the last byte of 224.0.0.x and of ff02::x.
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
    /// Why the first packet of a connection does not pass, if it does not.
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
        if is_group(destination) || is_broadcast(destination) {
            let listed = self.groups.iter().any(|net| net.contains(&destination));
            let control = is_control_protocol(destination, protocol, port);
            let closed = isolates.ingress && !listed && !control;
            return closed.then_some(OutOfScope::Group);
        }
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

fn has_isolated_endpoint(snapshot: &Snapshot, direction: Direction) -> bool {
    let mut policies = snapshot.policies().iter();
    let declared = !snapshot.declared_prefixes().is_empty();
    declared
        || policies.any(|policy| {
            let selected = || snapshot.selected_by(policy).next().is_some();
            policy.rules(direction).is_some() && selected()
        })
}

/// Is an address that of a group, or of all: 224.0.0.0/4, 255.255.255.255, ff00::/8?
pub fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// Is an address one of a link alone: fe80::/10, 169.254.0.0/16?
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
            .find_exclusion(IsolatedDirections::of(&snapshot), &connection)
            .map(OutOfScope::name)
    }

    #[test]
    fn groups_and_links_are_for_control_and_what_is_listed() {
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
    fn a_machine_knows_its_own_addresses_and_a_bridge_none() {
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
