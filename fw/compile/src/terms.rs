//! Terms and groups. A term is a rule peer made absolute; a group is a set of endpoints that no
//! selector can distinguish. Matching terms with groups instead of endpoints saves most selector
//! evaluations.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailey_policy::{Direction, Endpoint, IpBlock, Labels, NetworkPolicy, Peer, Selector};
use rustc_hash::FxHashMap;

use crate::intern::Interner;
use crate::memo::all_equal_by;

/// A rule peer that no longer depends on its policy: a selector without a namespaceSelector names
/// the policy's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Term {
    Block(IpBlock),
    Selected(Namespaces, Selector),
}

/// Memo key of the terms: equal if policies have the same namespaces and peers, in the same order.
#[derive(Debug)]
pub(crate) struct PeerInputs(pub(crate) Vec<Arc<NetworkPolicy>>);

impl PartialEq for PeerInputs {
    fn eq(&self, other: &Self) -> bool {
        all_equal_by(&self.0, &other.0, |a, b| {
            a.id.namespace == b.id.namespace && peers_of(a).eq(peers_of(b))
        })
    }
}

fn peers_of(policy: &NetworkPolicy) -> impl Iterator<Item = &Peer> {
    let rules = Direction::BOTH
        .into_iter()
        .filter_map(|direction| policy.rules(direction));
    rules.flatten().flat_map(|rule| &rule.peers)
}

/// Collects the peers of all rules, in the order of policies, directions and rules.
pub(crate) fn collect_terms(inputs: &PeerInputs) -> Interner<Term> {
    let mut terms = Interner::new();
    for policy in &inputs.0 {
        for peer in peers_of(policy) {
            terms.intern(Term::of(policy, peer));
        }
    }
    terms
}

/// The namespaces in which a selector term matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Namespaces {
    Named(String),
    Matching(Selector),
}

impl Term {
    pub(crate) fn of(policy: &NetworkPolicy, peer: &Peer) -> Self {
        match peer {
            Peer::IpBlock(block) => Self::Block(block.clone()),
            Peer::Selected {
                namespaces: None,
                pods,
            } => Self::Selected(Namespaces::Named(policy.id.namespace.clone()), pods.clone()),
            Peer::Selected {
                namespaces: Some(selector),
                pods,
            } => Self::Selected(Namespaces::Matching(selector.clone()), pods.clone()),
        }
    }
}

/// Groups of selectable endpoints with the same namespace and equal labels. Selectors cannot
/// distinguish the endpoints of one group. Groups are numbered in the order of their first
/// endpoints.
#[derive(Debug)]
pub(crate) struct Groups {
    endpoints: Vec<Arc<Endpoint>>,
    /// By group, the index of the first endpoint.
    first: Vec<u32>,
    by_namespace: BTreeMap<String, Vec<u32>>,
    /// By endpoint index, the group; `None` for endpoints that selectors ignore.
    of_endpoint: Vec<Option<u32>>,
}

impl Groups {
    pub(crate) fn new(endpoints: &[Arc<Endpoint>]) -> Self {
        let mut known: FxHashMap<(&str, &Labels), u32> = FxHashMap::default();
        let mut first = Vec::new();
        let mut by_namespace: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut of_endpoint = Vec::with_capacity(endpoints.len());
        // Endpoints are sorted by kind and namespace, but equal labels can occur anywhere.
        for (index, endpoint) in endpoints.iter().enumerate() {
            if !endpoint.is_selectable() {
                of_endpoint.push(None);
                continue;
            }
            let namespace = endpoint.id.namespace.as_str();
            let next = first.len() as u32;
            let group = *known.entry((namespace, &endpoint.labels)).or_insert(next);
            if group == next {
                first.push(index as u32);
                match by_namespace.get_mut(namespace) {
                    Some(groups) => groups.push(group),
                    None => {
                        by_namespace.insert(namespace.to_owned(), vec![group]);
                    }
                }
            }
            of_endpoint.push(Some(group));
        }
        Self {
            endpoints: endpoints.to_vec(),
            first,
            by_namespace,
            of_endpoint,
        }
    }

    /// Whether the groups were built from these endpoints, compared by pointer.
    pub(crate) fn are_of(&self, endpoints: &[Arc<Endpoint>]) -> bool {
        all_equal_by(&self.endpoints, endpoints, |_, _| false)
    }

    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }

    pub(crate) fn group_of(&self, index: usize) -> Option<u32> {
        self.of_endpoint[index]
    }

    /// The groups of one namespace that a selector matches.
    pub(crate) fn matching_groups(
        &self,
        namespace: &str,
        pods: &Selector,
    ) -> impl Iterator<Item = u32> {
        self.by_namespace
            .get(namespace)
            .into_iter()
            .flatten()
            .copied()
            .filter(move |&id| {
                let first = self.first[id as usize] as usize;
                pods.matches(&self.endpoints[first].labels)
            })
    }

    /// For every group, the ids of the terms that match the group, ascending.
    pub(crate) fn match_terms(
        &self,
        namespaces: &BTreeMap<String, Labels>,
        terms: &Interner<Term>,
    ) -> Vec<Vec<u32>> {
        let mut matched = vec![Vec::new(); self.len()];
        // Caches the namespaces that each namespaceSelector matches.
        let mut matching: FxHashMap<&Selector, Vec<&str>> = FxHashMap::default();
        for (id, term) in terms.values().iter().enumerate() {
            let Term::Selected(scope, pods) = term else {
                continue;
            };
            let mut add = |namespace: &str| {
                for group in self.matching_groups(namespace, pods) {
                    matched[group as usize].push(id as u32);
                }
            };
            match scope {
                Namespaces::Named(name) => add(name),
                Namespaces::Matching(selector) => {
                    let names = matching.entry(selector).or_insert_with(|| {
                        let all = namespaces.iter();
                        all.filter(|(_, labels)| selector.matches(labels))
                            .map(|(name, _)| name.as_str())
                            .collect()
                    });
                    names.iter().for_each(|name| add(name));
                }
            }
        }
        matched
    }
}
