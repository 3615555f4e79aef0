//! A prefix of either address family, in the form that the trie builder uses.

/// A prefix, left-aligned in 128 bits for both address families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) bits: u128,
    pub(crate) len: u8,
}

impl Prefix {
    /// `count` bits from bit `depth` on, as an integer; bits beyond the 128th are zero.
    pub(crate) fn rest(&self, depth: u8, count: u8) -> u64 {
        let rest = self.bits.checked_shl(u32::from(depth)).unwrap_or(0);
        (rest >> (128 - count)) as u64
    }
}
