//! The compiler: runs the stages in order and caches the output of each stage between snapshots.
//! The stages themselves are the other files of this crate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailey_bpf::abi;
use bailey_config::CompileLimits;
use bailey_policy::{
    Direction, Labels, NetworkPolicy, OWNERS_MAX, PortRange, Protocol, RuleRef, Snapshot,
};
use ipnet::IpNet;

use crate::classes::{ClassBuilder, CompiledAddresses};
use crate::intern::Interner;
use crate::limits::{CompileError, check_classes, check_rules, check_table_bytes};
use crate::matrix::{self, Matrix};
use crate::memo::{ById, Memo, all_equal_by};
use crate::peers::Peers;
use crate::ports::{PortClasses, resolve_ports};
use crate::prefixes::{PrefixTree, TermSets};
use crate::rate_limits::RateLimitTables;
use crate::rule_ids::{RuleIds, RuleKey};
use crate::subjects::{IsolationInputs, NamedPorts, PortNames, Subjects, ports_of};
use crate::tables::{TableParams, TableStats, Tables, into_chunks};
use crate::terms::{Groups, PeerInputs, Term, collect_terms};

// The oracle and the BPF programs must agree on how many endpoints may share one address.
const _: () = assert!(OWNERS_MAX == abi::CLASS_OWNERS_MAX as usize);

/// Compiles one snapshot. `previous` holds the rule ids of the previous generation, so that rules
/// keep their ids; the first generation passes the default.
///
/// # Errors
/// If the snapshot exceeds a limit; the error names the limit and the number needed.
pub fn compile(
    snapshot: &Snapshot,
    previous: &RuleIds,
    limits: &CompileLimits,
) -> Result<Tables, CompileError> {
    Compiler::default().compile(snapshot, previous, limits)
}

/// Compiles a sequence of snapshots and reruns only the stages whose inputs changed. The tables
/// are equal to those of [`compile`].
#[derive(Debug, Default)]
pub struct Compiler {
    groups: Option<Arc<Groups>>,
    terms: Memo<PeerInputs, Interner<Term>>,
    classification: Memo<(ById<Groups>, PeerClassInputs), PeerClassification>,
    subjects: Memo<(ById<Groups>, IsolationInputs), Subjects>,
    keys: Memo<(RuleCounts, ById<Subjects>), BTreeSet<RuleKey>>,
    addresses: Memo<(ById<PeerClassification>, ById<Subjects>), CompiledAddresses>,
}

/// Memo key of the rule keys: equal if policies have the same names and the same number of rules.
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

/// Memo key of the peer classes: all their inputs except the endpoints.
#[derive(Debug, PartialEq)]
struct PeerClassInputs {
    terms: ById<Interner<Term>>,
    namespaces: BTreeMap<String, Labels>,
    /// The port names that egress rules use.
    egress_port_names: PortNames,
    declared_prefixes: Vec<IpNet>,
}

impl PeerClassInputs {
    fn new(snapshot: &Snapshot, terms: &Arc<Interner<Term>>) -> Self {
        let policies = snapshot.policies().iter();
        let egress_ports = policies.flat_map(|policy| ports_of(policy, Direction::Egress));
        Self {
            terms: ById(Arc::clone(terms)),
            namespaces: snapshot.namespaces().clone(),
            egress_port_names: PortNames::collect(egress_ports),
            declared_prefixes: snapshot.declared_prefixes().to_vec(),
        }
    }
}

/// Which terms match which addresses, as prefix trees and as peer classes.
#[derive(Debug)]
struct PeerClassification {
    sets: TermSets,
    /// IPv4, IPv6.
    prefixes: [PrefixTree; 2],
    peers: Peers,
}

impl PeerClassification {
    fn new(snapshot: &Snapshot, groups: &Groups, inputs: &PeerClassInputs) -> Self {
        let terms = &inputs.terms.0;
        let mut sets = TermSets::new();
        let blocks = terms
            .values()
            .iter()
            .enumerate()
            .filter_map(|(id, term)| match term {
                Term::Block(block) => Some((id as u32, block)),
                Term::Selected(..) => None,
            });
        let prefixes = PrefixTree::both_families(blocks, &inputs.declared_prefixes, &mut sets);
        let terms_of_groups = groups.match_terms(&inputs.namespaces, terms);
        let peers = Peers::new(
            snapshot.endpoints(),
            groups,
            terms_of_groups,
            &prefixes,
            &inputs.egress_port_names,
            &mut sets,
        );
        Self {
            sets,
            prefixes,
            peers,
        }
    }
}

