use std::sync::Arc;

use bailey_policy::Endpoint;

use crate::intern::Interner;
use crate::prefixes::{PrefixTree, TermSets};
use crate::subjects::{NamedPorts, PortNames};
use crate::terms::Groups;

/// What decides how an address is treated as a peer. Similar ones sort next to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer {
    /// The set of selector terms that match it.
    pub(crate) selected: u32,
    /// The set of ipBlock terms that contain it.
    pub(crate) blocks: u32,
    /// What the port names of egress rules stand for at this destination.
    pub(crate) named: NamedPorts,
}

/// All peer classes; class 0 is an address that no rule names.
#[derive(Debug)]
pub(crate) struct Peers {
    peers: Vec<Peer>,
    /// The class of every address of every endpoint, in their order.
    of_address: Vec<u32>,
    /// By endpoint, where its addresses begin there.
    first_address: Vec<u32>,
}

impl Peers {
    /// `names` are the port names that egress rules use.
    pub(crate) fn new(
        endpoints: &[Arc<Endpoint>],
        groups: &Groups,
        terms_of_groups: Vec<Vec<u32>>,
        prefixes: &[PrefixTree; 2],
        names: &PortNames,
        sets: &mut TermSets,
    ) -> Self {
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
            let group = groups.of_endpoint(index);
            let named = names.resolve_at(endpoint);
            for &address in &endpoint.addresses {
                of_address.push(found.intern(Peer {
                    selected: group.map_or(0, |group| selected[group as usize]),
                    blocks: prefixes[usize::from(address.is_ipv6())].set_of(address),
                    named: named.clone(),
                }));
            }
        }
        for (_, set) in prefixes.iter().flat_map(PrefixTree::iter) {
            found.intern(Peer::of_blocks(set));
        }
        // From the order of their arrival to that in which similar ones stand together.
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

    /// The class of an endpoint's n-th address.
    pub(crate) fn of_endpoint(&self, endpoint: usize, address: usize) -> u32 {
        self.of_address[self.first_address[endpoint] as usize + address]
    }

    /// The class of an address without an endpoint.
    pub(crate) fn of_blocks(&self, set: u32) -> u32 {
        self.peers
            .binary_search(&Peer::of_blocks(set))
            .expect("all peers were collected") as u32
    }
}

impl Peer {
    fn of_blocks(blocks: u32) -> Self {
        Self {
            blocks,
            ..Self::default()
        }
    }
}
