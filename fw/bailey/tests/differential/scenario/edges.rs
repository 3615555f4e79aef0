//! Addresses and ports at the edges of the prefixes and ranges that policies name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_policy::{Connection, Peer, PortRange, PortSpec, Snapshot};
use ipnet::IpNet;

/// Whether an address or the port is just inside or just outside of a prefix or range that a policy
/// names.
pub(crate) fn at_edge(snapshot: &Snapshot, connection: &Connection) -> bool {
    let edges: Vec<IpAddr> = blocks(snapshot)
        .iter()
        .flat_map(|net| (0..4).map(|edge| edge_of(net, edge)))
        .collect();
    edges.contains(&connection.source)
        || edges.contains(&connection.destination)
        || (connection.protocol.has_ports() && edge_ports(snapshot).contains(&connection.port))
}

/// Every prefix of every ipBlock, `except` included.
pub(crate) fn blocks(snapshot: &Snapshot) -> Vec<IpNet> {
    let rules = snapshot
        .policies()
        .iter()
        .flat_map(|policy| [&policy.ingress, &policy.egress]);
    let peers = rules.flatten().flatten().flat_map(|rule| &rule.peers);
    let nets = peers.flat_map(|peer| match peer {
        Peer::IpBlock(block) => std::iter::once(block.cidr)
            .chain(block.except.clone())
            .collect(),
        Peer::Selected { .. } => Vec::new(),
    });
    nets.collect()
}

pub(crate) fn edge_of(net: &IpNet, edge: u8) -> IpAddr {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let bits = match edge {
                0 => first.wrapping_sub(1),
                1 => first,
                2 => last,
                _ => last.wrapping_add(1),
            };
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let bits = match edge {
                0 => first.wrapping_sub(1),
                1 => first,
                2 => last,
                _ => last.wrapping_add(1),
            };
            let address = Ipv6Addr::from_bits(bits);
            // IPv4-mapped addresses are dropped as martian before policy.
            let mapped = address.to_ipv4_mapped().is_some();
            IpAddr::V6(if mapped {
                Ipv6Addr::UNSPECIFIED
            } else {
                address
            })
        }
    }
}

/// Ports at and next to the ends of every range and named port.
pub(crate) fn edge_ports(snapshot: &Snapshot) -> Vec<u16> {
    let rules = snapshot
        .policies()
        .iter()
        .flat_map(|policy| [&policy.ingress, &policy.egress]);
    let ranges = rules
        .flatten()
        .flatten()
        .flat_map(|rule| &rule.ports)
        .filter_map(|port| match &port.port {
            PortSpec::Range(range) => Some(*range),
            PortSpec::Any | PortSpec::Named(_) => None,
        });
    let named = snapshot
        .endpoints()
        .iter()
        .flat_map(|endpoint| &endpoint.ports);
    let named = named.map(|port| PortRange::single(port.number));
    let mut ports: Vec<u16> = ranges
        .chain(named)
        .flat_map(|range| {
            [
                range.first.saturating_sub(1).max(1),
                range.first,
                range.last,
            ]
            .into_iter()
            .chain([range.last.saturating_add(1)])
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
