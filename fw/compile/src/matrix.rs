//! (subject, peer class, port class) to cells. A cell holds the id of the deciding rule and whether
//! it denies. Equal rows, row pages and cell pages are stored once.

use std::collections::BTreeMap;

use bailey_bpf::abi;
use bailey_config::CompileLimits;
use bailey_policy::{Direction, NetworkPolicy, PortMatch, PortSpec, Snapshot};
use rustc_hash::FxHashMap;

use crate::intern::Interner;
use crate::limits::{CompileError, check_table_bytes};
use crate::peers::Peers;
use crate::ports::{PortClasses, PortSet, resolve_ports};
use crate::prefixes::TermSets;
use crate::rule_ids::{RuleIds, RuleKey};
use crate::subjects::{NamedPorts, Subject, Subjects};
use crate::terms::Term;

/// Cells per page, and bits per page of a peer set.
const PAGE: usize = abi::PAGE_CELLS as usize;

/// The last two levels of the lookup.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) subject_pages: Vec<u32>,
    pub(crate) row_pages: Interner<[u32; PAGE]>,
    /// Consecutive rows, if a row fits one page; else `row_index` and `cell_pages` hold the rows.
    pub(crate) cells: Vec<u32>,
    pub(crate) row_index: Vec<u32>,
    pub(crate) cell_pages: Interner<[u32; PAGE]>,
    pub(crate) peer_pages: usize,
    /// Cells per row if a row fits one page, else 0.
    pub(crate) row_cells: usize,
    pub(crate) port_pages: usize,
    pub(crate) rows: usize,
}

/// All cells of one (subject, peer class) pair: the first rule whose ports match decides, else the
/// deny cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    deny: u32,
    rules: Vec<(u32, PortClassSet)>,
}

/// A set of port classes, by its id in `Builder::port_sets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum PortClassSet {
    All,
    Set(u32),
}

/// A rule of one subject.
#[derive(Debug)]
struct Rule<'a> {
    cell: u32,
    peers: PeerMatch,
    ports: &'a [PortMatch],
    /// The port classes of `ports`; `None` if `ports` contains a name that each destination
    /// resolves differently.
    fixed: Option<PortClassSet>,
}

impl Rule<'_> {
    fn has_port_names(&self) -> bool {
        self.fixed.is_none()
    }
}

/// The peer classes that match a rule: all, or a set by its id in `Builder::peer_sets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeerMatch {
    All,
    Set(u32),
}

/// A set of peer classes: (page, bits) of every page that is not empty, ascending.
#[derive(Debug, Clone, Default)]
struct PeerSet(Vec<(u32, u64)>);

/// The outputs of the earlier stages.
pub(crate) struct MatrixInputs<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) terms: &'a Interner<Term>,
    pub(crate) sets: &'a TermSets,
    pub(crate) peers: &'a Peers,
    pub(crate) ports: &'a PortClasses,
    pub(crate) subjects: &'a Subjects,
    pub(crate) ids: &'a RuleIds,
    pub(crate) limits: &'a CompileLimits,
}

struct Builder<'a> {
    input: MatrixInputs<'a>,
    rule_ids: RuleIdIndex,
    term_peers: Vec<PeerSet>,
    peer_sets: Interner<Vec<u32>>,
    peers_of_set: Vec<PeerSet>,
    port_sets: Interner<PortSet>,
    rows: Interner<Row>,
    matrix: Matrix,
}

/// The rule ids by position in the snapshot, because a lookup by name compares long strings.
struct RuleIdIndex {
    ids: Vec<u32>,
    /// By policy and direction, the index of the first rule in `ids`.
    first: Vec<[usize; 2]>,
}

impl RuleIdIndex {
    fn new(snapshot: &Snapshot, ids: &RuleIds) -> Self {
        let mut first = Vec::with_capacity(snapshot.policies().len());
        let mut count = 0;
        for policy in snapshot.policies() {
            first.push(Direction::BOTH.map(|direction| {
                let begin = count;
                count += policy.rules(direction).unwrap_or_default().len();
                begin
            }));
        }
        let ids: Vec<u32> = ids.policy_rule_ids().collect();
        assert_eq!(ids.len(), count, "every rule has exactly one id");
        Self { ids, first }
    }

    fn id(&self, policy: u32, direction: Direction, rule: usize) -> u32 {
        let side = usize::from(direction == Direction::BOTH[1]);
        self.ids[self.first[policy as usize][side] + rule]
    }
}

