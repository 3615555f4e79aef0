//! Large policies: thousands of prefixes (scattered, nested, dense), and more port classes than one
//! page of cells holds. Oracle, compiled tables and loaded BPF program agree at the edges of all
//! prefixes and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use bailey_compile::CompileLimits;
use bailey_policy::{
    Connection, Endpoint, EndpointKind, EndpointRef, IpBlock, Labels, NetworkPolicy, Peer,
    PolicyRef, PortMatch, PortRange, PortSpec, Protocol, Rule, Selector, Snapshot, SourceLocation,
};
use bailey_policytest::engine::{Engine, Engines};
use ipnet::IpNet;

const SEED: u64 = 20;
const PORT: u16 = 1000;

/// Number of prefixes, the network that contains them, and their lengths.
type Shape = (usize, &'static str, RangeInclusive<u8>);

const SHAPES: [Shape; 6] = [
    (1500, "16.0.0.0/4", 22..=32),
    (1000, "16.1.0.0/16", 17..=32),
    (200, "17.2.3.0/24", 24..=32),
    (1000, "2000::/3", 16..=64),
    (1000, "2001:db8::/32", 33..=128),
    (500, "2001:db9:1:2::/64", 65..=80),
];

fn prefixes((count, network, lengths): Shape, random: &mut fastrand::Rng) -> Vec<IpNet> {
    let network: IpNet = network.parse().unwrap();
    let one = |_| {
        let length = random.u8(lengths.clone());
        net(inside(&network, random), length)
    };
    (0..count).map(one).collect()
}

fn net(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap().trunc()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address with this integer value, of the network's family.
fn numbered(number: u128, network: &IpNet) -> IpAddr {
    match network {
        IpNet::V4(_) => Ipv4Addr::from_bits(number as u32).into(),
        IpNet::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

fn inside(network: &IpNet, random: &mut fastrand::Rng) -> IpAddr {
    let hosts = random.u128(..) & number(network.hostmask());
    numbered(number(network.network()) | hosts, network)
}

/// First and last address of a prefix, the addresses next to both, and a random one in the prefix.
fn edges(prefix: &IpNet, random: &mut fastrand::Rng) -> [IpAddr; 5] {
    let (first, last) = (number(prefix.network()), number(prefix.broadcast()));
    let between = number(inside(prefix, random));
    [first, last, first - 1, last + 1, between].map(|number| numbered(number, prefix))
}

fn pod() -> [IpAddr; 2] {
    ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()]
}

fn ports(port: u16) -> Vec<PortMatch> {
    vec![PortMatch {
        protocol: Protocol::TCP,
        port: PortSpec::Range(PortRange::single(port)),
    }]
}

fn rule(blocks: &[IpNet], ports: Vec<PortMatch>) -> Rule {
    let block = |&cidr| {
        Peer::IpBlock(IpBlock {
            cidr,
            except: Vec::new(),
        })
    };
    Rule {
        peers: blocks.iter().map(block).collect(),
        ports,
        ..Rule::default()
    }
}

fn snapshot(rules: Vec<Rule>) -> Snapshot {
    let policy = NetworkPolicy {
        id: PolicyRef {
            namespace: "ns".into(),
            name: "many".into(),
        },
        pod_selector: Selector::default(),
        ingress: Some(rules),
        egress: None,
        location: SourceLocation::default(),
    };
    let pod = Endpoint {
        id: EndpointRef {
            kind: EndpointKind::Pod,
            namespace: "ns".into(),
            name: "pod".into(),
        },
        labels: Labels::default(),
        addresses: pod().into(),
        ports: Vec::new(),
        node: None,
    };
    Snapshot::new([], vec![pod], Vec::new(), vec![policy])
}

fn from(source: IpAddr, port: u16) -> Connection {
    let [v4, v6] = pod();
    Connection {
        source,
        destination: if source.is_ipv4() { v4 } else { v6 },
        protocol: Protocol::TCP,
        port,
    }
}

/// Asserts that all engines agree. Returns the number of allowed connections.
fn agree(engines: &[Engine], snapshot: &Snapshot, connections: &[Connection]) -> usize {
    let mut engines = Engines::new(engines, CompileLimits::default(), None).unwrap();
    let prepared = engines.prepare(snapshot).unwrap();
    let wanted = engines.requested().to_vec();
    let mut allowed = 0;
    for connection in connections {
        let judge = |engine| engines.evaluate(engine, &prepared, connection).unwrap();
        let verdicts: Vec<_> = wanted.iter().copied().map(judge).collect();
        for (engine, verdict) in wanted.iter().zip(&verdicts) {
            assert_eq!(*verdict, verdicts[0], "{connection}, {}", engine.name());
        }
        allowed += usize::from(verdicts[0].is_allowed());
    }
    allowed
}

/// Tests each shape twice: as rules of 25 prefixes, which need one class per rule; and as the
/// exceptions of one rule, which need two classes.
fn many_prefixes(engines: &[Engine]) {
    let mut random = fastrand::Rng::with_seed(SEED);
    for shape in SHAPES {
        let network = shape.1;
        let prefixes = prefixes(shape, &mut random);
        let probes: Vec<Connection> = prefixes
            .iter()
            .flat_map(|prefix| edges(prefix, &mut random))
            .map(|source| from(source, PORT))
            .collect();
        // As rules of 25 prefixes.
        let rules = prefixes
            .chunks(25)
            .map(|some| rule(some, ports(PORT)))
            .collect();
        let allowed = agree(engines, &snapshot(rules), &probes);
        assert!(allowed >= probes.len() / 2, "{}: {allowed}", network);

        // As the exceptions of one rule.
        let but = IpBlock {
            cidr: net(numbered(0, &prefixes[0]), 0),
            except: prefixes,
        };
        let one = Rule {
            peers: vec![Peer::IpBlock(but)],
            ..Rule::default()
        };
        let denied = probes.len() - agree(engines, &snapshot(vec![one]), &probes);
        assert!(denied >= probes.len() / 2, "{}: {denied}", network);
    }
}

/// Tests more port classes than one page of cells holds, with eight prefixes.
fn many_ports(engines: &[Engine]) {
    let blocks: Vec<IpNet> = (0..8)
        .map(|at| net(Ipv4Addr::new(16, at, 0, 0).into(), 16))
        .collect();
    for rules in [60_u16, 200] {
        let rule = |at: u16| {
            let some = usize::from(at % 8);
            rule(&blocks[some..=some], ports(PORT + at))
        };
        let snapshot = snapshot((0..rules).map(rule).collect());
        let probes: Vec<Connection> = (0..rules + 2)
            .flat_map(|at| (0..9).map(move |block| (PORT - 1 + at, block)))
            .map(|(port, block)| from(Ipv4Addr::new(16, block, 0, 1).into(), port))
            .collect();
        assert_eq!(agree(engines, &snapshot, &probes), usize::from(rules));
    }
}

const TWO: [Engine; 2] = [Engine::Oracle, Engine::Tables];
const ALL: [Engine; 3] = [Engine::Oracle, Engine::Tables, Engine::Kernel];

#[test]
fn oracle_and_tables_agree_on_many_prefixes() {
    many_prefixes(&TWO);
}

#[test]
#[ignore = "needs root and BPF"]
fn oracle_tables_and_kernel_agree_on_many_prefixes() {
    many_prefixes(&ALL);
}

#[test]
fn oracle_and_tables_agree_on_many_ports() {
    many_ports(&TWO);
}

#[test]
#[ignore = "needs root and BPF"]
fn oracle_tables_and_kernel_agree_on_many_ports() {
    many_ports(&ALL);
}
