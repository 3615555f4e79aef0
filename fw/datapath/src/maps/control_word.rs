//! The control word: its store commits a generation.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::clock::{Ticks, ticks_of_seconds};
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
        let after = |value: u32, mask: u32| if value >= mask { 1 } else { value + 1 };
        let generation = after(self.generation, abi::CONTROL_GENERATION_MASK);
        Self {
            slot: (self.slot + 1) % abi::POLICY_SLOTS,
            generation,
            epoch: after(self.epoch, abi::CONTROL_EPOCH_MASK),
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
    pub(crate) fn commit(self, control: &ControlMap) -> Self {
        Self::exchange(control, |before| Self {
            epoch: before.next().epoch,
            ..self
        })
    }

    /// Starts a new epoch: every flow is revalidated at its next packet.
    pub(crate) fn start_epoch(control: &ControlMap) -> Self {
        Self::exchange(control, |before| match before.generation {
            // Before the first commit there is no flow to revalidate.
            0 => before,
            _ => Self {
                epoch: before.next().epoch,
                ..before
            },
        })
    }

    fn exchange(control: &ControlMap, next: impl Fn(Self) -> Self) -> Self {
        let word = word_of(control);
        let mut before = word.load(Ordering::Acquire);
        loop {
            let after = next(Self::decode(before));
            let exchanged =
                word.compare_exchange(before, after.encode(), Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) => return after,
                Err(now) => before = now,
            }
        }
    }
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
}
