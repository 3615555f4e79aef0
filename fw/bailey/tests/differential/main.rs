//! Three answers agree: oracle, compiled tables, loaded BPF program, on random policy sets and
//! packets; verdicts and deciding rules. `BAILEY_SEED` repeats a run, `BAILEY_FUZZ_SECONDS` goes
//! on for as long.

mod scenario;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailey::engine::{Engine, Engines};
use bailey_compile::{Compiler, Limits, RuleIds, compile};
use bailey_policy::link_scope::is_link_local;
use bailey_policy::{
    Connection, Decider, Direction, IpBlock, Labels, LinkScope, NetworkPolicy, OutOfScope, Peer,
    PortMatch, PortSpec, Protocol, Rule, Snapshot, Verdict,
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use scenario::{Scenario, at_edge, scenario};

/// Per snapshot.
const PACKETS: usize = 110;

/// How often each feature of policies decided or could have decided.
#[derive(Debug, Default)]
struct Coverage {
    hits: BTreeMap<&'static str, u64>,
    packets: u64,
    allowed: u64,
    at_edge: u64,
    snapshots: u64,
}

const FEATURES: [&str; 28] = [
    "IPv4",
    "IPv6",
    "TCP",
    "UDP",
    "SCTP",
    "ICMP",
    "other protocol",
    "named port, ingress",
    "named port, egress",
    "port range",
    "all ports of a protocol",
    "rule without ports",
    "inside an except",
    "in overlapping blocks",
    "selector peer",
    "host network",
    "egress rule",
    "ingress rule",
    "egress deny",
    "ingress deny",
    "own node",
    "self",
    "unknown address",
    "shared address",
    "to a group",
    "from or to a link",
    "group deny",
    "link-local deny",
];

impl Coverage {
    fn hit(&mut self, feature: &'static str) {
        assert!(FEATURES.contains(&feature), "{feature}");
        *self.hits.entry(feature).or_default() += 1;
    }

    fn note(&mut self, snapshot: &Snapshot, connection: &Connection, verdict: &Verdict) {
        self.packets += 1;
        self.allowed += u64::from(verdict.allows());
        self.at_edge += u64::from(at_edge(snapshot, connection));
        self.hit(if connection.source.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        });
        self.hit(match connection.protocol {
            Protocol::TCP => "TCP",
            Protocol::UDP => "UDP",
            Protocol::SCTP => "SCTP",
            Protocol::ICMP | Protocol::ICMPV6 => "ICMP",
            _ => "other protocol",
        });
        for address in [connection.source, connection.destination] {
            if snapshot
                .host_pods()
                .iter()
                .any(|pod| pod.addresses.contains(&address))
            {
                self.hit("host network");
            }
        }
        for address in [connection.source, connection.destination] {
            if snapshot.owners(address).nth(1).is_some() {
                self.hit("shared address");
            }
        }
        if connection.destination.is_multicast() {
            self.hit("to a group");
        } else if [connection.source, connection.destination]
            .into_iter()
            .any(is_link_local)
        {
            self.hit("from or to a link");
        }
        for direction in Direction::BOTH {
            self.note_side(snapshot, connection, direction, verdict.side(direction));
        }
    }

    fn note_side(
        &mut self,
        snapshot: &Snapshot,
        connection: &Connection,
        direction: Direction,
        decider: &Decider,
    ) {
        let egress = direction == Direction::Egress;
        let peer = if egress {
            connection.destination
        } else {
            connection.source
        };
        let blocks: Vec<&IpBlock> = blocks_of(snapshot, direction).collect();
        if blocks
            .iter()
            .any(|block| block.cidr.contains(&peer) && !block.contains(peer))
        {
            self.hit("inside an except");
        }
        if blocks.iter().filter(|block| block.contains(peer)).count() > 1 {
            self.hit("in overlapping blocks");
        }
        match decider {
            Decider::OwnNode => self.hit("own node"),
            Decider::SelfTraffic => self.hit("self"),
            Decider::NotIsolated => {}
            Decider::UnknownAddress => self.hit("unknown address"),
            Decider::OutOfScope(out) => match out {
                OutOfScope::Group => self.hit("group deny"),
                OutOfScope::LinkLocal => self.hit("link-local deny"),
                OutOfScope::Spoofed => panic!("a bridge has no addresses"),
            },
            Decider::DefaultDeny(_) => self.hit(if egress {
                "egress deny"
            } else {
                "ingress deny"
            }),
            Decider::Rule(reference) => {
                self.hit(if egress {
                    "egress rule"
                } else {
                    "ingress rule"
                });
                let mut policies = snapshot.policies().iter();
                let policy = policies
                    .find(|policy| policy.id == reference.policy)
                    .unwrap();
                let rule = &policy.rules(direction).unwrap()[reference.index];
                if rule
                    .peers
                    .iter()
                    .any(|peer| matches!(peer, Peer::Selected { .. }))
                {
                    self.hit("selector peer");
                }
                if rule.ports.is_empty() {
                    self.hit("rule without ports");
                }
                let of_protocol = rule
                    .ports
                    .iter()
                    .filter(|port| port.protocol == connection.protocol);
                for port in of_protocol {
                    match &port.port {
                        PortSpec::Any => self.hit("all ports of a protocol"),
                        PortSpec::Range(range) if range.first < range.last => {
                            self.hit("port range");
                        }
                        PortSpec::Range(_) => {}
                        PortSpec::Named(_) if egress => self.hit("named port, egress"),
                        PortSpec::Named(_) => self.hit("named port, ingress"),
                    }
                }
            }
        }
    }

    fn check(&self) {
        let share = self.allowed as f64 / self.packets as f64;
        let edges = self.at_edge as f64 / self.packets as f64;
        let mut stderr = std::io::stderr();
        let _ = writeln!(
            stderr,
            "{} snapshots, {} packets, {:.0} % allowed, {:.0} % at an edge",
            self.snapshots,
            self.packets,
            share * 100.0,
            edges * 100.0
        );
        for feature in FEATURES {
            let hits = self.hits.get(feature).copied().unwrap_or_default();
            let _ = writeln!(stderr, "  {feature:<24} {hits:>8}");
        }
        assert!(
            (0.2..=0.8).contains(&share),
            "{share} of the packets were allowed"
        );
        assert!(edges >= 0.5, "{edges} of the packets were at an edge");
        let missed: Vec<_> = FEATURES
            .iter()
            .filter(|feature| !self.hits.contains_key(**feature))
            .collect();
        assert!(missed.is_empty(), "never hit: {missed:?}");
    }
}

