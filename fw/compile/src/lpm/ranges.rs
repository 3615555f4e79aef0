use bailey_bpf::abi;
use bytemuck::{Pod, Zeroable};

use crate::lpm::prefix::Prefix;

/// Ranges of one family, in one line: see `lpm_ranges4` in `abi.h`.
pub(crate) trait Ranges: Pod {
    /// Bits of the address that they tell apart.
    const BITS: u8;
    /// How many ranges there may be, but for the last.
    const LAST: usize;
    /// How many classes they may have.
    const CLASSES: usize;
    /// Whether a single prefix stands in the word that would lead to them (`LPM_ONE`).
    const INLINE_SINGLE: bool;

    /// From the last addresses of all ranges but one, ascending; and the class of each range, as
    /// an index into `classes`.
    fn encode(last: &[u64], which: &[usize], classes: &[u32]) -> Self;

    /// The class of the range that `rest` lies in, as `ranges4_class` and `ranges6_class` find it.
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

/// What a slot comes to without a node.
#[derive(Debug)]
pub(crate) enum SlotContent<R> {
    Class(u32),
    Ranges(R),
}

/// The ranges into which `prefixes` divide the addresses below a slot that stands for `depth`
/// bits; `inherited` is the class between them. `None` if they are too many, of too many classes,
/// or longer than ranges tell apart.
///
/// The prefixes are longer than `depth`, in that slot, and in ascending order.
pub(crate) fn divide<R: Ranges>(
    prefixes: &[(Prefix, u32)],
    depth: u8,
    inherited: u32,
) -> Option<SlotContent<R>> {
    let mut division = RangeBuilder::new();
    // The prefixes that hold where the sweep has come to, each with the end of it.
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

/// The ranges so far.
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

    /// All addresses from where the ranges end up to `end` have this class.
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