impl Compiler {
    /// Compiles the next snapshot; see [`compile`].
    ///
    /// # Errors
    /// If the snapshot exceeds a limit; the error names the limit and the number needed.
    pub fn compile(
        &mut self,
        snapshot: &Snapshot,
        previous: &RuleIds,
        limits: &CompileLimits,
    ) -> Result<Tables, CompileError> {
        // Endpoints to groups; policies to terms, subjects and peer classes.
        let groups = self.group_endpoints(snapshot);
        let policies = snapshot.policies();
        let inputs = PeerInputs(policies.to_vec());
        let terms = self.terms.get_or_make(inputs, collect_terms);
        let classification = self.classify_peers(snapshot, &groups, &terms);
        let subjects = self.find_subjects(snapshot, &groups);

        // Ports to port classes; rules to rule ids.
        let peers = &classification.peers;
        let ports = PortClasses::new(collect_port_ranges(snapshot, &subjects, peers))?;
        let inputs = (RuleCounts(policies.to_vec()), ById(Arc::clone(&subjects)));
        let keys = self
            .keys
            .get_or_make(inputs, |_| collect_rule_keys(snapshot, &subjects));
        let ids = previous.for_next_generation(&keys);
        check_rules(limits, ids.end() as usize)?;

        // Addresses to class records.
        let inputs = (
            ById(Arc::clone(&classification)),
            ById(Arc::clone(&subjects)),
        );
        let addresses = self.addresses.get_or_make(inputs, |_| {
            ClassBuilder::new(snapshot, &subjects, peers, &classification.prefixes).into_tables()
        });
        check_classes(limits, addresses.tables.classes.len())?;

        // (subject, peer, port class) to cells.
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

    fn group_endpoints(&mut self, snapshot: &Snapshot) -> Arc<Groups> {
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

    fn classify_peers(
        &mut self,
        snapshot: &Snapshot,
        groups: &Arc<Groups>,
        terms: &Arc<Interner<Term>>,
    ) -> Arc<PeerClassification> {
        let inputs = PeerClassInputs::new(snapshot, terms);
        let inputs = (ById(Arc::clone(groups)), inputs);
        self.classification.get_or_make(inputs, |(_, inputs)| {
            PeerClassification::new(snapshot, groups, inputs)
        })
    }

    fn find_subjects(&mut self, snapshot: &Snapshot, groups: &Arc<Groups>) -> Arc<Subjects> {
        let inputs = IsolationInputs(snapshot.policies().to_vec());
        let inputs = (ById(Arc::clone(groups)), inputs);
        self.subjects.get_or_make(inputs, |(_, inputs)| {
            Subjects::new(snapshot.endpoints(), groups, inputs)
        })
    }
}

/// Puts the outputs of all stages into map images and checks their total size.
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
        subject_pages: into_chunks(&matrix.subject_pages),
        row_pages: matrix.row_pages.values().iter().map(page).collect(),
        cells: into_chunks(&matrix.cells),
        row_index: into_chunks(&matrix.row_index),
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

/// Every port range that a row can use: the ranges of the rules, and the numbers that port names
/// resolve to at subjects (ingress) and at peers (egress).
fn collect_port_ranges(
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
    let no_names = NamedPorts::default();
    let mut ranges: BTreeSet<_> = named.collect();
    for policy in snapshot.policies() {
        for direction in Direction::BOTH {
            for port in ports_of(policy, direction) {
                ranges.extend(resolve_ports(std::slice::from_ref(port), &no_names));
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

fn collect_rule_keys(snapshot: &Snapshot, subjects: &Subjects) -> BTreeSet<RuleKey> {
    let deny = subjects
        .subjects
        .values()
        .iter()
        .map(|subject| matrix::default_deny_key(snapshot, subject));
    rule_refs(snapshot).map(RuleKey::Rule).chain(deny).collect()
}