fn blocks_of(snapshot: &Snapshot, direction: Direction) -> impl Iterator<Item = &IpBlock> {
    let rules = snapshot
        .policies()
        .iter()
        .filter_map(move |policy| policy.rules(direction));
    rules
        .flatten()
        .flat_map(|rule| &rule.peers)
        .filter_map(|peer| match peer {
            Peer::IpBlock(block) => Some(block),
            Peer::Selected { .. } => None,
        })
}

fn seed() -> u64 {
    match std::env::var("BAILEY_SEED") {
        Ok(text) => text.parse().expect("BAILEY_SEED is a number"),
        Err(_) => std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_nanos() as u64,
    }
}

/// Compares engines on `cases` snapshots, once by policies alone and once on a bridge, and goes on with
/// further seeds if asked to.
fn compare(engines: &[Engine], cases: u32) {
    let coverage = RefCell::new(Coverage::default());
    compare_by(engines, cases - cases / 3, None, &coverage);
    compare_by(engines, cases / 3, Some(bridge()), &coverage);
    coverage.borrow().check();
}

fn compare_by(
    engines: &[Engine],
    cases: u32,
    bridge: Option<LinkScope>,
    coverage: &RefCell<Coverage>,
) {
    let seconds = std::env::var("BAILEY_FUZZ_SECONDS").ok();
    let seconds = seconds.map_or(0, |text| {
        text.parse().expect("BAILEY_FUZZ_SECONDS is a number")
    });
    let deadline = Instant::now() + Duration::from_secs(seconds / 2);
    let engines = RefCell::new(Engines::new(engines, Limits::default(), bridge).unwrap());
    let mut seed = seed();
    loop {
        let _ = writeln!(std::io::stderr(), "seed: BAILEY_SEED={seed}");
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let result = runner.run(&scenario(PACKETS), |scenario| {
            judge(
                &scenario,
                &mut engines.borrow_mut(),
                &mut coverage.borrow_mut(),
            )
        });
        if let Err(failure) = result {
            panic!("BAILEY_SEED={seed}: {failure}");
        }
        if Instant::now() >= deadline {
            break;
        }
        seed = seed.wrapping_add(1);
    }
}

/// What never is on the wire the kernel drops before policy is asked: 0.0.0.0, the other end of ::/0.
#[cfg(target_os = "linux")]
fn on_the_wire(connection: &Connection) -> bool {
    let frame = bailey_datapath::frame::opening(connection);
    let parsed = bailey_reference::parse(&frame, &bailey_reference::Frames::default());
    matches!(parsed, bailey_reference::Parsed::Packet(_))
}

#[cfg(not(target_os = "linux"))]
fn on_the_wire(_: &Connection) -> bool {
    true
}

