//! Connections for a self-test: those that a rule names, those just beside, and some at random.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_policy::{
    Connection, Direction, Endpoint, EndpointKind, NetworkPolicy, Peer, PortSpec, Protocol, Rule,
    Snapshot,
};
use fastrand::Rng;
use ipnet::IpNet;

/// Chooses connections by the policies of a snapshot; the same ones for the same seed.
#[derive(Debug)]
pub struct SelfTestPackets<'a> {
    snapshot: &'a Snapshot,
    addresses: Vec<IpAddr>,
    random: Rng,
}

impl<'a> SelfTestPackets<'a> {
    /// An endless sequence.
    pub fn new(snapshot: &'a Snapshot, seed: u64) -> Self {
        let endpoints = snapshot.endpoints().iter();
        Self {
            addresses: endpoints.flat_map(|e| e.addresses.clone()).collect(),
            snapshot,
            random: Rng::with_seed(seed),
        }
    }

    /// A packet from or to an endpoint that a policy selects. `None` if this choice has no such packet.
    fn choose(&mut self) -> Option<Connection> {
        let policies = self.snapshot.policies();
        let Some(at) = (!policies.is_empty()).then(|| self.random.usize(..policies.len())) else {
            return self.choose_at_random();
        };
        let policy = &policies[at];
        let selected: Vec<&Endpoint> = self.snapshot.selected_by(policy).collect();
        let subject = self.random.choice(selected)?;
        let own = self.random.choice(subject.addresses.iter().copied())?;
        let direction = self.random.choice(Direction::BOTH)?;
        let rules = policy.rules(direction).unwrap_or_default();
        let rule = self.random.choice(rules);
        let other = rule.and_then(|rule| self.peer_of(policy, rule));
        let other = match self.random.u8(..10) {
            0 => self.any_address(),
            _ => other.or_else(|| self.any_address()),
        }?;
        let (protocol, port) = self.port_of(rule);
        let (source, destination) = match direction {
            Direction::Egress => (own, other),
            Direction::Ingress => (other, own),
        };
        connection(source, destination, protocol, port)
    }

    fn choose_at_random(&mut self) -> Option<Connection> {
        let (source, destination) = (self.any_address()?, self.any_address()?);
        let (protocol, port) = self.port_of(None);
        connection(source, destination, protocol, port)
    }

    /// An address that a rule names, or one just outside.
    fn peer_of(&mut self, policy: &NetworkPolicy, rule: &Rule) -> Option<IpAddr> {
        match self.random.choice(&rule.peers)? {
            Peer::IpBlock(block) => {
                let nets = std::iter::once(&block.cidr).chain(&block.except);
                let net = *self.random.choice(nets.collect::<Vec<_>>())?;
                Some(edge(net, self.random.u8(..4)))
            }
            Peer::Selected { namespaces, pods } => {
                let known = self.snapshot.namespaces();
                let is_peer = |endpoint: &&Endpoint| {
                    let namespace = &endpoint.id.namespace;
                    let is_in = match namespaces {
                        None => *namespace == policy.id.namespace,
                        Some(selector) => known.get(namespace).is_some_and(|l| selector.matches(l)),
                    };
                    endpoint.id.kind != EndpointKind::Node
                        && is_in
                        && pods.matches(&endpoint.labels)
                };
                let endpoints = self.snapshot.endpoints().iter().map(|endpoint| &**endpoint);
                let peers: Vec<&Endpoint> = endpoints.filter(is_peer).collect();
                let peer = self.random.choice(peers)?;
                self.random.choice(peer.addresses.iter().copied())
            }
        }
    }

    /// A protocol and a port that a rule names, or one just beside, or any.
    fn port_of(&mut self, rule: Option<&Rule>) -> (Protocol, u16) {
        let with_ports = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];
        let named = rule.and_then(|rule| self.random.choice(&rule.ports));
        let protocol = match (named, self.random.u8(..8)) {
            (Some(named), 1..) => named.protocol,
            (_, 0..6) => self.random.choice(with_ports).unwrap_or(Protocol::TCP),
            _ => Protocol::ICMP,
        };
        let any = self.random.u16(1..);
        let port = match named.map(|named| &named.port) {
            Some(PortSpec::Range(range)) => {
                let (first, last) = (range.first, range.last);
                let edges = [first, last, first.saturating_sub(1), last.saturating_add(1)];
                self.random.choice(edges).unwrap_or(first).max(1)
            }
            Some(PortSpec::Named(name)) => {
                let endpoints = self.snapshot.endpoints().iter();
                let ports = endpoints.flat_map(|endpoint| &endpoint.ports);
                let ports = ports
                    .filter(|port| port.name == *name)
                    .map(|port| port.number);
                self.random
                    .choice(ports.take(1000).collect::<Vec<_>>())
                    .unwrap_or(any)
            }
            Some(PortSpec::Any) | None => any,
        };
        (protocol, port)
    }

    /// An address of an endpoint, or one of documentation that none has.
    fn any_address(&mut self) -> Option<IpAddr> {
        match self.random.u8(..4) {
            0 => Some(Ipv4Addr::new(192, 0, 2, self.random.u8(1..)).into()),
            1 => {
                let low = self.random.u16(1..);
                Some(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, low).into())
            }
            _ => {
                let at =
                    (!self.addresses.is_empty()).then(|| self.random.usize(..self.addresses.len()));
                at.map(|at| self.addresses[at])
            }
        }
    }
}

impl Iterator for SelfTestPackets<'_> {
    type Item = Connection;

    fn next(&mut self) -> Option<Connection> {
        // Ends for a snapshot without any usable address.
        (0..10_000).find_map(|_| self.choose())
    }
}

/// The connection, unless no such packet can be sent: two families, or one address twice.
fn connection(
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    port: u16,
) -> Option<Connection> {
    let is_ipv4 = source.is_ipv4();
    let protocol = match protocol {
        Protocol::ICMP if !is_ipv4 => Protocol::ICMPV6,
        other => other,
    };
    let is_possible = is_ipv4 == destination.is_ipv4() && source != destination;
    is_possible.then_some(Connection {
        source,
        destination,
        protocol,
        port: if protocol.has_ports() { port } else { 0 },
    })
}

/// The first or last address of a prefix, or its neighbour outside.
fn edge(net: IpNet, which: u8) -> IpAddr {
    let at = |first: u128, last: u128| match which {
        0 => first.wrapping_sub(1),
        1 => first,
        2 => last,
        _ => last.wrapping_add(1),
    };
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            Ipv4Addr::from_bits(at(first.into(), last.into()) as u32).into()
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let address = Ipv6Addr::from_bits(at(first, last));
            // No packet has an IPv4-mapped address.
            match address.to_ipv4_mapped() {
                Some(_) => Ipv6Addr::LOCALHOST.into(),
                None => address.into(),
            }
        }
    }
}
