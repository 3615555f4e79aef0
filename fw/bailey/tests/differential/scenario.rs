//! Random policy sets and packets, made of small choices so that proptest can shrink them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_policy::{
    Connection, Endpoint, EndpointKind, EndpointRef, HostPod, IpBlock, Labels, NamedPort,
    NetworkPolicy, Peer, Place, PolicyRef, PortMatch, PortRange, PortSpec, Protocol, Requirement,
    Rule, Selector, Snapshot,
};
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;

/// Everything one case is made of.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    nodes: usize,
    endpoints: Vec<RandomEndpoint>,
    policies: Vec<RandomPolicy>,
    packets: Vec<RandomPacket>,
    /// Declared prefixes.
    isolated: Vec<(bool, u8, u8)>,
}

#[derive(Debug, Clone)]
struct RandomEndpoint {
    workload: bool,
    host_network: bool,
    namespace: u8,
    labels: Vec<(u8, u8)>,
    families: u8,
    extra_address: bool,
    /// Whose addresses it has instead of its own.
    twin: Option<u8>,
    ports: Vec<(u8, u8, u16)>,
    node: Option<u8>,
}

#[derive(Debug, Clone)]
struct RandomPolicy {
    namespace: u8,
    selector: RandomSelector,
    ingress: Option<Vec<RandomRule>>,
    egress: Option<Vec<RandomRule>>,
}

#[derive(Debug, Clone)]
struct RandomSelector(Vec<(u8, u8, Vec<u8>)>);

#[derive(Debug, Clone)]
struct RandomRule {
    peers: Vec<RandomPeer>,
    ports: Vec<RandomPort>,
}

#[derive(Debug, Clone)]
enum RandomPeer {
    Block {
        base: u8,
        v6: bool,
        len: u8,
        except: Vec<(u8, u8)>,
    },
    Selected {
        namespaces: Option<RandomSelector>,
        pods: RandomSelector,
    },
}

#[derive(Debug, Clone)]
enum RandomPort {
    Any(u8),
    Range(u8, u16, u16),
    Named(u8, u8),
}

#[derive(Debug, Clone)]
struct RandomPacket {
    v6: bool,
    source: RandomAddress,
    destination: RandomAddress,
    protocol: u8,
    port: (u16, u8),
}

#[derive(Debug, Clone)]
enum RandomAddress {
    /// Of an endpoint, by number.
    Endpoint(u16),
    /// At the edge of a prefix of the policies: one before, first, last, one after.
    Edge(u16, u8),
    /// Anywhere in the addresses that the scenario uses.
    Any(u8),
    /// One of [`SPECIAL4`] and [`SPECIAL6`].
    Special(u8),
}

/// Addresses of the machine, where there is one; those of the first node, and of its link.
pub(crate) const OWN: [&str; 4] = ["10.0.0.1", "fd00:0:0:1::1", "169.254.9.9", "fe80::1"];
pub(crate) const OWN_BROADCAST: &str = "10.0.0.255";

/// Groups, and addresses of one link, known and unknown to it.
const SPECIAL4: [&str; 8] = [
    "224.0.0.2",
    "224.0.0.5",
    "224.0.0.251",
    "239.1.1.1",
    "255.255.255.255",
    "169.254.7.7",
    OWN_BROADCAST,
    OWN[2],
];
const SPECIAL6: [&str; 7] = [
    "ff02::5", "ff02::66", "ff02::fb", "ff05::2", "fe80::2", "fe80::3", "fe80::1",
];

/// Ports that mean something there.
const SPECIAL_PORTS: [u16; 10] = [179, 520, 521, 646, 1985, 2029, 3222, 3784, 3785, 5353];

const NAMES: [&str; 3] = ["http", "dns", "db"];
const PROTOCOLS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];
const LENS4: [u8; 12] = [0, 8, 17, 18, 19, 24, 25, 26, 29, 30, 31, 32];
const LENS6: [u8; 14] = [0, 16, 18, 19, 24, 48, 63, 64, 66, 96, 120, 126, 127, 128];

pub(crate) fn scenario(packets: usize) -> impl Strategy<Value = Scenario> {
    (
        1_usize..3,
        vec(endpoint(), 2..9),
        vec(policy(), 1..9),
        vec(packet(), packets),
        prop_oneof![2 => Just(vec![]), 1 => vec((any::<bool>(), any::<u8>(), any::<u8>()), 1..4)],
    )
        .prop_map(|(nodes, endpoints, policies, packets, isolated)| Scenario {
            nodes,
            endpoints,
            policies,
            packets,
            isolated,
        })
}

