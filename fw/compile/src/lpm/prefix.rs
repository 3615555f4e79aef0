/// A prefix, left-aligned in 128 bits whatever its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) bits: u128,
    pub(crate) len: u8,
}

impl Prefix {
    /// `count` bits from bit `depth` on, as a number; bits beyond the 128th are zero.
    pub(crate) fn rest(&self, depth: u8, count: u8) -> u64 {
        let rest = self.bits.checked_shl(u32::from(depth)).unwrap_or(0);
        (rest >> (128 - count)) as u64
    }
}
