//! The metadata word of an entry: state, flags and stamps of a flow, and the claims of user space.

use bailey_bpf::abi;

use crate::kernel::clock::Ticks;

const LOCKED: u64 = abi::META_LOCKED as u64;
const IPV6: u64 = abi::META_IPV6 as u64;
const SERIAL: u64 = (abi::META_SERIAL_MASK as u64) << abi::META_SERIAL_SHIFT;
const EPOCH: u64 = (abi::META_EPOCH_MASK as u64) << abi::META_EPOCH_SHIFT;
const FLAGS: u64 = (abi::META_FLAGS_MASK as u64) << abi::META_FLAGS_SHIFT;
/// In the place of the epoch of a claimed entry, above the state.
const ACCOUNTED: u64 = (abi::META_STATE_MASK as u64 + 1) << abi::META_EPOCH_SHIFT;
const LOWER_HALF: u64 = u32::MAX as u64;

/// The metadata word of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetaWord(pub(crate) u64);

impl MetaWord {
    /// `enum flow_state`
    pub(crate) fn state(self) -> u32 {
        self.field(abi::META_STATE_SHIFT, abi::META_STATE_MASK)
    }

    /// Whether a CPU is writing the entry, user space holds it, or the slot is free.
    pub(crate) fn is_busy(self) -> bool {
        self.state() == abi::STATE_BUSY
    }

    /// Whether a CPU revalidates the flow, or user space holds the entry.
    pub(crate) fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    /// Whether user space has claimed the entry.
    pub(crate) fn is_held(self) -> bool {
        self.is_busy() && self.is_locked()
    }

    pub(crate) fn is_ipv6(self) -> bool {
        self.0 & IPV6 != 0
    }

    /// `FLOW_*` flags
    pub(crate) fn flags(self) -> u32 {
        self.field(abi::META_FLAGS_SHIFT, abi::META_FLAGS_MASK)
    }

    /// Low bits of the epoch of the last evaluation; 0 is never current.
    pub(crate) fn epoch(self) -> u32 {
        self.field(abi::META_EPOCH_SHIFT, abi::META_EPOCH_MASK)
    }

    /// Time of the last packet; of a held entry, time of the claim.
    pub(crate) fn seen(self) -> Ticks {
        Ticks(self.field(abi::META_SEEN_SHIFT, abi::META_SEEN_MASK))
    }

    pub(crate) fn created_by_lower(self) -> bool {
        self.flags() & abi::FLOW_ORIG_LOW != 0
    }

    /// The word of this flow after its end: another state, another time, and a stamp that is never current.
    pub(crate) fn ended(self, state: u32, seen: Ticks) -> Self {
        let kept = self.0 & (SERIAL | IPV6 | FLAGS);
        Self(
            kept | u64::from(state) << abi::META_STATE_SHIFT
                | u64::from(seen.0) << abi::META_SEEN_SHIFT,
        )
    }

    /// The same word with a stamp that is never current.
    pub(crate) fn without_epoch(self) -> Self {
        Self(self.0 & !EPOCH)
    }

    /// The word with which user space claims the entry at this time. The place of the epoch keeps the
    /// state: if this process is killed, another can end the flow.
    pub(crate) fn claimed_at(self, now: Ticks) -> Self {
        let state = u64::from(self.state()) << abi::META_EPOCH_SHIFT;
        let seen = u64::from(now.0) << abi::META_SEEN_SHIFT;
        Self(seen | state | LOCKED | self.0 & (SERIAL | IPV6 | FLAGS))
    }

    /// The word with which user space claims the free slot of this word for a flow. If this process is
    /// killed, another ends the flow: its source does not count it yet.
    pub(crate) fn claimed_for(self, flow: Self, now: Ticks) -> Self {
        let kept = Self(self.0 & SERIAL | flow.0 & IPV6);
        match flow.state() {
            abi::STATE_DENIED => kept.claimed_at(now).claimed_as_denied(),
            _ => kept.claimed_at(now),
        }
    }

    /// The same word of a claimed entry that counts for no rule.
    pub(crate) fn claimed_as_denied(self) -> Self {
        let state = u64::from(abi::META_STATE_MASK) << abi::META_EPOCH_SHIFT;
        Self(self.0 & !state | u64::from(abi::STATE_DENIED) << abi::META_EPOCH_SHIFT)
    }

    /// The state that a claimed entry had; BUSY: its slot was free.
    pub(crate) fn claimed_state(self) -> u32 {
        self.epoch() & abi::META_STATE_MASK
    }

    /// Whether the source of a claimed entry has one live flow less.
    pub(crate) fn is_accounted(self) -> bool {
        self.0 & ACCOUNTED != 0
    }

    /// The same word of a claimed entry, after its source has one live flow less.
    pub(crate) fn accounted(self) -> Self {
        Self(self.0 | ACCOUNTED)
    }

    /// The word of a free slot, with the same serial.
    pub(crate) fn unlocked(self) -> Self {
        Self(self.0 & SERIAL)
    }

    /// The word of `next`, with the serial of this one.
    pub(crate) fn with_state_of(self, next: Self) -> Self {
        Self(next.0 & !SERIAL | self.0 & SERIAL)
    }

    /// Whether two words differ in the last-seen time at most.
    pub(crate) fn is_equal_but_seen(self, other: Self) -> bool {
        (self.0 ^ other.0) & LOWER_HALF == 0
    }

    fn field(self, shift: u32, mask: u32) -> u32 {
        (self.0 >> shift) as u32 & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_word_tells_how_to_end_the_flow() {
        let word = MetaWord(u64::MAX);
        let claimed = word.claimed_at(Ticks(7));
        assert!(claimed.is_held() && claimed.is_ipv6() && !claimed.is_accounted());
        assert_eq!(claimed.claimed_state(), abi::STATE_DENIED);
        assert_eq!((claimed.seen(), claimed.flags()), (Ticks(7), word.flags()));
        assert!(claimed.is_equal_but_seen(word.claimed_at(Ticks(8))));
        assert!(claimed.accounted().is_accounted() && claimed.accounted().is_held());
        assert_eq!(claimed.accounted().claimed_state(), abi::STATE_DENIED);
        assert_eq!(claimed.unlocked(), MetaWord(SERIAL));
        let denied = claimed.claimed_as_denied();
        assert!(denied.is_held() && denied.is_ipv6());
        assert_eq!(denied.claimed_state(), abi::STATE_DENIED);
        assert!(claimed.unlocked().is_busy() && !claimed.unlocked().is_held());
    }

    #[test]
    fn claim_of_free_slot_keeps_the_family() {
        let flow = |state: u32| MetaWord(u64::from(state) | IPV6 | FLAGS);
        let free = MetaWord(SERIAL);
        let live = free.claimed_for(flow(abi::STATE_TCP_ESTABLISHED), Ticks(7));
        assert!(live.is_held() && live.is_ipv6() && !live.is_accounted());
        assert_eq!(
            (live.claimed_state(), live.seen()),
            (abi::STATE_BUSY, Ticks(7))
        );
        assert_eq!(live.unlocked(), free);
        let denied = free.claimed_for(flow(abi::STATE_DENIED), Ticks(7));
        assert_eq!(denied.claimed_state(), abi::STATE_DENIED);
    }
}
