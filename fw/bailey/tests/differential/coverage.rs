//! Counts which features of policies and packets a comparison has covered.

use std::collections::BTreeMap;
use std::io::Write;

use bailey_bpf::abi::LPM_DIRECT_BITS;
use bailey_policy::link_scope::is_link_local;
use bailey_policy::{
    Connection, Decider, Direction, IpBlock, OutOfScope, Peer, PortSpec, Protocol, Snapshot,
    Verdict,
};
use ipnet::IpNet;

use crate::scenario::at_edge;

/// How often each feature decided a verdict, or could have decided one.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    hits: BTreeMap<&'static str, u64>,
    packets: u64,
    allowed: u64,
    at_edge: u64,
    pub(crate) snapshots: u64,
}

const FEATURES: [&str; 29] = [
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
    "far from every endpoint",
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

    pub(crate) fn note(&mut self, snapshot: &Snapshot, connection: &Connection, verdict: &Verdict) {
        // Verdict, family and protocol.
        self.packets += 1;
        self.allowed += u64::from(verdict.is_allowed());
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
        // Addresses with several owners.
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
        // Addresses for which the host table is not searched.
        for address in [connection.source, connection.destination] {
            let slot = IpNet::new(address, LPM_DIRECT_BITS as u8).unwrap().trunc();
            let mut hosts = snapshot.endpoints().iter().flat_map(|e| &e.addresses);
            if !hosts.any(|host| slot.contains(host)) {
                self.hit("far from every endpoint");
            }
        }
        // Groups and link-local addresses.
        if connection.destination.is_multicast() {
            self.hit("to a group");
        } else if [connection.source, connection.destination]
            .into_iter()
            .any(is_link_local)
        {
            self.hit("from or to a link");
        }
        for direction in Direction::BOTH {
            self.note_side(snapshot, connection, direction, verdict.decider(direction));
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
        // The peer, relative to the ipBlocks of all policies.
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
        // The decider; of a rule, its peers and ports.
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

    pub(crate) fn check(&self) {
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