/// Fills the matrix subject by subject.
///
/// # Errors
/// If the subject index alone exceeds the limit on table bytes.
pub(crate) fn build_matrix(input: MatrixInputs<'_>) -> Result<Matrix, CompileError> {
    let peer_pages = input.peers.len().div_ceil(PAGE);
    let ports = input.ports.count();
    let row_cells = if ports <= PAGE { ports } else { 0 };
    let port_pages = ports.div_ceil(PAGE);
    let subjects = input.subjects.subjects.len();
    check_table_bytes(input.limits, (subjects + 1) * peer_pages * size_of::<u32>())?;
    let term_peers = term_peers(&input);
    let mut builder = Builder {
        rule_ids: RuleIdIndex::new(input.snapshot, input.ids),
        input,
        term_peers,
        peer_sets: Interner::new(),
        peers_of_set: Vec::new(),
        port_sets: Interner::new(),
        rows: Interner::new(),
        matrix: Matrix {
            // Subject 0 means "not isolated"; the programs never look it up.
            subject_pages: vec![0; peer_pages],
            row_pages: Interner::new(),
            cells: Vec::new(),
            row_index: Vec::new(),
            cell_pages: Interner::new(),
            peer_pages,
            row_cells,
            port_pages,
            rows: 0,
        },
    };
    for index in 0..subjects {
        let subject = builder.input.subjects.subjects.value(index as u32).clone();
        builder.add_subject(&subject);
    }
    builder.matrix.rows = builder.rows.len();
    Ok(builder.matrix)
}

/// For every term, the peer classes that match the term.
fn term_peers(input: &MatrixInputs<'_>) -> Vec<PeerSet> {
    let mut term_peers = vec![PeerSet::default(); input.terms.len()];
    for (id, peer) in input.peers.iter().enumerate() {
        let selected = input.sets.terms(peer.selected);
        for &term in selected.iter().chain(input.sets.terms(peer.blocks)) {
            term_peers[term as usize].insert(id);
        }
    }
    term_peers
}

impl PeerSet {
    /// Adds a peer class. Ids must arrive in ascending order.
    fn insert(&mut self, id: usize) {
        let (page, bit) = ((id / PAGE) as u32, 1 << (id % PAGE));
        match self.0.last_mut() {
            Some((last, bits)) if *last == page => *bits |= bit,
            _ => self.0.push((page, bit)),
        }
    }

    fn union<'a>(sets: impl Iterator<Item = &'a Self>) -> Self {
        let mut pages: BTreeMap<u32, u64> = BTreeMap::new();
        for &(page, bits) in sets.flat_map(|set| &set.0) {
            *pages.entry(page).or_default() |= bits;
        }
        Self(pages.into_iter().collect())
    }
}

impl<'a> Builder<'a> {
    fn add_subject(&mut self, subject: &Subject) {
        let rules = self.collect_rules(subject);
        let deny = self.default_deny_cell(subject);
        // By page of peers, the rules with matching peers in that page, in order, and those peers.
        let mut pages: Vec<Vec<(usize, u64)>> = vec![Vec::new(); self.matrix.peer_pages];
        for (at, rule) in rules.iter().enumerate() {
            match rule.peers {
                PeerMatch::All => pages.iter_mut().for_each(|page| page.push((at, u64::MAX))),
                PeerMatch::Set(set) => {
                    for &(page, bits) in &self.peers_of_set[set as usize].0 {
                        pages[page as usize].push((at, bits));
                    }
                }
            }
        }

        // Pages with the same rules and peers are equal, unless a port name varies by destination.
        let mut done: FxHashMap<Vec<(usize, u64)>, u32> = FxHashMap::default();
        for (index, matching) in pages.into_iter().enumerate() {
            let shared = !matching.iter().any(|&(at, _)| rules[at].has_port_names());
            if shared && let Some(&page) = done.get(&matching) {
                self.matrix.subject_pages.push(page);
                continue;
            }
            let page = self.add_row_page(&rules, deny, index, &matching);
            self.matrix.subject_pages.push(page);
            if shared {
                done.insert(matching, page);
            }
        }
    }

