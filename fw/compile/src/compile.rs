use std::collections::BTreeSet;
use std::net::IpAddr;

use bailey_bpf::abi;
use bailey_policy::{Direction, EndpointKind, PortRange, Protocol, RuleRef, Snapshot};
use ipnet::IpNet;

use crate::host_table::HostTable;
use crate::intern::Interner;
use crate::limits::{CompileError, Limits};
use crate::matrix::{self, Matrix};
use crate::peers::Peers;
use crate::poptrie::{self, Prefix};
use crate::ports::PortClasses;
use crate::prefixes::{PrefixTree, TermSets};
use crate::rate_limits::RateLimitTables;
use crate::rule_ids::{RuleIds, RuleKey};
use crate::subjects::{Subjects, ports_of};
use crate::tables::{LpmTables, Params, Stats, Tables, chunked};
use crate::terms::{Groups, Term};

/// Compiles a snapshot. `previous` is the numbering of the generation before, so that rules keep
/// their ids; a first generation starts from the default.
///
/// # Errors
/// If the snapshot does not fit the limits, with both numbers.
pub fn compile(
    snapshot: &Snapshot,
    previous: &RuleIds,
    limits: &Limits,
) -> Result<Tables, CompileError> {
    let groups = Groups::new(snapshot);
    let terms = terms(snapshot);
    let mut sets = TermSets::new();
    let blocks = terms
        .values()
        .iter()
        .enumerate()
        .filter_map(|(id, term)| match term {
            Term::Block(block) => Some((id as u32, block)),
            Term::Selected(..) => None,
        });
    let prefixes = PrefixTree::both(blocks, &mut sets);
    let terms_of_groups = groups.terms_of_groups(snapshot, &terms);
    let peers = Peers::new(snapshot, &groups, &terms_of_groups, &prefixes, &mut sets);
    let subjects = Subjects::new(snapshot, &groups);
    let ports = PortClasses::new(port_ranges(snapshot, &subjects, &peers))?;
    let ids = previous.next(rule_keys(snapshot, &subjects));
    limits.check_rules(ids.end() as usize)?;

    let classes = Classes::new(snapshot, &subjects, &peers, &prefixes);
    limits.check_classes(classes.records.len())?;
    let matrix = matrix::build(matrix::Input {
        snapshot,
        terms: &terms,
        sets: &sets,
        peers: &peers,
        ports: &ports,
        subjects: &subjects,
        ids: &ids,
        limits,
    })?;
    let stats = Stats {
        policies: snapshot.policies().len(),
        rules: rule_refs(snapshot).count(),
        endpoints: snapshot.endpoints().len(),
        classes: classes.records.len(),
        prefixes4: prefixes[0].len(),
        prefixes6: prefixes[1].len(),
        subjects: subjects.subjects.len(),
        peers: peers.len(),
        port_classes: ports.count(),
        rows: matrix.rows,
        bytes: 0,
    };
    let rate_limits = RateLimitTables::new(snapshot, &ids);
    assemble(classes, ports, &matrix, rate_limits, ids, stats, limits)
}

fn assemble(
    classes: Classes,
    ports: PortClasses,
    matrix: &Matrix,
    rate_limits: RateLimitTables,
    rules: RuleIds,
    stats: Stats,
    limits: &Limits,
) -> Result<Tables, CompileError> {
    let hosts = HostTable::build(&classes.hosts);
    let [lpm4, lpm6] = [0, 1].map(|family| classes.lpm(family));
    let mut params = Params {
        lpm4: !lpm4.direct.is_empty(),
        lpm6: !lpm6.direct.is_empty(),
        default_class4: classes.defaults[0],
        default_class6: classes.defaults[1],
        peer_pages: matrix.peer_pages as u32,
        port_pages: matrix.port_pages as u32,
        ..Params::default()
    };
    hosts.params(&mut params);
    let page = |cells: &[u32; abi::PAGE_CELLS as usize]| abi::page { v: *cells };
    let mut tables = Tables {
        params,
        host_tags: hosts.tags,
        host_buckets: hosts.buckets,
        lpm4,
        lpm6,
        classes: classes.records.values().to_vec(),
        port_classes: ports.chunks,
        subject_pages: chunked(&matrix.subject_pages),
        row_pages: matrix.row_pages.values().iter().map(page).collect(),
        row_index: chunked(&matrix.row_index),
        cell_pages: matrix.cell_pages.values().iter().map(page).collect(),
        rule_limits: rate_limits.by_rule,
        limits: rate_limits.limits,
        rules,
        stats,
    };
    tables.stats.bytes = tables.images().values().map(|image| image.len()).sum();
    limits.check_table_bytes(tables.stats.bytes)?;
    Ok(tables)
}

/// The peers of all rules, in the order of policies, directions and rules.
fn terms(snapshot: &Snapshot) -> Interner<Term> {
    let mut terms = Interner::new();
    for policy in snapshot.policies() {
        for direction in Direction::BOTH {
            for peer in policy
                .rules(direction)
                .unwrap_or_default()
                .iter()
                .flat_map(|rule| &rule.peers)
            {
                terms.intern(Term::of(policy, peer));
            }
        }
    }
    terms
}