fn endpoint() -> impl Strategy<Value = RandomEndpoint> {
    (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        0_u8..3,
        vec((0_u8..2, 0_u8..3), 0..3),
        1_u8..4,
        prop::bool::weighted(0.3),
        prop::option::weighted(0.15, 0_u8..4),
        vec((0_u8..3, 0_u8..3, port_number()), 0..4),
        prop::option::weighted(0.7, 0_u8..3),
    )
        .prop_map(
            |(workload, host, namespace, labels, families, extra_address, twin, ports, node)| {
                RandomEndpoint {
                    workload,
                    host_network: host && !workload,
                    namespace,
                    labels,
                    families,
                    extra_address,
                    twin,
                    ports,
                    node,
                }
            },
        )
}

fn port_number() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(80_u16),
        Just(81),
        Just(53),
        Just(1),
        Just(65535),
        1_u16..1000
    ]
}

fn selector() -> impl Strategy<Value = RandomSelector> {
    let requirement = (0_u8..4, 0_u8..2, vec(0_u8..3, 1..3));
    prop_oneof![3 => Just(vec![]), 2 => vec(requirement, 1..3)].prop_map(RandomSelector)
}

fn policy() -> impl Strategy<Value = RandomPolicy> {
    let rules = || prop::option::weighted(0.85, vec(rule(), 0..4));
    (0_u8..3, selector(), rules(), rules()).prop_map(|(namespace, selector, ingress, egress)| {
        RandomPolicy {
            namespace,
            selector,
            ingress,
            egress,
        }
    })
}

fn rule() -> impl Strategy<Value = RandomRule> {
    let ports = prop_oneof![1 => Just(vec![]), 4 => vec(port(), 1..3)];
    let peers = prop_oneof![1 => Just(vec![]), 12 => vec(peer(), 1..3)];
    (peers, ports).prop_map(|(peers, ports)| RandomRule { peers, ports })
}

fn peer() -> impl Strategy<Value = RandomPeer> {
    let block = (
        any::<u8>(),
        any::<bool>(),
        any::<u8>(),
        vec((any::<u8>(), any::<u8>()), 0..3),
    )
        .prop_map(|(base, v6, len, except)| RandomPeer::Block {
            base,
            v6,
            len,
            except,
        });
    let selected = (prop::option::of(selector()), selector())
        .prop_map(|(namespaces, pods)| RandomPeer::Selected { namespaces, pods });
    prop_oneof![block, selected]
}

fn port() -> impl Strategy<Value = RandomPort> {
    prop_oneof![
        1 => (0_u8..3).prop_map(RandomPort::Any),
        1 => (0_u8..3, port_number(), 0_u16..200).prop_map(|(p, first, more)| {
            RandomPort::Range(p, first, first.saturating_add(more))
        }),
        1 => (0_u8..3, port_number()).prop_map(|(p, first)| RandomPort::Range(p, first, first)),
        2 => (0_u8..3, 0_u8..3).prop_map(|(p, name)| RandomPort::Named(p, name)),
    ]
}

fn packet() -> impl Strategy<Value = RandomPacket> {
    let address = |special: u32| {
        prop_oneof![
            18 => any::<u16>().prop_map(RandomAddress::Endpoint),
            10 => (any::<u16>(), 0_u8..4).prop_map(|(which, edge)| RandomAddress::Edge(which, edge)),
            2 => any::<u8>().prop_map(RandomAddress::Any),
            special => any::<u8>().prop_map(RandomAddress::Special),
        ]
    };
    (
        any::<bool>(),
        address(1),
        address(4),
        0_u8..16,
        (any::<u16>(), 0_u8..4),
    )
        .prop_map(|(v6, source, destination, protocol, port)| RandomPacket {
            v6,
            source,
            destination,
            protocol,
            port,
        })
}

fn namespace(number: u8) -> String {
    format!("ns{number}")
}

/// Addresses lie close together, so that prefixes of every length split them.
fn address(v6: bool, number: u32) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(
            0xfd00_0000_0000_0001_u128 << 64 | u128::from(number),
        ))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number))
    }
}

fn net(v6: bool, base: u8, len: u8) -> IpNet {
    let lens: &[u8] = if v6 { &LENS6 } else { &LENS4 };
    let len = lens[usize::from(len) % lens.len()];
    IpNet::new(address(v6, u32::from(base)), len)
        .unwrap()
        .trunc()
}

