use std::collections::BTreeMap;
use std::sync::Arc;

use bailey_policy::{Endpoint, IpBlock, Labels, NetworkPolicy, Peer, Selector, Snapshot};
use rustc_hash::FxHashMap;

use crate::intern::Interner;

/// A peer with nothing relative in it: a selector without namespaces names its policy's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Term {
    Block(IpBlock),
    Selected(Namespaces, Selector),
}

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

/// Selectable endpoints with one namespace and equal labels: selectors cannot tell them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct GroupKey<'a> {
    namespace: &'a str,
    labels: &'a Labels,
}

/// All groups, numbered in the order of their first endpoints, and who is in which.
#[derive(Debug)]
pub(crate) struct Groups<'a> {
    groups: Interner<GroupKey<'a>>,
    by_namespace: BTreeMap<&'a str, Vec<u32>>,
    /// By index of the endpoint in the snapshot.
    of_endpoint: Vec<Option<u32>>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut groups = Interner::new();
        let of_endpoint = snapshot
            .endpoints()
            .iter()
            .map(|endpoint: &'a Arc<Endpoint>| {
                endpoint.selectable().then(|| {
                    groups.intern(GroupKey {
                        namespace: &endpoint.id.namespace,
                        labels: &endpoint.labels,
                    })
                })
            })
            .collect();
        let mut by_namespace: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (id, group) in groups.values().iter().enumerate() {
            by_namespace
                .entry(group.namespace)
                .or_default()
                .push(id as u32);
        }
        Self {
            groups,
            by_namespace,
            of_endpoint,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn of_endpoint(&self, index: usize) -> Option<u32> {
        self.of_endpoint[index]
    }

    /// The groups of one namespace that a selector matches.
    pub(crate) fn matching(&self, namespace: &str, pods: &Selector) -> impl Iterator<Item = u32> {
        self.by_namespace
            .get(namespace)
            .into_iter()
            .flatten()
            .copied()
            .filter(move |&id| pods.matches(self.groups.value(id).labels))
    }

    /// For every group the terms of `terms` that match it, ascending.
    pub(crate) fn terms_of_groups(
        &self,
        snapshot: &Snapshot,
        terms: &Interner<Term>,
    ) -> Vec<Vec<u32>> {
        let mut matched = vec![Vec::new(); self.len()];
        let mut namespaces: FxHashMap<&Selector, Vec<&str>> = FxHashMap::default();
        for (id, term) in terms.values().iter().enumerate() {
            let Term::Selected(scope, pods) = term else {
                continue;
            };
            let mut add = |namespace: &str| {
                for group in self.matching(namespace, pods) {
                    matched[group as usize].push(id as u32);
                }
            };
            match scope {
                Namespaces::Named(name) => add(name),
                Namespaces::Matching(selector) => {
                    let names = namespaces.entry(selector).or_insert_with(|| {
                        let all = snapshot.namespaces().iter();
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
