//! The slot that a flow gets in a new flow table, by the rule of `claim_slot` in claim.h. Reads no
//! map.

use bailey_bpf::abi;

use crate::flows::entry::SLOTS;

/// Free slots above which a bucket counts as fairly empty.
const SPARE: usize = SLOTS - abi::FLOW_HALF_OPEN_SLOTS as usize;

/// Chooses one of two buckets, 0 or 1, and a free slot in it, from the tag words of both.
///
/// The first bucket is preferred until it is fairly full, then the emptier one. `home_slot` is
/// preferred in either. A half-open flow gets no slot where `half_open_slots`, of bucket 0 or 1, are
/// at their limit, because live flows need the rest.
pub(crate) fn choose_slot(
    words: [u64; 2],
    home_slot: usize,
    is_half_open: bool,
    half_open_slots: impl Fn(usize) -> usize,
) -> Option<(usize, usize)> {
    let free = words.map(|word| free_slots(word).count());
    let order = match free[1] > free[0] && free[0] <= SPARE {
        true => [1, 0],
        false => [0, 1],
    };
    let has_room = |which: usize| {
        free[which] > SPARE
            || free[which] > 0
                && (!is_half_open || half_open_slots(which) < abi::FLOW_HALF_OPEN_SLOTS as usize)
    };
    let which = order.into_iter().find(|&which| has_room(which))?;
    let is_home = |&slot: &usize| slot == home_slot;
    let slot = free_slots(words[which]).find(is_home);
    slot.or_else(|| free_slots(words[which]).next())
        .map(|slot| (which, slot))
}

/// `is_half_open` of state.h.
pub(crate) fn is_half_open(state: u32) -> bool {
    matches!(
        state,
        abi::STATE_TCP_SYN_SENT
            | abi::STATE_TCP_SYN_RECV
            | abi::STATE_UDP_NEW
            | abi::STATE_ICMP_NEW
            | abi::STATE_SCTP_NEW
            | abi::STATE_OTHER_NEW
    )
}

fn free_slots(word: u64) -> impl Iterator<Item = usize> {
    let tags = word.to_le_bytes();
    (0..SLOTS).filter(move |&slot| tags[slot] == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag word whose first slots are in use.
    fn used(slots: usize) -> u64 {
        let tags: [u8; SLOTS] = std::array::from_fn(|slot| u8::from(slot < slots));
        u64::from_le_bytes(tags)
    }

    fn choose(first: usize, second: usize, home_slot: usize) -> Option<(usize, usize)> {
        choose_slot(
            [used(first), used(second)],
            home_slot,
            false,
            |_| unreachable!(),
        )
    }

    #[test]
    fn first_bucket_is_preferred_until_fairly_full() {
        assert_eq!(choose(0, 0, 5), Some((0, 5)));
        assert_eq!(choose(5, 0, 6), Some((0, 6)));
        assert_eq!(choose(6, 6, 7), Some((0, 7)));
        assert_eq!(choose(6, 5, 7), Some((1, 7)), "the emptier one");
        assert_eq!(choose(8, 7, 0), Some((1, 7)));
        assert_eq!(choose(8, 8, 0), None);
    }

    #[test]
    fn home_slot_is_preferred_in_both_buckets() {
        assert_eq!(choose(3, 0, 1), Some((0, 3)), "the lowest free slot");
        assert_eq!(choose(7, 2, 4), Some((1, 4)));
    }

    #[test]
    fn half_open_flows_leave_room_for_live_ones() {
        let words = [used(6), used(7)];
        let of_half_open = |limits: [usize; 2]| choose_slot(words, 7, true, |which| limits[which]);
        assert_eq!(of_half_open([5, 6]), Some((0, 7)));
        assert_eq!(of_half_open([6, 5]), Some((1, 7)), "the other bucket");
        assert_eq!(of_half_open([6, 6]), None);
        assert_eq!(choose_slot(words, 7, false, |_| 6), Some((0, 7)));
    }
}
