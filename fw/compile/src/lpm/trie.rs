//! The poptrie: a direct table for the first bits, then nodes of 64 slots that find children and
//! leaves by popcount. Leaves repeat over consecutive slots and are stored once.

use bailey_bpf::abi;

use crate::intern::Interner;
use crate::lpm::prefix::Prefix;
use crate::lpm::ranges::{Ranges, SlotContent, divide};
use crate::tables::{LpmTables, into_chunks};

const DIRECT: u8 = abi::LPM_DIRECT_BITS as u8;
const STRIDE: u8 = abi::LPM_STRIDE as u8;
const SLOTS: usize = 1 << STRIDE;

/// Builds the trie from prefixes in ascending order. The class of a prefix applies to the addresses
/// for which it is the longest match; `otherwise` is the class of addresses without a match.
pub(crate) fn build<R: Ranges>(prefixes: &[(Prefix, u32)], otherwise: u32) -> LpmTables<R> {
    let mut trie = Trie {
        nodes: Vec::new(),
        leaves: Vec::new(),
        ranges: Vec::new(),
        pairs: Interner::new(),
    };

    // Prefixes that end within the direct table. In ascending order, descendants overwrite their
    // ancestors.
    let mut classes = vec![otherwise; 1 << DIRECT];
    for &(prefix, class) in prefixes.iter().filter(|(prefix, _)| prefix.len <= DIRECT) {
        let first = prefix.rest(0, DIRECT) as usize;
        classes[first..first + (1 << (DIRECT - prefix.len))].fill(class);
    }
    let mut direct: Vec<u32> = classes.iter().map(|class| class | abi::LPM_LEAF).collect();

    // Longer prefixes, one slot of the direct table at a time.
    let longer: Vec<_> = prefixes
        .iter()
        .filter(|(prefix, _)| prefix.len > DIRECT)
        .copied()
        .collect();
    for group in longer.chunk_by(|(a, _), (b, _)| a.rest(0, DIRECT) == b.rest(0, DIRECT)) {
        let at = group[0].0.rest(0, DIRECT) as usize;
        direct[at] = trie
            .make_leaf(group, DIRECT, classes[at])
            .unwrap_or_else(|| {
                let node = trie.nodes.len();
                trie.nodes.push(EMPTY);
                trie.fill_node(node, group, DIRECT, classes[at]);
                node as u32
            });
    }
    LpmTables {
        direct: into_chunks(&direct),
        nodes: trie.nodes,
        leaves: into_chunks(&trie.leaves),
        ranges: trie.ranges,
        pairs: trie.pairs.values().to_vec(),
    }
}

const EMPTY: abi::lpm_node = abi::lpm_node {
    children: 0,
    leaves: 0,
    child_base: 0,
    leaf_base: 0,
};

/// The prefixes below a slot, and the class of addresses outside these prefixes.
type Below = (Vec<(Prefix, u32)>, u32);

#[derive(Debug)]
struct Trie<R> {
    nodes: Vec<abi::lpm_node>,
    leaves: Vec<u32>,
    ranges: Vec<R>,
    pairs: Interner<abi::lpm_pair>,
}

impl<R: Ranges> Trie<R> {
    /// The leaf word of a slot; `None` if the slot needs a node.
    fn make_leaf(&mut self, prefixes: &[(Prefix, u32)], depth: u8, inherited: u32) -> Option<u32> {
        let one = match prefixes {
            [] => return Some(inherited | abi::LPM_LEAF),
            [(prefix, class)] if R::INLINE_SINGLE => {
                self.inline_single(*prefix, *class, depth, inherited)
            }
            _ => None,
        };
        let leaf = match one {
            Some(one) => one,
            None => match divide(prefixes, depth, inherited)? {
                SlotContent::Class(class) => class,
                SlotContent::Ranges(ranges) => {
                    self.ranges.push(ranges);
                    (self.ranges.len() - 1) as u32 | abi::LPM_RANGES
                }
            },
        };
        Some(leaf | abi::LPM_LEAF)
    }

    /// Encodes a slot with a single prefix; `None` if the table of class pairs is full.
    fn inline_single(
        &mut self,
        prefix: Prefix,
        inside: u32,
        depth: u8,
        outside: u32,
    ) -> Option<u32> {
        let host = (depth + R::BITS).checked_sub(prefix.len)?;
        let pair = abi::lpm_pair { outside, inside };
        let pair = match self.pairs.id(&pair) {
            None if self.pairs.len() == abi::ONE_PAIRS as usize => return None,
            _ => self.pairs.intern(pair),
        };
        let bits = prefix.rest(depth, R::BITS) as u32;
        Some(
            abi::LPM_ONE
                | pair << abi::ONE_PAIR_SHIFT
                | u32::from(host) << abi::ONE_HOST_SHIFT
                | bits,
        )
    }

    /// Fills a node at `depth` bits with the prefixes below it, then its children.
    fn fill_node(&mut self, node: usize, prefixes: &[(Prefix, u32)], depth: u8, inherited: u32) {
        let mut filled = abi::lpm_node {
            leaf_base: self.leaves.len() as u32,
            ..EMPTY
        };
        let mut children = Vec::new();
        let mut last = None;
        for (slot, (below, class)) in split_by_slot(prefixes, depth, inherited)
            .into_iter()
            .enumerate()
        {
            let Some(leaf) = self.make_leaf(&below, depth + STRIDE, class) else {
                filled.children |= 1 << slot;
                children.push((below, class));
                continue;
            };
            if last != Some(leaf) {
                filled.leaves |= 1 << slot;
                self.leaves.push(leaf);
                last = Some(leaf);
            }
        }
        let first_child = self.nodes.len();
        filled.child_base = first_child as u32;
        self.nodes[node] = filled;
        self.nodes.resize(first_child + children.len(), EMPTY);
        for (child, (below, class)) in children.into_iter().enumerate() {
            self.fill_node(first_child + child, &below, depth + STRIDE, class);
        }
    }
}

