use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bailey_bpf::abi;
use bailey_config::Limits;
use bailey_policy::{
    Direction, Endpoint, EndpointKind, Labels, NetworkPolicy, OWNERS_MAX, PortRange, Protocol,
    RuleRef, Snapshot,
};

const _: () = assert!(OWNERS_MAX == abi::CLASS_OWNERS_MAX as usize);

use ipnet::IpNet;

use crate::host_table::HostTable;
use crate::intern::Interner;
use crate::limits::{CompileError, CompileLimits};
use crate::lpm::{self, Prefix, Ranges};
use crate::matrix::{self, Matrix};
use crate::memo::{ById, Memo, all_equal_by};
use crate::peers::Peers;
use crate::ports::PortClasses;
use crate::prefixes::{PrefixTree, TermSets};
use crate::rate_limits::RateLimitTables;
use crate::rule_ids::{RuleIds, RuleKey};
use crate::subjects::{IsolationInputs, PortNames, Subjects, ports_of};
use crate::tables::{AddressTables, LpmTables, TableParams, TableStats, Tables, chunked};
use crate::terms::{Groups, PeerInputs, Term, collect_terms};

/// Compiles a snapshot. `previous` is the numbering of the generation before, so that rules keep
/// their ids; a first generation starts from the default.
///
/// # Errors
/// If the snapshot does not fit the limits, with both numbers.
pub fn compile(
    snapshot: &Snapshot,
    previous: &RuleIds,
    limits: &CompileLimits,
) -> Result<Tables, CompileError> {
    Compiler::default().compile(snapshot, previous, limits)
}

/// Compiles one snapshot after the other: what depends on nothing that has changed is not made again.
/// The tables are those that [`compile`] makes.
#[derive(Debug, Default)]
pub struct Compiler {
    groups: Option<Arc<Groups>>,
    terms: Memo<PeerInputs, Interner<Term>>,
    classification: Memo<(ById<Groups>, PeerClassInputs), PeerClassification>,
    subjects: Memo<(ById<Groups>, IsolationInputs), Subjects>,
    keys: Memo<(RuleCounts, ById<Subjects>), BTreeSet<RuleKey>>,
    addresses: Memo<(ById<PeerClassification>, ById<Subjects>), CompiledAddresses>,
}

/// Policies as what has rules: equal to others of the same names with as many.
#[derive(Debug)]
struct RuleCounts(Vec<Arc<NetworkPolicy>>);

impl PartialEq for RuleCounts {
    fn eq(&self, other: &Self) -> bool {
        let rules = |policy: &NetworkPolicy| {
            Direction::BOTH.map(|direction| policy.rules(direction).map(<[_]>::len))
        };
        all_equal_by(&self.0, &other.0, |a, b| {
            a.id == b.id && rules(a) == rules(b)
        })
    }
}

/// What peer classes are made of, beside the endpoints.
#[derive(Debug, PartialEq)]
struct PeerClassInputs {
    terms: ById<Interner<Term>>,
    namespaces: BTreeMap<String, Labels>,
    /// The port names that egress rules use.
    names: PortNames,
    /// Declared prefixes.
    isolated: Vec<IpNet>,
}

/// Which terms match which addresses.
#[derive(Debug)]
struct PeerClassification {
    sets: TermSets,
    prefixes: [PrefixTree; 2],
    peers: Peers,
}

impl PeerClassification {
    fn new(snapshot: &Snapshot, groups: &Groups, inputs: &PeerClassInputs) -> Self {
        let terms = &inputs.terms.0;
        let mut sets = TermSets::new();
        let numbered = terms.values().iter().enumerate();
        let blocks = numbered.filter_map(|(id, term)| match term {
            Term::Block(block) => Some((id as u32, block)),
            Term::Selected(..) => None,
        });
        let prefixes = PrefixTree::both_families(blocks, &inputs.isolated, &mut sets);
        let terms_of_groups = groups.terms_of_groups(&inputs.namespaces, terms);
        let peers = Peers::new(
            snapshot.endpoints(),
            groups,
            terms_of_groups,
            &prefixes,
            &inputs.names,
            &mut sets,
        );
        Self {
            sets,
            prefixes,
            peers,
        }
    }
}

/// Address → class record, as tables, and what the programs must be told of them.
#[derive(Debug)]
struct CompiledAddresses {
    tables: Arc<AddressTables>,
    params: TableParams,
}

