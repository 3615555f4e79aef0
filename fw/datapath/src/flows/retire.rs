//! Removes one flow from the table while packets use it: accounts for its source, and folds its
//! counters into those of its rules. Does not decide which flows end.

use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::accounts::FlowAccounts;
use crate::flows::entry::{FlowSlots, Snapshot, without_rule_ids};
use crate::flows::meta_word::MetaWord;
use crate::flows::table::is_live;
use crate::kernel::clock::Ticks;
use crate::maps::pins::PinDir;

/// Steps of a removal, in their order. A process can be killed after each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetireStep {
    /// The entry is BUSY and LOCKED, stamped with the time.
    Claimed,
    /// The source has one live flow less.
    Accounted,
    /// The flow's counters are in those of its rules, and the entry has no rules.
    Folded,
    /// The tag is 0.
    Released,
    /// The entry is BUSY without LOCKED, as free slots are.
    Unlocked,
}

/// The maps that a removal changes.
pub(crate) struct Retirer {
    pub(crate) slots: FlowSlots,
    accounts: FlowAccounts,
}

impl Retirer {
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        Ok(Self {
            slots: FlowSlots::open_writable(pins)?,
            accounts: FlowAccounts::open(pins)?,
        })
    }

    /// Removes the flow with this metadata word. False if a packet has changed the word; then the
    /// flow stays.
    pub(crate) fn retire(&self, slot: usize, meta: MetaWord, now: Ticks) -> bool {
        self.retire_until(slot, meta, now, RetireStep::Unlocked)
    }

    /// As [`Self::retire`], but ends after a step, as a process does that is killed there.
    pub(crate) fn retire_until(
        &self,
        slot: usize,
        meta: MetaWord,
        now: Ticks,
        last: RetireStep,
    ) -> bool {
        let claimed = meta.claimed_at(now);
        if !self.slots.exchange(slot, meta, claimed) {
            return false;
        }
        self.finish(slot, claimed, meta.seen(), last);
        true
    }

    /// Ends the flow of an entry that a killed process has claimed with this word.
    pub(crate) fn recover(&self, slot: usize, claimed: MetaWord) {
        self.finish(slot, claimed, claimed.seen(), RetireStep::Unlocked);
    }

    /// The steps after the claim, without those that are done.
    fn finish(&self, slot: usize, mut claimed: MetaWord, seen: Ticks, last: RetireStep) {
        let snapshot = self.slots.read(slot, claimed);
        if last >= RetireStep::Accounted && !claimed.is_accounted() {
            // First: a kill then leaves a count too high, which admits less.
            claimed = self.slots.change_claim(slot, claimed, MetaWord::accounted);
            if is_live(claimed.claimed_state()) {
                self.accounts.subtract_from_source(&snapshot);
            }
        }
        if last >= RetireStep::Folded {
            self.fold(slot, &snapshot, seen);
        }
        if last >= RetireStep::Released {
            self.slots.release(slot);
        }
        // Last: a free slot that stays LOCKED is cleared by the next sweeper, a slot with a tag that
        // is not LOCKED would be BUSY for ever.
        if last >= RetireStep::Unlocked {
            self.slots.change_claim(slot, claimed, MetaWord::unlocked);
        }
    }

    /// Adds the flow's counters to its rules. The entry loses its rules first: a kill then loses
    /// these counts, and no later fold adds them twice.
    fn fold(&self, slot: usize, snapshot: &Snapshot, seen: Ticks) {
        let rules = snapshot.entry.rules;
        self.slots
            .rules_word(slot)
            .store(without_rule_ids(rules), Ordering::SeqCst);
        // The packets of a tombstone have been counted one by one.
        if snapshot.meta().claimed_state() != abi::STATE_DENIED {
            self.accounts.fold(rules, snapshot.sum(), seen);
        }
    }
}