/// Distributes prefixes over the slots of a node. A prefix that ends in this node sets the class of
/// the slots that it covers.
fn split_by_slot(prefixes: &[(Prefix, u32)], depth: u8, inherited: u32) -> [Below; SLOTS] {
    let mut slots: [Below; SLOTS] = std::array::from_fn(|_| (Vec::new(), inherited));
    for &(prefix, class) in prefixes {
        let first = prefix.rest(depth, STRIDE) as usize;
        match prefix.len.checked_sub(depth + STRIDE) {
            None | Some(0) => {
                let span = 1 << (depth + STRIDE - prefix.len);
                for slot in &mut slots[first..first + span] {
                    slot.1 = class;
                }
            }
            Some(_) => slots[first].0.push((prefix, class)),
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::RangeInclusive;

    use super::*;
    use crate::lookup::longest_match;

    const OTHERWISE: u32 = 7;

    /// Random prefixes to generate: count, (common leading bits, how many bits are common), range
    /// of lengths, number of classes.
    type Shape = (usize, (u128, u8), RangeInclusive<u8>, u32);

    fn prefixes(shape: &Shape, random: &mut fastrand::Rng) -> BTreeMap<Prefix, u32> {
        let (count, (network, fixed), lengths, classes) = shape;
        let mut prefixes = BTreeMap::new();
        for _ in 0..*count {
            let len = random.u8(lengths.clone());
            let free = random.u128(..) >> fixed;
            let bits = (network | free) & mask(len);
            prefixes.insert(Prefix { bits, len }, random.u32(..classes));
        }
        prefixes
    }

    fn mask(len: u8) -> u128 {
        u128::MAX.checked_shl(u32::from(128 - len)).unwrap_or(0)
    }

    /// The class of the longest prefix that contains the address, found by trying all lengths.
    fn naive(prefixes: &BTreeMap<Prefix, u32>, address: u128) -> u32 {
        let of_length = |len: u8| {
            let bits = address & mask(len);
            prefixes.get(&Prefix { bits, len }).copied()
        };
        (0..=128).rev().find_map(of_length).unwrap_or(OTHERWISE)
    }

    /// Addresses at both edges of a prefix, just outside, and inside.
    fn probes(prefix: &Prefix, width: u8, random: &mut fastrand::Rng) -> [u128; 5] {
        let unit = 1_u128 << (128 - width);
        let size = !mask(prefix.len);
        let last = prefix.bits | size;
        [
            prefix.bits,
            last,
            prefix.bits.wrapping_sub(unit),
            last.wrapping_add(unit),
            prefix.bits | (random.u128(..) & size),
        ]
        .map(|address| address & !(unit - 1))
    }

    fn agrees<R: Ranges>(shape: &Shape, width: u8, levels: u32, seed: u64) -> LpmTables<R> {
        let mut random = fastrand::Rng::with_seed(seed);
        let prefixes = prefixes(shape, &mut random);
        let sorted: Vec<_> = prefixes
            .iter()
            .map(|(&prefix, &class)| (prefix, class))
            .collect();
        let tables = build::<R>(&sorted, OTHERWISE);
        for prefix in prefixes.keys() {
            for address in probes(prefix, width, &mut random) {
                assert_eq!(
                    longest_match(&tables, address, levels),
                    Some(naive(&prefixes, address)),
                    "{address:032x}, seed {seed}"
                );
            }
        }
        tables
    }

    const NET10: (u128, u8) = (10 << 120, 8);
    const TWO: (u128, u8) = (1 << 125, 3);
    const ONE_SITE: (u128, u8) = (0xfd01 << 112, 48);

    #[test]
    fn ipv4_lookup_equals_linear_search_over_lengths() {
        for shape in [
            (3000, (0, 0), 24..=32, 2),
            (3000, (0, 0), 0..=32, 50),
            (5000, NET10, 16..=32, 3),
            (3000, (10 << 120, 16), 17..=32, 5),
            (300, (10 << 120, 22), 23..=32, 2),
            (9000, (0, 0), 24..=32, 5000),
        ] {
            for seed in 0..4 {
                agrees::<abi::lpm_ranges4>(&shape, 32, abi::LPM_LEVELS_V4, seed);
            }
        }
    }

    #[test]
    fn ipv6_lookup_equals_linear_search_over_lengths() {
        for shape in [
            (3000, TWO, 20..=64, 2),
            (3000, TWO, 0..=128, 50),
            (3000, ONE_SITE, 49..=64, 2),
            (3000, ONE_SITE, 48..=128, 4),
            (500, (0xfd01 << 112, 112), 113..=128, 3),
        ] {
            for seed in 0..4 {
                agrees::<abi::lpm_ranges6>(&shape, 128, abi::LPM_LEVELS_V6, seed);
            }
        }
    }

    #[test]
    fn scattered_prefixes_need_no_nodes() {
        let shape = (1000, (0, 0), 24..=32, 2);
        let tables = agrees::<abi::lpm_ranges4>(&shape, 32, abi::LPM_LEVELS_V4, 1);
        assert_eq!(tables.nodes.len(), 0);
        assert_eq!(tables.pairs.len(), 2);
        assert!(tables.ranges.len() < 20, "{}", tables.ranges.len());
    }
}
