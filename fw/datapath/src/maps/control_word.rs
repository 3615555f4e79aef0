//! The control word: its store commits a generation.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::clock::{Ticks, ticks_of_seconds};
use crate::maps::flow_keys::PassEpoch;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// The map `control`, which has one element.
pub(crate) type ControlMap = MappedArray<abi::control>;

/// The active slot, generation and epoch, in one 64-bit word. One store of the word is the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlWord {
    /// Index into the program arrays.
    pub slot: u32,
    /// Generation of the program in the slot.
    pub generation: u32,
    /// Stamp of flows that were evaluated under this word; 0 is never current.
    pub epoch: u32,
}

impl ControlWord {
    /// Reads the active word from the pinned map.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's map.
    pub fn read(pins: &PinDir) -> Result<Self, DatapathError> {
        Ok(Self::load(&ControlMap::open(pins, "control")?))
    }

    /// The word before the first commit. Its slot is empty, so every packet is dropped with the
    /// reason `no-policy`.
    pub(crate) const NONE: Self = Self {
        slot: 0,
        generation: 0,
        epoch: 0,
    };

    /// The word for the next generation.
    pub(crate) fn next(self) -> Self {
        let generation = match self.generation {
            abi::CONTROL_GENERATION_MASK.. => 1,
            generation => generation + 1,
        };
        Self {
            slot: (self.slot + 1) % abi::POLICY_SLOTS,
            generation,
            epoch: epoch_after(self.epoch),
        }
    }

    pub(crate) fn encode(self) -> u64 {
        u64::from(self.slot) << abi::CONTROL_SLOT_SHIFT
            | u64::from(self.generation) << abi::CONTROL_GENERATION_SHIFT
            | u64::from(self.epoch) << abi::CONTROL_EPOCH_SHIFT
    }

    pub(crate) fn decode(word: u64) -> Self {
        let field = |shift: u32, mask: u32| (word >> shift) as u32 & mask;
        Self {
            slot: field(abi::CONTROL_SLOT_SHIFT, abi::CONTROL_SLOT_MASK),
            generation: field(abi::CONTROL_GENERATION_SHIFT, abi::CONTROL_GENERATION_MASK),
            epoch: field(abi::CONTROL_EPOCH_SHIFT, abi::CONTROL_EPOCH_MASK),
        }
    }

    pub(crate) fn load(control: &ControlMap) -> Self {
        Self::decode(word_of(control).load(Ordering::Acquire))
    }

    pub(crate) fn store(self, control: &ControlMap) {
        word_of(control).store(self.encode(), Ordering::Release);
    }

    /// Commits this slot and generation under a new epoch. The epoch follows the stored one,
    /// because another process (`bailey block`) may have started an epoch since this word was
    /// computed.
    ///
    /// `None` if the new epoch is too far from the last pass over the flow table; see
    /// [`may_follow_pass`]. Nothing has changed then.
    pub(crate) fn commit(self, control: &ControlMap, pass: &PassEpoch) -> Option<Self> {
        Self::exchange(control, Some(pass), |before| Self {
            epoch: epoch_after(before.epoch),
            ..self
        })
    }

    /// Starts a new epoch: every flow is revalidated at its next packet. `None` as for
    /// [`Self::commit`].
    pub(crate) fn start_epoch(control: &ControlMap, pass: Option<&PassEpoch>) -> Option<Self> {
        Self::exchange(control, pass, |before| match before.generation {
            // Before the first commit there is no flow to revalidate.
            0 => before,
            _ => Self {
                epoch: epoch_after(before.epoch),
                ..before
            },
        })
    }

    fn exchange(
        control: &ControlMap,
        pass: Option<&PassEpoch>,
        next: impl Fn(Self) -> Self,
    ) -> Option<Self> {
        let word = word_of(control);
        let mut before = word.load(Ordering::Acquire);
        loop {
            let after = next(Self::decode(before));
            // Read again for each try: another process may take the epoch of the pass back.
            if pass.is_some_and(|pass| !may_follow_pass(after.epoch, pass.load())) {
                return None;
            }
            let exchanged =
                word.compare_exchange(before, after.encode(), Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) => return Some(after),
                Err(now) => before = now,
            }
        }
    }
}

/// The epoch after this one. Stamps of flows hold the low bits, which are never 0: stamp 0 is never
/// current.
fn epoch_after(epoch: u32) -> u32 {
    let next = (epoch + 1) & abi::CONTROL_EPOCH_MASK;
    match next & abi::META_EPOCH_MASK {
        0 => next + 1,
        _ => next,
    }
}

/// Whether an epoch may begin after a pass over the flow table that began at `pass`. A stamp from
/// before that pass lags by less than half of the range of stamps then, and cannot become current
/// again.
fn may_follow_pass(epoch: u32, pass: u32) -> bool {
    epoch.wrapping_sub(pass) & abi::CONTROL_EPOCH_MASK <= abi::EPOCH_LEAD_MAX
}

/// Starts a warm-up that ends `seconds` after `now`.
pub(crate) fn start_warm_up(control: &ControlMap, now: Ticks, seconds: u32) {
    let ticks = ticks_of_seconds(seconds).min(abi::WARM_TICKS_MAX);
    // 0 would mean that there is no warm-up.
    let until = now.plus(ticks).0.max(1);
    control
        .field(0, offset_of!(abi::control, warm_until))
        .store(until.into(), Ordering::Release);
}

fn word_of(control: &ControlMap) -> &AtomicU64 {
    control.field(0, offset_of!(abi::control, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_decode_and_skip_epoch_zero() {
        let mut word = ControlWord {
            slot: 7,
            generation: 0xff_fffe,
            epoch: 0xff_fffe,
        };
        for _ in 0..4 {
            assert_eq!(ControlWord::decode(word.encode()), word);
            word = word.next();
            assert!(word.epoch != 0 && word.generation != 0 && word.slot < abi::POLICY_SLOTS);
        }
    }

    #[test]
    fn epochs_skip_stamp_zero() {
        assert_eq!(epoch_after(0), 1);
        assert_eq!(epoch_after(0xfffe), 0xffff);
        assert_eq!(epoch_after(0xffff), 0x1_0001);
        assert_eq!(epoch_after(0xff_ffff), 1);
    }

    #[test]
    fn epochs_stay_near_the_last_pass() {
        let most = abi::EPOCH_LEAD_MAX;
        assert!(may_follow_pass(5, 5) && may_follow_pass(5 + most, 5));
        assert!(!may_follow_pass(6 + most, 5));
        assert!(!may_follow_pass(4, 5), "the pass is of another time");
        assert!(may_follow_pass(1, 0xff_ffff), "across the wrap");
    }
}
