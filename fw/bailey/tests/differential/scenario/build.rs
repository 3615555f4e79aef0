//! Builds the snapshot and the connections of a scenario.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_policy::{
    Connection, Endpoint, EndpointKind, EndpointRef, HostPod, IpBlock, Labels, NamedPort,
    NetworkPolicy, Peer, PolicyRef, PortMatch, PortRange, PortSpec, Protocol, Requirement, Rule,
    Selector, Snapshot, SourceLocation,
};
use ipnet::IpNet;

use super::edges::{blocks, edge_of, edge_ports};
use super::{
    LENS4, LENS6, NAMES, PROTOCOLS, RandomAddress, RandomEndpoint, RandomPeer, RandomPolicy,
    RandomPort, RandomRule, RandomSelector, SPECIAL_PORTS, SPECIAL4, SPECIAL6, Scenario,
};

fn namespace(number: u8) -> String {
    format!("ns{number}")
}

/// The address with this index. Addresses are close together, so that prefixes of every length
/// split them.
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

/// A node with one address per family.
fn node(number: usize) -> Endpoint {
    Endpoint {
        id: EndpointRef {
            kind: EndpointKind::Node,
            namespace: String::new(),
            name: format!("n{number}"),
        },
        labels: Labels::from_iter([("k0", "v0")]),
        addresses: [false, true]
            .map(|v6| address(v6, number as u32 + 1))
            .into(),
        ports: Vec::new(),
        node: None,
    }
}

impl RandomPolicy {
    fn build(&self, number: usize) -> NetworkPolicy {
        let rules = |rules: &Option<Vec<RandomRule>>| {
            rules
                .as_ref()
                .map(|rules| rules.iter().map(RandomRule::build).collect())
        };
        NetworkPolicy {
            id: PolicyRef {
                namespace: namespace(self.namespace),
                name: format!("p{number}"),
            },
            pod_selector: self.selector.build(),
            ingress: rules(&self.ingress),
            egress: rules(&self.egress),
            location: SourceLocation::default(),
        }
    }
}

impl RandomEndpoint {
    fn id(&self, number: usize) -> EndpointRef {
        let kind = if self.workload {
            EndpointKind::Workload
        } else {
            EndpointKind::Pod
        };
        EndpointRef {
            kind,
            namespace: namespace(self.namespace),
            name: format!("e{number}"),
        }
    }

    /// The node of a pod; workloads have none.
    fn node(&self) -> Option<String> {
        self.node
            .map(|node| format!("n{node}"))
            .filter(|_| !self.workload)
    }

    /// A pod in the network namespace of the first node.
    fn host_pod(&self, number: usize) -> HostPod {
        HostPod {
            id: self.id(number),
            node: self.node(),
            addresses: [false, true].map(|v6| address(v6, 1)).into(),
            ports: self.ports(),
        }
    }

    fn endpoint(&self, number: usize) -> Endpoint {
        let labels = self
            .labels
            .iter()
            .map(|(k, v)| (format!("k{k}"), format!("v{v}")));
        Endpoint {
            id: self.id(number),
            labels: labels.collect(),
            addresses: self.addresses(number as u32),
            ports: self.ports(),
            node: self.node(),
        }
    }

    fn addresses(&self, number: u32) -> Vec<IpAddr> {
        let number = self.twin.map_or(number, u32::from);
        let mut addresses = Vec::new();
        if self.twin == Some(3) {
            // The address of the first node.
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
    /// Builds the snapshot; `reversed` gives the same objects in reverse order.
    pub(crate) fn snapshot(&self, reversed: bool) -> Snapshot {
        let mut endpoints: Vec<Endpoint> = (0..self.nodes).map(node).collect();
        let mut host_pods = Vec::new();
        for (number, random) in self.endpoints.iter().enumerate() {
            if random.host_network {
                host_pods.push(random.host_pod(number));
            } else {
                endpoints.push(random.endpoint(number));
            }
        }
        let policies = self.policies.iter().enumerate();
        let mut policies: Vec<NetworkPolicy> = policies
            .map(|(number, random)| random.build(number))
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
            .with_declared_prefixes(isolated.map(|&(v6, base, len)| net(v6, base, len)))
    }

    /// The packets, as the first packets of connections.
    pub(crate) fn connections(&self, snapshot: &Snapshot) -> Vec<Connection> {
        let blocks = blocks(snapshot);
        let edges = edge_ports(snapshot);
        self.packets
            .iter()
            .map(|packet| {
                // Addresses and protocol.
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
                // The port: at an edge of the policies, of a link service, or random.
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
