use bailey_bpf::abi;

use crate::tables::{LpmTables, chunked};

/// A prefix, left-aligned in 128 bits whatever its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) bits: u128,
    pub(crate) len: u8,
}

const DIRECT: u8 = abi::LPM_DIRECT_BITS as u8;
const STRIDE: u8 = abi::LPM_STRIDE as u8;

/// Builds the trie from prefixes in ascending order, each with the class of the addresses whose
/// longest prefix it is; `otherwise` is the class of all others.
pub(crate) fn build(prefixes: &[(Prefix, u32)], otherwise: u32) -> LpmTables {
    let mut trie = Trie {
        nodes: Vec::new(),
        leaves: Vec::new(),
    };
    let mut direct = vec![otherwise | abi::LPM_LEAF; 1 << DIRECT];
    // Ascending order paints ancestors before their descendants.
    for &(prefix, class) in prefixes.iter().filter(|(prefix, _)| prefix.len <= DIRECT) {
        let first = (prefix.bits >> (128 - DIRECT)) as usize;
        direct[first..first + (1 << (DIRECT - prefix.len))].fill(class | abi::LPM_LEAF);
    }
    let longer: Vec<_> = prefixes
        .iter()
        .filter(|(prefix, _)| prefix.len > DIRECT)
        .copied()
        .collect();
    for group in longer.chunk_by(|(a, _), (b, _)| slot(a, 0, DIRECT) == slot(b, 0, DIRECT)) {
        let at = slot(&group[0].0, 0, DIRECT);
        let inherited = direct[at] & !abi::LPM_LEAF;
        let node = trie.nodes.len();
        trie.nodes.push(EMPTY);
        trie.fill(node, group, DIRECT, inherited);
        direct[at] = node as u32;
    }
    LpmTables {
        direct: chunked(&direct),
        nodes: trie.nodes,
        leaves: chunked(&trie.leaves),
    }
}

const EMPTY: abi::lpm_node = abi::lpm_node {
    children: 0,
    leaves: 0,
    child_base: 0,
    leaf_base: 0,
};

#[derive(Debug)]
struct Trie {
    nodes: Vec<abi::lpm_node>,
    leaves: Vec<u32>,
}

impl Trie {
    /// Fills a node that stands for `depth` bits with the prefixes below it.
    fn fill(&mut self, node: usize, prefixes: &[(Prefix, u32)], depth: u8, inherited: u32) {
        let mut classes = [inherited; 1 << abi::LPM_STRIDE];
        let mut below: [Option<(usize, usize)>; 1 << abi::LPM_STRIDE] = [None; _];
        for (index, (prefix, class)) in prefixes.iter().enumerate() {
            let first = slot(prefix, depth, STRIDE);
            if prefix.len <= depth + STRIDE {
                let span = 1 << (depth + STRIDE - prefix.len);
                classes[first..first + span].fill(*class);
            } else {
                below[first] = Some((below[first].map_or(index, |(from, _)| from), index + 1));
            }
        }
        self.nodes[node].leaf_base = self.leaves.len() as u32;
        let mut last = None;
        for (at, &class) in classes.iter().enumerate() {
            if below[at].is_some() {
                self.nodes[node].children |= 1 << at;
            } else if last != Some(class) {
                self.nodes[node].leaves |= 1 << at;
                self.leaves.push(class);
                last = Some(class);
            }
        }
        let first_child = self.nodes.len();
        self.nodes[node].child_base = first_child as u32;
        let children = below.iter().flatten().count();
        self.nodes.resize(first_child + children, EMPTY);
        let filled = below
            .iter()
            .enumerate()
            .filter_map(|(at, part)| Some((at, (*part)?)));
        for (child, (at, (from, to))) in filled.enumerate() {
            // Shorter prefixes of the same slot stand before the longer ones; they are painted.
            let longer: Vec<_> = prefixes[from..to]
                .iter()
                .filter(|(prefix, _)| prefix.len > depth + STRIDE)
                .copied()
                .collect();
            self.fill(first_child + child, &longer, depth + STRIDE, classes[at]);
        }
    }
}

/// `count` bits of the prefix from bit `depth` on; bits beyond the 128th are zero.
fn slot(prefix: &Prefix, depth: u8, count: u8) -> usize {
    let rest = prefix.bits.checked_shl(u32::from(depth)).unwrap_or(0);
    (rest >> (128 - count)) as usize
}
