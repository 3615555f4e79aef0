//! Keeps stamps near the epoch, and starts epochs. A stamp is 16 bits of an epoch and must never lag
//! so far that it would count as ahead.

use std::thread;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::entry::FlowSlots;
use crate::kernel::bpf::grace_period;
use crate::maps::control_word::{ControlMap, ControlWord};
use crate::maps::flow_keys::PassEpoch;
use crate::maps::pins::PinDir;
use crate::maps::shared::SharedMaps;

/// Commits this word under a new epoch; see [`ControlWord::commit`].
///
/// # Errors
/// If the flow table cannot be mapped.
pub(crate) fn commit(word: ControlWord, maps: &SharedMaps) -> Result<ControlWord, DatapathError> {
    loop {
        if let Some(committed) = word.commit(&maps.control, &maps.pass_epoch) {
            return Ok(committed);
        }
        let slots = FlowSlots::of_values(&maps.values)?;
        run_pass(&slots, &maps.control, &maps.pass_epoch);
    }
}

/// Starts an epoch, with or without a daemon; see [`ControlWord::start_epoch`].
///
/// # Errors
/// If the flow table cannot be mapped.
pub(crate) fn start_epoch(
    control: &ControlMap,
    pins: &PinDir,
) -> Result<ControlWord, DatapathError> {
    let pass = match PassEpoch::open(pins) {
        Ok(pass) => Some(pass),
        // Only an older version's table exists, whose stamps are whole epochs.
        Err(DatapathError::NotLoaded(_) | DatapathError::Layout { .. }) => None,
        Err(error) => return Err(error),
    };
    loop {
        if let Some(word) = ControlWord::start_epoch(control, pass.as_ref()) {
            return Ok(word);
        }
        if let Some(pass) = &pass {
            run_pass(&FlowSlots::open_writable(pins)?, control, pass);
        }
    }
}

/// Walks the whole table and restamps old entries, for a process that would exceed
/// `EPOCH_LEAD_MAX`. It does not wait for a sweeper, because there may be none.
pub(crate) fn run_pass(slots: &FlowSlots, control: &ControlMap, pass: &PassEpoch) {
    let began = ControlWord::load(control).epoch;
    // Packets that read an older epoch have written their stamps after this. Kernels that refuse the
    // call are not supported.
    let _ = grace_period();
    let mut is_complete = true;
    for (slot, _) in slots.used() {
        let restamped = restamp(slots, slot, ControlWord::load(control).epoch);
        is_complete &= restamped != Restamped::Missed;
    }
    // A pass that missed an entry is repeated.
    if is_complete {
        pass.store(began);
    }
}

/// The outcome of [`restamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restamped {
    /// The stamp was far from the epoch, and is 0 now.
    Yes,
    /// The stamp needs no change.
    No,
    /// Another CPU kept the entry all the time, and may leave it with its former stamp.
    Missed,
}

/// Replaces the stamp of an entry by 0, which is never current, if it is far from the epoch.
pub(crate) fn restamp(slots: &FlowSlots, slot: usize, epoch: u32) -> Restamped {
    // Iterations in which another CPU may end what it does with the entry.
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let meta = slots.meta(slot);
        // The flow of an entry that user space holds ends, and so does that of a free slot.
        if meta.is_held() || slots.tag(slot) == 0 {
            return Restamped::No;
        }
        if meta.is_busy() || meta.is_locked() && is_far(epoch, meta.epoch()) {
            thread::yield_now();
        } else if !is_far(epoch, meta.epoch()) {
            return Restamped::No;
        } else if slots.exchange(slot, meta, meta.without_epoch()) {
            return Restamped::Yes;
        }
    }
    Restamped::Missed
}

/// Whether a stamp is at least `EPOCH_LAG_MAX` from the epoch, in either direction. Stamp 0 needs no
/// restamping.
fn is_far(epoch: u32, stamp: u32) -> bool {
    let lag = epoch.wrapping_sub(stamp) & abi::META_EPOCH_MASK;
    stamp != 0 && (abi::EPOCH_LAG_MAX..=abi::META_EPOCH_MASK - abi::EPOCH_LAG_MAX).contains(&lag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stamps_near_wrapping_are_far() {
        let max = abi::META_EPOCH_MASK;
        assert!(!is_far(5, 5) && !is_far(5, 4) && !is_far(5, 6), "near");
        assert!(!is_far(1, max), "one commit ago, across the wrap");
        assert!(!is_far(5, 0), "never current");
        assert!(!is_far(0x12_0005, 4), "only the low bits count");
        assert!(is_far(abi::EPOCH_LAG_MAX + 5, 5));
        assert!(is_far(5, (1 << 15) + 5), "would count as ahead");
    }

    #[test]
    fn no_stamp_becomes_current_again() {
        let half = abi::META_EPOCH_MASK.div_ceil(2);
        assert!(abi::EPOCH_LAG_MAX + abi::EPOCH_LEAD_MAX < half);
    }
}
