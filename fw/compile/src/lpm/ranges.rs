//! Ranges: when few prefixes lie below a slot of the trie, they are stored as sorted ranges of
//! addresses with up to four classes, in one cache line, instead of as nodes.

use bailey_bpf::abi;
use bytemuck::{Pod, Zeroable};

use crate::lpm::prefix::Prefix;

/// Ranges of one address family, in one cache line: see `lpm_ranges4` in `abi.h`.
pub(crate) trait Ranges: Pod {
    /// Bits of the address that ranges can distinguish.
    const BITS: u8;
    /// Most ranges, not counting the last.
    const LAST: usize;
    /// Most distinct classes.
    const CLASSES: usize;
    /// Whether a single prefix is encoded in the leaf word itself (`LPM_ONE`).
    const INLINE_SINGLE: bool;

    /// Encodes ranges. `last` has the last address of every range except the final one, ascending;
    /// `which` has the class of every range, as an index into `classes`.
    fn encode(last: &[u64], which: &[usize], classes: &[u32]) -> Self;

    /// The class of the range that contains `rest`. Must match `ranges4_class` and `ranges6_class`.
    fn class(&self, rest: u64) -> Option<u32>;
}

impl Ranges for abi::lpm_ranges4 {
    const BITS: u8 = abi::RANGES4_BITS as u8;
    const LAST: usize = abi::RANGES4_LAST as usize;
    const CLASSES: usize = abi::RANGES4_CLASSES as usize;
    const INLINE_SINGLE: bool = true;

    fn encode(last: &[u64], which: &[usize], classes: &[u32]) -> Self {
        let lanes: [u16; Self::LAST] = std::array::from_fn(|at| {
            let last = last.get(at).map_or(u16::MAX, |&last| last as u16);
            last | 1 << Self::BITS
        });
        Self {
            last: bytemuck::cast(lanes),
            which: pack_classes(which),
            classes: pad_classes(classes),
        }
    }

    fn class(&self, rest: u64) -> Option<u32> {
        let lanes: [u16; Self::LAST] = bytemuck::cast(self.last);
        let last = |lane: u16| u64::from(lane & !(1 << Self::BITS));
        let range = lanes.iter().filter(|&&lane| last(lane) < rest).count();
        class_of_range(&self.classes, self.which, range)
    }
}

impl Ranges for abi::lpm_ranges6 {
    const BITS: u8 = abi::RANGES6_BITS as u8;
    const LAST: usize = abi::RANGES6_LAST as usize;
    const CLASSES: usize = abi::RANGES6_CLASSES as usize;
    const INLINE_SINGLE: bool = false;

    fn encode(last: &[u64], which: &[usize], classes: &[u32]) -> Self {
        let none = (1 << Self::BITS) - 1;
        Self {
            last: std::array::from_fn(|at| last.get(at).copied().unwrap_or(none)),
            which: pack_classes(which) as u32,
            classes: pad_classes(classes),
        }
    }

    fn class(&self, rest: u64) -> Option<u32> {
        let range = self.last.iter().filter(|&&last| last < rest).count();
        class_of_range(&self.classes, self.which.into(), range)
    }
}

fn pack_classes(which: &[usize]) -> u64 {
    let bits = which.iter().enumerate();
    bits.map(|(range, &class)| (class as u64) << (2 * range))
        .sum()
}

fn class_of_range(classes: &[u32], which: u64, range: usize) -> Option<u32> {
    classes.get((which >> (2 * range) & 3) as usize).copied()
}

fn pad_classes<const N: usize>(classes: &[u32]) -> [u32; N] {
    let mut padded = <[u32; N]>::zeroed();
    padded[..classes.len()].copy_from_slice(classes);
    padded
}

/// The content of a slot that needs no node.
#[derive(Debug)]
pub(crate) enum SlotContent<R> {
    Class(u32),
    Ranges(R),
}

/// Divides the addresses below a slot at `depth` bits into ranges by `prefixes`. `inherited` is the
/// class of addresses outside all prefixes. `None` if there are too many ranges or classes, or if a
/// prefix is longer than ranges can distinguish.
///
/// The prefixes must be longer than `depth`, lie below that slot, and be in ascending order.
pub(crate) fn divide<R: Ranges>(
    prefixes: &[(Prefix, u32)],
    depth: u8,
    inherited: u32,
) -> Option<SlotContent<R>> {
    let mut division = RangeBuilder::new();
    // The prefixes that contain the current address of the sweep, each with its end.
    let mut open: Vec<(u64, u32)> = Vec::new();
    for &(prefix, class) in prefixes {
        let size = (depth + R::BITS).checked_sub(prefix.len)?;
        let first = prefix.rest(depth, R::BITS);
        while let Some((end, class)) = open.pop_if(|(end, _)| *end <= first) {
            division.extend_to::<R>(end, class)?;
        }
        division.extend_to::<R>(first, open.last().map_or(inherited, |(_, class)| *class))?;
        open.push((first + (1 << size), class));
    }
    while let Some((end, class)) = open.pop() {
        division.extend_to::<R>(end, class)?;
    }
    division.extend_to::<R>(1 << R::BITS, inherited)?;
    Some(division.encode())
}

/// Collects ranges in ascending order.
#[derive(Debug)]
struct RangeBuilder {
    end: u64,
    last: Vec<u64>,
    which: Vec<usize>,
    classes: Vec<u32>,
}

impl RangeBuilder {
    fn new() -> Self {
        Self {
            end: 0,
            last: Vec::new(),
            which: Vec::new(),
            classes: Vec::new(),
        }
    }

    /// Appends a range with this class, from the current end to `end`. `None` if the ranges no
    /// longer fit.
    fn extend_to<R: Ranges>(&mut self, end: u64, class: u32) -> Option<()> {
        if end <= self.end {
            return Some(());
        }
        let known = self.classes.iter().position(|&known| known == class);
        let which = known.unwrap_or(self.classes.len());
        if known.is_none() {
            self.classes.push(class);
        }
        if self.which.last() == Some(&which) {
            self.last.pop();
        } else {
            self.which.push(which);
        }
        self.last.push(end - 1);
        self.end = end;
        (self.which.len() <= R::LAST + 1 && self.classes.len() <= R::CLASSES).then_some(())
    }

    fn encode<R: Ranges>(&self) -> SlotContent<R> {
        match self.classes[..] {
            [class] => SlotContent::Class(class),
            _ => SlotContent::Ranges(R::encode(
                &self.last[..self.last.len() - 1],
                &self.which,
                &self.classes,
            )),
        }
    }
}
