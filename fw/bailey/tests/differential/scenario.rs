//! Random policy sets and packets, made of small choices so that proptest can shrink them.

/// Snapshots and connections from the random choices.
mod build;
/// Edges of prefixes and port ranges.
mod edges;

use bailey_policy::Protocol;
pub(crate) use edges::at_edge;
use proptest::collection::vec;
use proptest::prelude::*;

/// The random choices of one case.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    nodes: usize,
    endpoints: Vec<RandomEndpoint>,
    policies: Vec<RandomPolicy>,
    packets: Vec<RandomPacket>,
    /// Declared prefixes: whether IPv6, base, index of the length.
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
    /// Index of the endpoint whose addresses this endpoint has instead of its own.
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
    /// An endpoint's address, by index.
    Endpoint(u16),
    /// At the edge of a prefix of the policies: before the first, first, last, after the last.
    Edge(u16, u8),
    /// Any of the addresses that the scenario uses.
    Any(u8),
    /// One of [`SPECIAL4`] and [`SPECIAL6`].
    Special(u8),
}

/// Addresses of the machine in the NIC tests: those of the first node, and link-local ones.
pub(crate) const OWN: [&str; 4] = ["10.0.0.1", "fd00:0:0:1::1", "169.254.9.9", "fe80::1"];

pub(crate) const OWN_BROADCAST: &str = "10.0.0.255";

/// Groups, broadcasts and link-local addresses, listed and unlisted by the scope.
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

/// Ports of control protocols and link-local services.
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