fn judge(
    scenario: &Scenario,
    engines: &mut Engines,
    coverage: &mut Coverage,
) -> Result<(), TestCaseError> {
    let snapshot = scenario.snapshot(false);
    let fail = |message: String| TestCaseError::fail(message);
    let prepared = engines
        .prepare(&snapshot)
        .map_err(|error| fail(error.to_string()))?;
    coverage.snapshots += 1;
    let connections = scenario.connections(&snapshot);
    for connection in connections.into_iter().filter(on_the_wire) {
        let wanted: Vec<Engine> = engines.wanted().to_vec();
        let mut answers = Vec::new();
        for engine in wanted {
            let verdict = engines
                .judge(engine, &prepared, &connection)
                .map_err(|error| fail(error.to_string()))?;
            answers.push((engine, verdict));
        }
        let (first, rest) = answers.split_first().unwrap();
        for (engine, verdict) in rest {
            if *verdict != first.1 {
                return Err(fail(format!(
                    "{connection}: {} says {:?}, {} says {verdict:?}\n{snapshot:#?}",
                    first.0.name(),
                    first.1,
                    engine.name()
                )));
            }
        }
        coverage.note(&snapshot, &connection, &first.1);
    }
    Ok(())
}

/// A bridge that lets some groups and services of a link through.
fn bridge() -> LinkScope {
    LinkScope {
        bridge: true,
        groups: vec![
            "224.0.0.251/32".parse().unwrap(),
            "ff02::fb/128".parse().unwrap(),
            "ff05::/16".parse().unwrap(),
        ],
        services: vec![(Protocol::TCP, Some(179)), (Protocol::SCTP, None)],
        ..LinkScope::default()
    }
}

#[test]
fn oracle_and_tables_agree() {
    compare(&[Engine::Oracle, Engine::Tables], 450);
}

#[test]
#[ignore = "needs root and BPF"]
fn oracle_tables_and_kernel_agree() {
    compare(&[Engine::Oracle, Engine::Tables, Engine::Kernel], 1000);
}

/// What an operator, or a cluster, does to a snapshot: most objects stay the same ones.
fn edited(from: &Snapshot, other: &Snapshot, edit: u8, at: usize) -> Snapshot {
    let mut namespaces = from.namespaces().clone();
    let mut endpoints = from.endpoints().to_vec();
    let mut policies = from.policies().to_vec();
    let change = |policies: &mut Vec<Arc<NetworkPolicy>>, how: fn(&mut Rule)| {
        if !policies.is_empty() {
            let index = at % policies.len();
            let policy = Arc::make_mut(&mut policies[index]);
            let rules = [&mut policy.ingress, &mut policy.egress];
            rules.into_iter().flatten().flatten().for_each(how);
        }
    };
    let drop_one = |length: usize| (length > 0).then(|| at % length);
    match edit % 8 {
        0 => change(&mut policies, |rule| rule.ports.clear()),
        1 => change(&mut policies, |rule| rule.peers.clear()),
        2 => change(&mut policies, |rule| {
            rule.ports.push(PortMatch {
                protocol: Protocol::TCP,
                port: PortSpec::Named("http".into()),
            });
        }),
        3 => {
            drop_one(policies.len()).map(|index| policies.remove(index));
        }
        4 => {
            drop_one(endpoints.len()).map(|index| endpoints.remove(index));
        }
        5 => {
            let new = other.policies().get(at % other.policies().len().max(1));
            let known = |new: &Arc<NetworkPolicy>| policies.iter().any(|p| p.id == new.id);
            policies.extend(new.filter(|new| !known(new)).cloned());
        }
        6 => {
            let name = namespaces.keys().nth(at % namespaces.len()).cloned();
            namespaces.insert(name.unwrap_or_default(), Labels::from_iter([("k0", "v9")]));
        }
        _ => {}
    }
    let host_pods = from.host_pods().to_vec();
    Snapshot::new(namespaces, endpoints, host_pods, policies).isolating(
        from.isolated()
            .iter()
            .copied()
            .skip(usize::from(edit % 8 == 7)),
    )
}

#[test]
fn what_a_compiler_keeps_between_edits_changes_nothing() {
    let mut runner = TestRunner::new(Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    });
    let edits = proptest::collection::vec((0..8_u8, 0..64_usize), 12);
    let result = runner.run(&(scenario(0), scenario(0), edits), |(one, two, edits)| {
        let (mut now, other) = (one.snapshot(false), two.snapshot(false));
        let mut compiler = Compiler::default();
        let mut ids = RuleIds::default();
        for (edit, at) in edits {
            let kept = compiler.compile(&now, &ids, &Limits::default()).unwrap();
            let anew = compile(&now, &ids, &Limits::default()).unwrap();
            if kept != anew {
                return Err(TestCaseError::fail("the tables differ"));
            }
            ids = anew.rules;
            now = edited(&now, &other, edit, at);
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn equal_snapshots_make_equal_tables_whatever_their_order() {
    let mut runner = TestRunner::new(Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&scenario(0), |scenario| {
        let tables = [false, true].map(|reversed| {
            let snapshot = scenario.snapshot(reversed);
            compile(&snapshot, &RuleIds::default(), &Limits::default()).unwrap()
        });
        if tables[0] == tables[1] {
            return Ok(());
        }
        Err(TestCaseError::fail("the tables differ"))
    });
    result.unwrap();
}
