//! ipBlocks to a tree of prefixes, each with the set of blocks that contain it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bailey_policy::IpBlock;
use ipnet::IpNet;

use crate::intern::Interner;

/// Every prefix of one address family that an ipBlock names, as `cidr` or `except`. Each prefix has
/// the set of blocks that contain those of its addresses that are in no longer prefix.
#[derive(Debug, Default)]
pub(crate) struct PrefixTree {
    /// Sorted by network, then length: ancestors before descendants.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    net: IpNet,
    parent: Option<usize>,
    set: u32,
}

/// Sets of term ids, ascending; set 0 is empty.
#[derive(Debug)]
pub(crate) struct TermSets(Interner<Vec<u32>>);

impl TermSets {
    pub(crate) fn new() -> Self {
        let mut sets = Interner::new();
        sets.intern(Vec::new());
        Self(sets)
    }

    pub(crate) fn intern(&mut self, set: Vec<u32>) -> u32 {
        self.0.intern(set)
    }

    pub(crate) fn terms(&self, id: u32) -> &[u32] {
        self.0.value(id)
    }
}

/// The blocks that begin at a prefix (`cidr`) and those that exclude it (`except`).
#[derive(Debug, Default)]
struct BlockEdges {
    included: Vec<u32>,
    excluded: Vec<u32>,
}

impl PrefixTree {
    /// Builds the trees of IPv4 and IPv6 from all blocks with their term ids. `others` are prefixes
    /// that the trees must contain even if no block names them.
    pub(crate) fn both_families<'a>(
        blocks: impl Iterator<Item = (u32, &'a IpBlock)>,
        others: &[IpNet],
        sets: &mut TermSets,
    ) -> [Self; 2] {
        let mut edges: BTreeMap<IpNet, BlockEdges> = BTreeMap::new();
        for (term, block) in blocks {
            edges.entry(block.cidr).or_default().included.push(term);
            for &except in &block.except {
                edges.entry(except).or_default().excluded.push(term);
            }
        }
        for &net in others {
            edges.entry(net).or_default();
        }
        // IpNet sorts IPv4 before IPv6, then by network, then by length.
        let (four, six): (Vec<_>, Vec<_>) = edges
            .into_iter()
            .partition(|(net, _)| matches!(net, IpNet::V4(_)));
        [Self::new(four, sets), Self::new(six, sets)]
    }

    fn new(mut edges: Vec<(IpNet, BlockEdges)>, sets: &mut TermSets) -> Self {
        edges.sort_by_key(|(net, _)| (net.network(), net.prefix_len()));
        let mut nodes: Vec<Node> = Vec::with_capacity(edges.len());
        let mut open: Vec<usize> = Vec::new();
        for (net, edge) in edges {
            while open.last().is_some_and(|&at| !nodes[at].net.contains(&net)) {
                open.pop();
            }
            let parent = open.last().copied();
            let inherited = parent.map_or(0, |at| nodes[at].set);
            let set = apply_edge(sets, inherited, &edge);
            open.push(nodes.len());
            nodes.push(Node { net, parent, set });
        }
        Self { nodes }
    }

    /// The id of the set of blocks that contain an address.
    pub(crate) fn find_set(&self, address: IpAddr) -> u32 {
        let after = self
            .nodes
            .partition_point(|node| node.net.network() <= address);
        let mut at = after.checked_sub(1);
        while let Some(index) = at {
            let node = &self.nodes[index];
            if node.net.contains(&address) {
                return node.set;
            }
            at = node.parent;
        }
        0
    }

    /// All prefixes with the ids of their sets, ancestors first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, u32)> {
        self.nodes.iter().map(|node| (node.net, node.set))
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The set of a prefix: the set of its parent, plus included and minus excluded blocks.
fn apply_edge(sets: &mut TermSets, inherited: u32, edge: &BlockEdges) -> u32 {
    let mut set: Vec<u32> = sets.terms(inherited).to_vec();
    set.extend(&edge.included);
    set.sort_unstable();
    set.dedup();
    set.retain(|term| !edge.excluded.contains(term));
    sets.intern(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_belongs_to_blocks_of_longest_prefix() {
        let block = |cidr: &str, except: &[&str]| IpBlock {
            cidr: cidr.parse().unwrap(),
            except: except.iter().map(|net| net.parse().unwrap()).collect(),
        };
        let blocks = [
            block("10.0.0.0/8", &["10.1.0.0/16"]),
            block("10.1.2.0/24", &[]),
            block("0.0.0.0/0", &["10.1.2.3/32", "10.1.0.0/16"]),
            block("2001:db8::/32", &["2001:db8::/64"]),
        ];
        let mut sets = TermSets::new();
        let numbered = blocks
            .iter()
            .enumerate()
            .map(|(id, block)| (id as u32, block));
        let [four, six] = PrefixTree::both_families(numbered, &[], &mut sets);
        for address in [
            "10.0.0.1",
            "10.1.0.1",
            "10.1.2.2",
            "10.1.2.3",
            "9.9.9.9",
            "11.0.0.0",
            "10.255.255.255",
        ] {
            let address: IpAddr = address.parse().unwrap();
            let expected: Vec<u32> = (0..4)
                .filter(|&id| blocks[id as usize].contains(address))
                .collect();
            assert_eq!(sets.terms(four.find_set(address)), expected, "{address}");
        }
        assert_eq!(
            sets.terms(six.find_set("2001:db8::1".parse().unwrap())),
            [] as [u32; 0]
        );
        assert_eq!(
            sets.terms(six.find_set("2001:db8:1::".parse().unwrap())),
            [3]
        );
        assert_eq!(six.find_set("::1".parse().unwrap()), 0);
    }
}
