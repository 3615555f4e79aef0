use std::collections::BTreeSet;

use bailey_policy::{Direction, Snapshot};

use crate::prefixes::{PrefixTree, TermSets};
use crate::subjects::{NamedPorts, Names, ports_of};
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
    /// By endpoint, for each of its addresses.
    of_endpoint: Vec<Vec<Peer>>,
}

impl Peers {
    pub(crate) fn new(
        snapshot: &Snapshot,
        groups: &Groups<'_>,
        terms_of_groups: &[Vec<u32>],
        prefixes: &[PrefixTree; 2],
        sets: &mut TermSets,
    ) -> Self {
        let egress = snapshot
            .policies()
            .iter()
            .flat_map(|p| ports_of(p, Direction::Egress));
        let names = Names::used_by(egress);
        let mut of_endpoint = Vec::with_capacity(snapshot.endpoints().len());
        for (index, endpoint) in snapshot.endpoints().iter().enumerate() {
            let selected = groups.of_endpoint(index).map_or(0, |group| {
                sets.intern(terms_of_groups[group as usize].clone())
            });
            let named = names.at(endpoint);
            let addresses = endpoint.addresses.iter().map(|&address| Peer {
                selected,
                blocks: prefixes[usize::from(address.is_ipv6())].set_of(address),
                named: named.clone(),
            });
            of_endpoint.push(addresses.collect());
        }
        let mut peers: BTreeSet<Peer> = of_endpoint.iter().flatten().cloned().collect();
        peers.insert(Peer::default());
        for tree in prefixes {
            peers.extend(tree.iter().map(|(_, set)| Peer::of_blocks(set)));
        }
        Self {
            peers: peers.into_iter().collect(),
            of_endpoint,
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
        self.id(&self.of_endpoint[endpoint][address])
    }

    /// The class of an address without an endpoint.
    pub(crate) fn of_blocks(&self, set: u32) -> u32 {
        self.id(&Peer::of_blocks(set))
    }

    fn id(&self, peer: &Peer) -> u32 {
        self.peers
            .binary_search(peer)
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