impl RandomSelector {
    fn build(&self) -> Selector {
        let requirements = self.0.iter().map(|(operator, key, values)| {
            let key = format!("k{key}");
            let values = values.iter().map(|value| format!("v{value}")).collect();
            match operator {
                0 => Requirement::In(key, values),
                1 => Requirement::NotIn(key, values),
                2 => Requirement::Exists(key),
                _ => Requirement::DoesNotExist(key),
            }
        });
        Selector(requirements.collect())
    }
}

impl RandomPeer {
    fn build(&self) -> Peer {
        match self {
            Self::Block {
                base,
                v6,
                len,
                except,
            } => {
                let cidr = net(*v6, *base, *len);
                let except = except.iter().filter_map(|&(base, longer)| {
                    let room = cidr.max_prefix_len() - cidr.prefix_len();
                    let len = cidr.prefix_len() + 1 + longer.checked_rem(room)?;
                    let net = IpNet::new(address(*v6, u32::from(base)), len)
                        .unwrap()
                        .trunc();
                    cidr.contains(&net).then_some(net)
                });
                Peer::IpBlock(IpBlock {
                    cidr,
                    except: except.collect(),
                })
            }
            Self::Selected { namespaces, pods } => Peer::Selected {
                namespaces: namespaces.as_ref().map(RandomSelector::build),
                pods: pods.build(),
            },
        }
    }
}

impl RandomRule {
    fn build(&self) -> Rule {
        let ports = self.ports.iter().map(|port| {
            let (protocol, port) = match port {
                RandomPort::Any(protocol) => (protocol, PortSpec::Any),
                RandomPort::Range(protocol, first, last) => (
                    protocol,
                    PortSpec::Range(PortRange {
                        first: *first,
                        last: *last,
                    }),
                ),
                RandomPort::Named(protocol, name) => (
                    protocol,
                    PortSpec::Named(NAMES[usize::from(*name)].to_owned()),
                ),
            };
            PortMatch {
                protocol: PROTOCOLS[usize::from(*protocol)],
                port,
            }
        });
        Rule {
            peers: self.peers.iter().map(RandomPeer::build).collect(),
            ports: ports.collect(),
            ..Rule::default()
        }
    }
}

impl RandomEndpoint {
    fn addresses(&self, number: u32) -> Vec<IpAddr> {
        let number = self.twin.map_or(number, u32::from);
        let mut addresses = Vec::new();
        if self.twin == Some(3) {
            // That of a node.
            addresses.push(address(false, 1));
        }
        for (bit, v6) in [(1, false), (2, true)] {
            if self.families & bit != 0 {
                addresses.push(address(v6, 16 + number * 5));
                if self.extra_address {
                    addresses.push(address(v6, 128 + number * 7));
                }
            }
        }
        addresses
    }

    fn ports(&self) -> Vec<NamedPort> {
        let ports = self
            .ports
            .iter()
            .map(|&(name, protocol, number)| NamedPort {
                name: NAMES[usize::from(name)].to_owned(),
                protocol: PROTOCOLS[usize::from(protocol)],
                number,
            });
        ports.collect()
    }
}

impl Scenario {
    /// The snapshot; `reversed` gives the same objects in another order.
    pub(crate) fn snapshot(&self, reversed: bool) -> Snapshot {
        let mut endpoints = Vec::new();
        let mut host_pods = Vec::new();
        for node in 0..self.nodes {
            endpoints.push(Endpoint {
                id: EndpointRef {
                    kind: EndpointKind::Node,
                    namespace: String::new(),
                    name: format!("n{node}"),
                },
                labels: Labels::from_iter([("k0", "v0")]),
                addresses: [false, true].map(|v6| address(v6, node as u32 + 1)).into(),
                ports: Vec::new(),
                node: None,
            });
        }
        for (number, random) in self.endpoints.iter().enumerate() {
            let kind = if random.workload {
                EndpointKind::Workload
            } else {
                EndpointKind::Pod
            };
            let id = EndpointRef {
                kind,
                namespace: namespace(random.namespace),
                name: format!("e{number}"),
            };
            let node = random
                .node
                .map(|node| format!("n{node}"))
                .filter(|_| !random.workload);
            if random.host_network {
                let node_addresses = [false, true].map(|v6| address(v6, 1)).into();
                host_pods.push(HostPod {
                    id,
                    node,
                    addresses: node_addresses,
                    ports: random.ports(),
                });
                continue;
            }
            let labels = random
                .labels
                .iter()
                .map(|(k, v)| (format!("k{k}"), format!("v{v}")));
            endpoints.push(Endpoint {
                id,
                labels: labels.collect(),
                addresses: random.addresses(number as u32),
                ports: random.ports(),
                node,
            });
        }
        let mut policies: Vec<NetworkPolicy> = self
            .policies
            .iter()
            .enumerate()
            .map(|(number, random)| {
                let rules = |rules: &Option<Vec<RandomRule>>| {
                    rules
                        .as_ref()
                        .map(|rules| rules.iter().map(RandomRule::build).collect())
                };
                NetworkPolicy {
                    id: PolicyRef {
                        namespace: namespace(random.namespace),
                        name: format!("p{number}"),
                    },
                    pod_selector: random.selector.build(),
                    ingress: rules(&random.ingress),
                    egress: rules(&random.egress),
                    place: Place::default(),
                }
            })
            .collect();
        if reversed {
            endpoints.reverse();
            host_pods.reverse();
            policies.reverse();
        }
        let namespaces =
            (0..2_u8).map(|n| (namespace(n), Labels::from_iter([("k0", format!("v{n}"))])));
        let isolated = self.isolated.iter();
        Snapshot::new(namespaces, endpoints, host_pods, policies)
            .isolating(isolated.map(|&(v6, base, len)| net(v6, base, len)))
    }