impl Compiler {
    /// As [`compile`].
    ///
    /// # Errors
    /// If the snapshot does not fit the limits, with both numbers.
    pub fn compile(
        &mut self,
        snapshot: &Snapshot,
        previous: &RuleIds,
        limits: &CompileLimits,
    ) -> Result<Tables, CompileError> {
        let groups = self.groups(snapshot);
        let policies = snapshot.policies();
        let terms = self
            .terms
            .get_or_make(PeerInputs(policies.to_vec()), collect_terms);
        let egress = policies
            .iter()
            .flat_map(|policy| ports_of(policy, Direction::Egress));
        let inputs = PeerClassInputs {
            terms: ById(Arc::clone(&terms)),
            namespaces: snapshot.namespaces().clone(),
            names: PortNames::used_by(egress),
            isolated: snapshot.declared_prefixes().to_vec(),
        };
        let of_groups = || ById(Arc::clone(&groups));
        let classification = self
            .classification
            .get_or_make((of_groups(), inputs), |(_, inputs)| {
                PeerClassification::new(snapshot, &groups, inputs)
            });
        let inputs = IsolationInputs(policies.to_vec());
        let subjects = self
            .subjects
            .get_or_make((of_groups(), inputs), |(_, inputs)| {
                Subjects::new(snapshot.endpoints(), &groups, inputs)
            });
        let peers = &classification.peers;
        let ports = PortClasses::new(port_ranges(snapshot, &subjects, peers))?;
        let counts = RuleCounts(policies.to_vec());
        let inputs = (counts, ById(Arc::clone(&subjects)));
        let keys = self
            .keys
            .get_or_make(inputs, |_| rule_keys(snapshot, &subjects));
        let ids = previous.for_next_generation(&keys);
        limits.check_rules(ids.end() as usize)?;

        let inputs = (
            ById(Arc::clone(&classification)),
            ById(Arc::clone(&subjects)),
        );
        let addresses = self.addresses.get_or_make(inputs, |_| {
            ClassBuilder::new(snapshot, &subjects, peers, &classification.prefixes).into_tables()
        });
        limits.check_classes(addresses.tables.classes.len())?;
        let matrix = matrix::build_matrix(matrix::MatrixInputs {
            snapshot,
            terms: &terms,
            sets: &classification.sets,
            peers,
            ports: &ports,
            subjects: &subjects,
            ids: &ids,
            limits,
        })?;
        let stats = TableStats {
            policies: policies.len(),
            rules: rule_refs(snapshot).count(),
            endpoints: snapshot.endpoints().len(),
            classes: addresses.tables.classes.len(),
            prefixes4: classification.prefixes[0].len(),
            prefixes6: classification.prefixes[1].len(),
            subjects: subjects.subjects.len(),
            peers: peers.len(),
            port_classes: ports.count(),
            rows: matrix.rows,
            bytes: 0,
        };
        let rate_limits = RateLimitTables::new(snapshot, &ids);
        assemble(&addresses, ports, &matrix, rate_limits, ids, stats, limits)
    }

    fn groups(&mut self, snapshot: &Snapshot) -> Arc<Groups> {
        let endpoints = snapshot.endpoints();
        match &self.groups {
            Some(groups) if groups.are_of(endpoints) => Arc::clone(groups),
            _ => {
                let groups = Arc::new(Groups::new(endpoints));
                self.groups = Some(Arc::clone(&groups));
                groups
            }
        }
    }
}

fn assemble(
    addresses: &CompiledAddresses,
    ports: PortClasses,
    matrix: &Matrix,
    rate_limits: RateLimitTables,
    rules: RuleIds,
    stats: TableStats,
    limits: &CompileLimits,
) -> Result<Tables, CompileError> {
    let params = TableParams {
        peer_pages: matrix.peer_pages as u32,
        row_cells: matrix.row_cells as u32,
        port_pages: matrix.port_pages as u32,
        ..addresses.params
    };
    let page = |cells: &[u32; abi::PAGE_CELLS as usize]| abi::page { v: *cells };
    let mut tables = Tables {
        params,
        addresses: Arc::clone(&addresses.tables),
        port_classes: ports.chunks,
        subject_pages: chunked(&matrix.subject_pages),
        row_pages: matrix.row_pages.values().iter().map(page).collect(),
        cells: chunked(&matrix.cells),
        row_index: chunked(&matrix.row_index),
        cell_pages: matrix.cell_pages.values().iter().map(page).collect(),
        rule_limits: rate_limits.by_rule,
        limits: rate_limits.limits,
        rules,
        stats,
    };
    tables.stats.bytes = tables.images().iter().map(|image| image.bytes.len()).sum();
    check_table_bytes(limits, tables.stats.bytes)?;
    Ok(tables)
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
                ranges.extend(matrix::resolve_ports(std::slice::from_ref(port), &nothing));
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
        .map(|s| matrix::default_deny_key(snapshot, s));
    rule_refs(snapshot).map(RuleKey::Rule).chain(deny).collect()
}

/// Address → class record, before it is put into tables.
struct ClassBuilder {
    records: Interner<abi::class_record>,
    hosts: Vec<([u64; 2], u32)>,
    prefixes: [Vec<(Prefix, u32)>; 2],
    defaults: [u32; 2],
    isolates: u32,
}

const NO_CLASS: abi::class_record = abi::class_record {
    egress_subject: 0,
    ingress_subject: 0,
    peer: 0,
    node: 0,
    endpoint: 0,
    flags: 0,
};