    /// The rules of the subject's policies, in evaluation order.
    fn collect_rules(&mut self, subject: &Subject) -> Vec<Rule<'a>> {
        let snapshot = self.input.snapshot;
        let mut rules = Vec::new();
        for &policy_index in &subject.policies {
            let policy = &snapshot.policies()[policy_index as usize];
            let of_policy = policy.rules(subject.direction).unwrap_or_default();
            for (index, rule) in of_policy.iter().enumerate() {
                let mut entries = rule.ports.iter();
                let varies = subject.direction == Direction::Egress
                    && entries.any(|port| matches!(port.port, PortSpec::Named(_)));
                let fixed = (!varies).then(|| self.port_set(&rule.ports, &subject.named));
                rules.push(Rule {
                    cell: self.rule_ids.id(policy_index, subject.direction, index),
                    peers: self.match_peers(policy, rule),
                    ports: &rule.ports,
                    fixed,
                });
            }
        }
        rules
    }

    fn match_peers(&mut self, policy: &NetworkPolicy, rule: &bailey_policy::Rule) -> PeerMatch {
        if rule.peers.is_empty() {
            return PeerMatch::All;
        }
        let mut terms: Vec<u32> = rule
            .peers
            .iter()
            .map(|peer| {
                self.input
                    .terms
                    .id(&Term::of(policy, peer))
                    .expect("all terms are known")
            })
            .collect();
        terms.sort_unstable();
        terms.dedup();
        let sets = terms.iter().map(|&term| &self.term_peers[term as usize]);
        if let Some(known) = self.peer_sets.id(&terms) {
            return PeerMatch::Set(known);
        }
        self.peers_of_set.push(PeerSet::union(sets));
        PeerMatch::Set(self.peer_sets.intern(terms))
    }

    fn port_set(&mut self, ports: &[PortMatch], named: &NamedPorts) -> PortClassSet {
        port_set(self.input.ports, &mut self.port_sets, ports, named)
    }

    fn default_deny_cell(&self, subject: &Subject) -> u32 {
        let key = default_deny_key(self.input.snapshot, subject);
        self.input
            .ids
            .id(&key)
            .expect("every subject has a deny id")
            | abi::CELL_DENY
    }

    /// Adds the page of row ids for 64 peer classes and returns its id.
    fn add_row_page(
        &mut self,
        rules: &[Rule<'_>],
        deny: u32,
        index: usize,
        matching: &[(usize, u64)],
    ) -> u32 {
        let mut page = [0; PAGE];
        let varies_by_peer = matching.iter().any(|&(at, _)| rules[at].has_port_names());
        let mut last = None;
        for (bit, cell) in page.iter_mut().enumerate() {
            let peer = index * PAGE + bit;
            if peer >= self.input.peers.len() {
                break;
            }
            let matching_rules =
                |bit: usize| matching.iter().map(move |(_, bits)| bits >> bit & 1 == 1);
            // Similar peers are adjacent, so the last row often applies again.
            if let Some(last) = last
                && !varies_by_peer
                && matching_rules(bit).eq(matching_rules(bit - 1))
            {
                *cell = last;
                continue;
            }
            let mut row = Row {
                deny,
                rules: Vec::new(),
            };
            for &(at, _) in matching.iter().filter(|(_, bits)| bits >> bit & 1 == 1) {
                let rule = &rules[at];
                let ports = rule.fixed.unwrap_or_else(|| {
                    let named = &self.input.peers.get(peer).named;
                    port_set(self.input.ports, &mut self.port_sets, rule.ports, named)
                });
                row.rules.push((rule.cell, ports));
                if ports == PortClassSet::All {
                    break;
                }
            }
            *cell = self.add_row(row);
            last = Some(*cell);
        }
        self.matrix.row_pages.intern(page)
    }

    fn add_row(&mut self, row: Row) -> u32 {
        if let Some(known) = self.rows.id(&row) {
            return known;
        }
        let count = self.input.ports.count();
        let cells = (0..count).map(|class| {
            let first = row.rules.iter().find(|(_, ports)| match ports {
                PortClassSet::All => true,
                PortClassSet::Set(set) => self.port_sets.value(*set).contains(class),
            });
            first.map_or(row.deny, |&(rule, _)| rule)
        });
        if self.matrix.row_cells > 0 {
            self.matrix.cells.extend(cells);
        } else {
            let cells: Vec<u32> = cells.collect();
            for part in cells.chunks(PAGE) {
                let mut page = [0; PAGE];
                page[..part.len()].copy_from_slice(part);
                let id = self.matrix.cell_pages.intern(page);
                self.matrix.row_index.push(id);
            }
        }
        self.rows.intern(row)
    }
}

/// The key of a subject's implicit default-deny rule.
pub(crate) fn default_deny_key(snapshot: &Snapshot, subject: &Subject) -> RuleKey {
    RuleKey::DefaultDeny {
        direction: subject.direction,
        policies: subject
            .policies
            .iter()
            .map(|&policy| snapshot.policies()[policy as usize].id.clone())
            .collect(),
    }
}

fn port_set(
    classes: &PortClasses,
    sets: &mut Interner<PortSet>,
    ports: &[PortMatch],
    named: &NamedPorts,
) -> PortClassSet {
    if ports.is_empty() {
        return PortClassSet::All;
    }
    PortClassSet::Set(sets.intern(classes.union(resolve_ports(ports, named))))
}