    /// The packets, as openings of connections.
    pub(crate) fn connections(&self, snapshot: &Snapshot) -> Vec<Connection> {
        let blocks = blocks(snapshot);
        let edges = edge_ports(snapshot);
        self.packets
            .iter()
            .map(|packet| {
                let source = self.address(&packet.source, packet.v6, snapshot, &blocks);
                let destination = self.address(&packet.destination, packet.v6, snapshot, &blocks);
                let special = [source, destination].iter().any(is_special);
                let protocol = match packet.protocol {
                    0..=5 => Protocol::TCP,
                    6..=9 => Protocol::UDP,
                    10 | 11 => Protocol::SCTP,
                    12 | 13 if packet.v6 => Protocol::ICMPV6,
                    12 | 13 => Protocol::ICMP,
                    14 if special => Protocol(89),
                    _ => Protocol(47),
                };
                let (which, random) = packet.port;
                let port = match (random, edges.len()) {
                    (0 | 1, _) if special => {
                        SPECIAL_PORTS[usize::from(which) % SPECIAL_PORTS.len()]
                    }
                    (0, _) | (_, 0) => which.max(1),
                    (_, count) => edges[usize::from(which) % count],
                };
                let port = if protocol.has_ports() { port } else { 0 };
                Connection {
                    source,
                    destination,
                    protocol,
                    port,
                }
            })
            .collect()
    }

    fn address(
        &self,
        random: &RandomAddress,
        v6: bool,
        snapshot: &Snapshot,
        blocks: &[IpNet],
    ) -> IpAddr {
        match *random {
            RandomAddress::Endpoint(which) => {
                let all: Vec<IpAddr> = snapshot
                    .endpoints()
                    .iter()
                    .flat_map(|endpoint| &endpoint.addresses)
                    .filter(|address| address.is_ipv6() == v6)
                    .copied()
                    .collect();
                all[usize::from(which) % all.len()]
            }
            RandomAddress::Edge(which, edge) => {
                let nets: Vec<&IpNet> = blocks
                    .iter()
                    .filter(|net| net.addr().is_ipv6() == v6)
                    .collect();
                match nets.len() {
                    0 => address(v6, u32::from(which) & 0xff),
                    count => edge_of(nets[usize::from(which) % count], edge),
                }
            }
            RandomAddress::Any(number) => address(v6, u32::from(number)),
            RandomAddress::Special(which) => {
                let all: &[&str] = if v6 { &SPECIAL6 } else { &SPECIAL4 };
                all[usize::from(which) % all.len()].parse().unwrap()
            }
        }
    }
}

fn is_special(address: &IpAddr) -> bool {
    let mut all = SPECIAL4.iter().chain(&SPECIAL6);
    all.any(|text| text.parse() == Ok(*address))
}

/// Is one of the addresses, or the port, just inside or just outside of something that a policy
/// names?
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

fn edge_of(net: &IpNet, edge: u8) -> IpAddr {
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
            // Never on the wire: dropped as martian before policy.
            let mapped = address.to_ipv4_mapped().is_some();
            IpAddr::V6(if mapped {
                Ipv6Addr::UNSPECIFIED
            } else {
                address
            })
        }
    }
}

/// Ports around every range and named port.
fn edge_ports(snapshot: &Snapshot) -> Vec<u16> {
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
