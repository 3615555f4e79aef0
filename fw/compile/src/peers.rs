//! Peer classes: addresses that every rule treats alike as a peer share one class.

use std::sync::Arc;

use bailey_policy::Endpoint;

use crate::intern::Interner;
use crate::prefixes::{PrefixTree, TermSets};
use crate::subjects::{NamedPorts, PortNames};
use crate::terms::Groups;

/// All properties by which rules distinguish peers. Sorted so that similar classes are adjacent,
/// which lets the matrix share pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer {
    /// Id of the set of selector terms that match the address.
    pub(crate) selected: u32,
    /// Id of the set of ipBlock terms that contain the address.
    pub(crate) blocks: u32,
    /// The ports to which the port names of egress rules resolve at this destination.
    pub(crate) named: NamedPorts,
}

/// All peer classes. Class 0 is an address that no rule names.
#[derive(Debug)]
pub(crate) struct Peers {
    peers: Vec<Peer>,
    /// The class of every address of every endpoint, in endpoint order.
    of_address: Vec<u32>,
    /// By endpoint, the index of its first address in `of_address`.
    first_address: Vec<u32>,
}

impl Peers {
    /// Classifies all addresses of endpoints and all prefixes. `names` are the port names that
    /// egress rules use.
    pub(crate) fn new(
        endpoints: &[Arc<Endpoint>],
        groups: &Groups,
        terms_of_groups: Vec<Vec<u32>>,
        prefixes: &[PrefixTree; 2],
        names: &PortNames,
        sets: &mut TermSets,
    ) -> Self {
        // Every address of an endpoint, and every prefix, with its properties.
        let selected: Vec<u32> = terms_of_groups
            .into_iter()
            .map(|terms| sets.intern(terms))
            .collect();
        let mut found = Interner::new();
        found.intern(Peer::default());
        let mut of_address = Vec::new();
        let mut first_address = Vec::with_capacity(endpoints.len());
        for (index, endpoint) in endpoints.iter().enumerate() {
            first_address.push(of_address.len() as u32);
            let group = groups.group_of(index);
            let named = names.resolve_at(endpoint);
            for &address in &endpoint.addresses {
                of_address.push(found.intern(Peer {
                    selected: group.map_or(0, |group| selected[group as usize]),
                    blocks: prefixes[usize::from(address.is_ipv6())].find_set(address),
                    named: named.clone(),
                }));
            }
        }
        for (_, set) in prefixes.iter().flat_map(PrefixTree::iter) {
            found.intern(Peer::from_blocks(set));
        }

        // Renumbers from arrival order to sorted order, so that similar classes are adjacent.
        let mut order: Vec<u32> = (0..found.len() as u32).collect();
        order.sort_unstable_by_key(|&id| found.value(id));
        let mut class = vec![0; order.len()];
        for (at, &id) in order.iter().enumerate() {
            class[id as usize] = at as u32;
        }
        for id in &mut of_address {
            *id = class[*id as usize];
        }
        Self {
            peers: order.iter().map(|&id| found.value(id).clone()).collect(),
            of_address,
            first_address,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    pub(crate) fn get(&self, id: usize) -> &Peer {
        &self.peers[id]
    }

    /// The class of the n-th address of an endpoint.
    pub(crate) fn class_of_address(&self, endpoint: usize, address: usize) -> u32 {
        self.of_address[self.first_address[endpoint] as usize + address]
    }

    /// The class of an address without an endpoint.
    pub(crate) fn class_of_blocks(&self, set: u32) -> u32 {
        self.peers
            .binary_search(&Peer::from_blocks(set))
            .expect("all peers were collected") as u32
    }
}

impl Peer {
    fn from_blocks(blocks: u32) -> Self {
        Self {
            blocks,
            ..Self::default()
        }
    }
}
