//! Policies that all systems under test can load.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_policy::{
    Endpoint, EndpointKind, EndpointRef, IpBlock, Labels, NetworkPolicy, Peer, PolicyRef,
    PortMatch, PortRange, PortSpec, Protocol, Rule, Selector, Snapshot, SourceLocation,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::tuples::{POD, PORT};

/// Rules per policy; more rules need more policies.
const RULES_PER_POLICY: usize = 100;

/// The policies that isolate the pod, for all systems.
#[derive(Debug, Clone)]
pub(crate) enum PolicySet {
    /// This number of rules, each allowing one prefix per family to the pod's port.
    Rules(usize),
    /// As `Rules`, for UDP.
    UdpRules(usize),
    /// Every source except these prefixes may reach the pod's port.
    AllExcept(Vec<IpNet>),
}

/// The prefix of a rule: a /27 or /64, disjoint from the prefixes of other rules.
pub(crate) fn rule_prefix(rule: usize, ipv6: bool) -> IpNet {
    if ipv6 {
        let bits = 0xfd01_u128 << 112 | (rule as u128) << 64;
        return IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), 64));
    }
    let bits = 0x0b00_0000 + (rule as u32) * 32;
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), 27))
}

/// Disjoint prefixes of mixed lengths, spread over the public addresses.
pub(crate) fn scattered(count: usize, ipv6: bool, random: &mut fastrand::Rng) -> Vec<IpNet> {
    // Public unicast IPv4 in blocks of 64 addresses; 2000::/3 in blocks of /48.
    const BLOCKS4: std::ops::Range<u32> = 0x0100_0000 >> 6..0x0a00_0000 >> 6;
    const MORE4: std::ops::Range<u32> = 0x1000_0000 >> 6..0x7f00_0000 >> 6;
    let mut blocks = std::collections::BTreeSet::new();
    while blocks.len() < count {
        let block = if ipv6 {
            random.u32(..1 << 29)
        } else {
            let from4 = BLOCKS4.end - BLOCKS4.start;
            let at = random.u32(..from4 + MORE4.end - MORE4.start);
            at.checked_sub(from4)
                .map_or(BLOCKS4.start + at, |at| MORE4.start + at)
        };
        blocks.insert(block);
    }
    let prefix = |block: u32| {
        if ipv6 {
            let bits = 0x2000_u128 << 112 | u128::from(block) << 80;
            let length = random.u8(48..=64);
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length))
        } else {
            let length = random.u8(26..=32);
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(block << 6), length))
        }
    };
    blocks.into_iter().map(prefix).collect()
}

/// A random address of a prefix.
pub(crate) fn address_in(prefix: &IpNet, random: &mut fastrand::Rng) -> IpAddr {
    match prefix {
        IpNet::V4(net) => {
            let host = random.u32(..) & u32::from(net.hostmask());
            Ipv4Addr::from_bits(net.network().to_bits() | host).into()
        }
        IpNet::V6(net) => {
            let host = random.u128(..) & u128::from(net.hostmask());
            Ipv6Addr::from_bits(net.network().to_bits() | host).into()
        }
    }
}

impl PolicySet {
    /// The policies as a snapshot for Bailey.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let ports = vec![PortMatch {
            protocol: self.protocol(),
            port: PortSpec::Range(PortRange::single(PORT)),
        }];
        let rule = |peers| Rule {
            peers,
            ports: ports.clone(),
            ..Rule::default()
        };
        let block = |cidr, except| Peer::IpBlock(IpBlock { cidr, except });
        let rules: Vec<Rule> = match self {
            Self::Rules(count) | Self::UdpRules(count) => (0..*count)
                .map(|n| {
                    let peers = [false, true].map(|ipv6| block(rule_prefix(n, ipv6), Vec::new()));
                    rule(peers.into())
                })
                .collect(),
            Self::AllExcept(prefixes) => {
                let (four, six) = prefixes
                    .iter()
                    .copied()
                    .partition(|prefix| matches!(prefix, IpNet::V4(_)));
                let any_source_blocks = [any_source(false), any_source(true)];
                let [v4, v6] = any_source_blocks;
                vec![rule(vec![block(v4, four), block(v6, six)])]
            }
        };
        let policies = rules
            .chunks(RULES_PER_POLICY)
            .enumerate()
            .map(|(n, rules)| {
                let id = PolicyRef {
                    namespace: "bench".into(),
                    name: format!("policy-{n:05}"),
                };
                NetworkPolicy {
                    id,
                    pod_selector: Selector::default(),
                    ingress: Some(rules.to_vec()),
                    egress: None,
                    location: SourceLocation::default(),
                }
            });
        let pod = Endpoint {
            id: EndpointRef {
                kind: EndpointKind::Pod,
                namespace: "bench".into(),
                name: "pod".into(),
            },
            labels: Labels::default(),
            addresses: POD.into(),
            ports: Vec::new(),
            node: None,
        };
        let policies: Vec<NetworkPolicy> = policies.collect();
        Snapshot::new([], vec![pod], Vec::new(), policies)
    }

    /// Each prefix, and whether its addresses may reach the pod: the entries of the baseline's LPM
    /// trie.
    pub(crate) fn identities(&self) -> Vec<(IpNet, bool)> {
        match self {
            Self::Rules(count) | Self::UdpRules(count) => (0..*count)
                .flat_map(|n| [false, true].map(|ipv6| (rule_prefix(n, ipv6), true)))
                .collect(),
            Self::AllExcept(prefixes) => [false, true]
                .map(|ipv6| (any_source(ipv6), true))
                .into_iter()
                .chain(prefixes.iter().map(|prefix| (*prefix, false)))
                .collect(),
        }
    }

    /// The protocol that the rules allow.
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Rules(_) | Self::AllExcept(_) => Protocol::TCP,
            Self::UdpRules(_) => Protocol::UDP,
        }
    }

    /// Number of rules with a counter.
    pub(crate) fn rules(&self) -> usize {
        match self {
            Self::Rules(count) | Self::UdpRules(count) => *count,
            Self::AllExcept(_) => 1,
        }
    }
}

fn any_source(ipv6: bool) -> IpNet {
    if ipv6 {
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0))
    } else {
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0))
    }
}