/// Of an address that is declared and no endpoint's. What policy isolates it is not asked for cells.
const UNKNOWN: abi::class_record = abi::class_record {
    egress_subject: abi::SUBJECT_UNKNOWN,
    ingress_subject: abi::SUBJECT_UNKNOWN,
    flags: abi::CLASS_UNKNOWN,
    ..NO_CLASS
};

impl ClassBuilder {
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
            isolates: 0,
        };
        for subject in subjects.subjects.values() {
            classes.isolates |= match subject.direction {
                Direction::Egress => abi::ISOLATES_EGRESS,
                Direction::Ingress => abi::ISOLATES_INGRESS,
            };
        }
        if !snapshot.declared_prefixes().is_empty() {
            classes.isolates |=
                abi::ISOLATES_EGRESS | abi::ISOLATES_INGRESS | abi::ISOLATES_UNKNOWN;
        }
        classes.records.intern(NO_CLASS);
        classes.add_endpoints(snapshot, subjects, peers, trees);
        for (family, tree) in trees.iter().enumerate() {
            for (net, set) in tree.iter() {
                let peer = peers.of_blocks(set);
                let record = if snapshot.is_declared(net) {
                    abi::class_record { peer, ..UNKNOWN }
                } else {
                    abi::class_record { peer, ..NO_CLASS }
                };
                classes.add_prefix(snapshot, family, net, record);
            }
        }
        classes
    }

    fn add_endpoints(
        &mut self,
        snapshot: &Snapshot,
        subjects: &Subjects,
        peers: &Peers,
        trees: &[PrefixTree; 2],
    ) {
        let nodes: Vec<&str> = snapshot
            .endpoints()
            .iter()
            .filter(|endpoint| endpoint.id.kind == EndpointKind::Node)
            .map(|node| node.id.name.as_str())
            .collect();
        let node_id = |name: &str| nodes.binary_search(&name).map_or(0, |at| at as u32 + 1);
        let record = |index: usize, endpoint: &Endpoint, nth: usize| {
            let is_node = endpoint.id.kind == EndpointKind::Node;
            let node = if is_node {
                Some(&endpoint.id.name)
            } else {
                endpoint.node.as_ref()
            };
            let [egress_subject, ingress_subject] = subjects.of_endpoint[index];
            abi::class_record {
                egress_subject,
                ingress_subject,
                peer: peers.of_endpoint(index, nth),
                node: node.map_or(0, |name| node_id(name)),
                endpoint: index as u32 + 1,
                flags: if is_node { abi::CLASS_NODE } else { 0 },
            }
        };
        let shared: BTreeSet<IpAddr> = snapshot.shared_addresses().map(|s| s.address).collect();
        for (index, endpoint) in snapshot.endpoints().iter().enumerate() {
            for (nth, &address) in endpoint.addresses.iter().enumerate() {
                if endpoint.addresses[..nth].contains(&address) || shared.contains(&address) {
                    continue;
                }
                let class = self.records.intern(record(index, endpoint, nth));
                self.hosts.push((address_words(address), class));
            }
        }
        for address in shared {
            let owners: Vec<_> = snapshot.owners(address).collect();
            let mut class = 0;
            // The last one first: each names the class of the one after it.
            for &(index, endpoint) in owners.iter().rev() {
                let nth = endpoint.addresses.iter().position(|a| *a == address);
                let mut record = record(index, endpoint, nth.expect("it owns the address"));
                record.flags |= class << abi::CLASS_ALSO_SHIFT;
                class = self.records.intern(record);
            }
            if owners.len() > OWNERS_MAX {
                let blocks = trees[usize::from(address.is_ipv6())].set_of(address);
                let peer = peers.of_blocks(blocks);
                class = self.records.intern(abi::class_record { peer, ..UNKNOWN });
            }
            self.hosts.push((address_words(address), class));
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
                self.hosts.push((address_words(net.addr()), class));
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

    fn into_tables(self) -> CompiledAddresses {
        let hosts = HostTable::build(&self.hosts);
        let tables = AddressTables {
            host_tags: hosts.tags,
            host_buckets: hosts.buckets,
            lpm4: self.lpm(0),
            lpm6: self.lpm(1),
            classes: self.records.values().to_vec(),
        };
        let params = TableParams {
            host_bucket_bits: hosts.bucket_bits,
            host_keys: hosts.keys,
            lpm4: !tables.lpm4.direct.is_empty(),
            lpm6: !tables.lpm6.direct.is_empty(),
            default_class4: self.defaults[0],
            default_class6: self.defaults[1],
            isolates: self.isolates,
            ..TableParams::default()
        };
        CompiledAddresses {
            tables: tables.into(),
            params,
        }
    }

    fn lpm<R: Ranges>(&self, family: usize) -> LpmTables<R> {
        if self.prefixes[family]
            .iter()
            .all(|(prefix, _)| prefix.len == 0)
        {
            return LpmTables::default();
        }
        lpm::build(&self.prefixes[family], self.defaults[family])
    }
}

/// An address as flow keys and the exact table hold it.
pub(crate) fn address_words(address: IpAddr) -> [u64; 2] {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    bytemuck::cast(octets)
}