/// Every range that a row may ask for: those of the rules, and what their names stand for at
/// subjects (ingress) and peers (egress).
fn port_ranges(
    snapshot: &Snapshot,
    subjects: &Subjects,
    peers: &Peers,
) -> BTreeSet<(Protocol, PortRange)> {
    let named = subjects
        .subjects
        .values()
        .iter()
        .flat_map(|subject| &subject.named.0)
        .chain(peers.iter().flat_map(|peer| &peer.named.0))
        .map(|port| (port.protocol, PortRange::single(port.number)));
    let nothing = crate::subjects::NamedPorts::default();
    let mut ranges: BTreeSet<_> = named.collect();
    for policy in snapshot.policies() {
        for direction in Direction::BOTH {
            for port in ports_of(policy, direction) {
                ranges.extend(matrix::resolve(std::slice::from_ref(port), &nothing));
            }
        }
    }
    ranges
}

fn rule_refs(snapshot: &Snapshot) -> impl Iterator<Item = RuleRef> {
    snapshot.policies().iter().flat_map(|policy| {
        Direction::BOTH.into_iter().flat_map(move |direction| {
            (0..policy.rules(direction).unwrap_or_default().len()).map(move |index| RuleRef {
                policy: policy.id.clone(),
                direction,
                index,
            })
        })
    })
}

fn rule_keys(snapshot: &Snapshot, subjects: &Subjects) -> BTreeSet<RuleKey> {
    let deny = subjects
        .subjects
        .values()
        .iter()
        .map(|s| matrix::deny_key(snapshot, s));
    rule_refs(snapshot).map(RuleKey::Rule).chain(deny).collect()
}

/// Address → class record, before it is put into tables.
struct Classes {
    records: Interner<abi::class_record>,
    hosts: Vec<([u64; 2], u32)>,
    prefixes: [Vec<(Prefix, u32)>; 2],
    /// Per family the class of an address without a prefix.
    defaults: [u32; 2],
}

const NOBODY: abi::class_record = abi::class_record {
    egress_subject: 0,
    ingress_subject: 0,
    peer: 0,
    node: 0,
    endpoint: 0,
    flags: 0,
};

impl Classes {
    fn new(
        snapshot: &Snapshot,
        subjects: &Subjects,
        peers: &Peers,
        trees: &[PrefixTree; 2],
    ) -> Self {
        let mut classes = Self {
            records: Interner::new(),
            hosts: Vec::new(),
            prefixes: [Vec::new(), Vec::new()],
            defaults: [0; 2],
        };
        classes.records.intern(NOBODY);
        classes.add_endpoints(snapshot, subjects, peers);
        for (family, tree) in trees.iter().enumerate() {
            for (net, set) in tree.iter() {
                let record = abi::class_record {
                    peer: peers.of_blocks(set),
                    ..NOBODY
                };
                classes.add_prefix(snapshot, family, net, record);
            }
        }
        classes
    }

    fn add_endpoints(&mut self, snapshot: &Snapshot, subjects: &Subjects, peers: &Peers) {
        let nodes: Vec<&str> = snapshot
            .endpoints()
            .iter()
            .filter(|endpoint| endpoint.id.kind == EndpointKind::Node)
            .map(|node| node.id.name.as_str())
            .collect();
        let node_id = |name: &str| nodes.binary_search(&name).map_or(0, |at| at as u32 + 1);
        for (index, endpoint) in snapshot.endpoints().iter().enumerate() {
            let is_node = endpoint.id.kind == EndpointKind::Node;
            let node = if is_node {
                Some(&endpoint.id.name)
            } else {
                endpoint.node.as_ref()
            };
            let [egress_subject, ingress_subject] = subjects.of_endpoint[index];
            for (nth, &address) in endpoint.addresses.iter().enumerate() {
                let class = self.records.intern(abi::class_record {
                    egress_subject,
                    ingress_subject,
                    peer: peers.of_endpoint(index, nth),
                    node: node.map_or(0, |name| node_id(name)),
                    endpoint: index as u32 + 1,
                    flags: if is_node { abi::CLASS_NODE } else { 0 },
                });
                self.hosts.push((words(address), class));
            }
        }
    }

    fn add_prefix(
        &mut self,
        snapshot: &Snapshot,
        family: usize,
        net: IpNet,
        record: abi::class_record,
    ) {
        if net.prefix_len() == net.max_prefix_len() {
            // The class of an endpoint knows the blocks that its address is in.
            if snapshot.endpoint_at(net.addr()).is_none() {
                let class = self.records.intern(record);
                self.hosts.push((words(net.addr()), class));
            }
            return;
        }
        let class = self.records.intern(record);
        if net.prefix_len() == 0 {
            self.defaults[family] = class;
        }
        let bits = match net.network() {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        self.prefixes[family].push((
            Prefix {
                bits,
                len: net.prefix_len(),
            },
            class,
        ));
    }

    fn lpm(&self, family: usize) -> LpmTables {
        if self.prefixes[family]
            .iter()
            .all(|(prefix, _)| prefix.len == 0)
        {
            return LpmTables::default();
        }
        poptrie::build(&self.prefixes[family], self.defaults[family])
    }
}

/// An address as flow keys and the exact table hold it.
pub(crate) fn words(address: IpAddr) -> [u64; 2] {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    bytemuck::cast(octets)
}
