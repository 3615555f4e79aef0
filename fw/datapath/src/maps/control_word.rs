use std::mem::offset_of;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::mmap::{Mapping, word_at};
use crate::maps::pinned::map_pinned;
use crate::maps::pins::PinDir;

/// The word whose store is the commit: which slot, which generation, which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlWord {
    /// Index into the program arrays.
    pub slot: u32,
    /// The generation that the program in the slot belongs to.
    pub generation: u32,
    /// What flows are stamped with; 0 is never current.
    pub epoch: u32,
}

/// Words of `struct control`, by their places.
const WORD: usize = word_at(offset_of!(abi::control, word));
pub(crate) const SCALE: usize = word_at(offset_of!(abi::control, scale));
pub(crate) const BUILD: usize = word_at(offset_of!(abi::control, build));
pub(crate) const NAMESPACE: usize = word_at(offset_of!(abi::control, namespace));
pub(crate) const WARM_UNTIL: usize = word_at(offset_of!(abi::control, warm_until));
pub(crate) const BLOCKS: usize = word_at(offset_of!(abi::control, blocks));
pub(crate) const RECEIVERS: usize = word_at(offset_of!(abi::control, receivers));

impl ControlWord {
    /// The word that is pinned.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's.
    pub fn read(pins: &PinDir) -> Result<Self, DatapathError> {
        let (control, _) = map_pinned(pins, "control", size_of::<abi::control>())?;
        Ok(Self::load(&control))
    }

    /// What is in force before the first commit: an empty slot, so every packet is dropped with
    /// the reason `no-policy`.
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

    pub(crate) fn load(mapping: &Mapping) -> Self {
        Self::decode(mapping.words()[WORD].load(Ordering::Acquire))
    }

    pub(crate) fn store(self, mapping: &Mapping) {
        mapping.words()[WORD].store(self.encode(), Ordering::Release);
    }

    /// The commit, where `mapping` is the control map: this slot and generation under a new epoch.
    /// Others may have made a new epoch meanwhile, and theirs must not be this one.
    pub(crate) fn commit(self, mapping: &Mapping) -> Self {
        Self::exchange(mapping, |before| Self {
            epoch: before.next().epoch,
            ..self
        })
    }

    /// A new epoch: every flow is asked about once more.
    pub(crate) fn new_epoch(mapping: &Mapping) -> Self {
        Self::exchange(mapping, |before| match before.generation {
            // Nothing has been judged yet.
            0 => before,
            _ => Self {
                epoch: before.next().epoch,
                ..before
            },
        })
    }

    fn exchange(mapping: &Mapping, next: impl Fn(Self) -> Self) -> Self {
        let word = &mapping.words()[WORD];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_encoding_and_never_reach_epoch_zero() {
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
