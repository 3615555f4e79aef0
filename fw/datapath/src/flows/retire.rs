//! Removes one flow from the table while packets use it: accounts for its source, and folds its
//! counters into those of its rules. Does not decide which flows end.

use std::mem::offset_of;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::count::TrafficCount;
use crate::flows::entry::{
    FlowSlots, MetaWord, Snapshot, counting_rules, key_of, without_rule_ids,
};
use crate::flows::hash::FlowHash;
use crate::flows::table::is_live;
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::maps::mapped::MappedArray;
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
    sources: MappedArray<u64>,
    rules: MappedArray<abi::rule_counter>,
    hash: FlowHash,
    /// Index of the first rule counter of user space.
    region: usize,
    /// Rule counters per region.
    stride: usize,
}

impl Retirer {
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let cpus = cpus()? as usize;
        let rules = MappedArray::<abi::rule_counter>::open_writable(pins, "rule_counters")?;
        let stride = rules.len() / (cpus + 1);
        Ok(Self {
            slots: FlowSlots::open_writable(pins)?,
            sources: MappedArray::open_writable(pins, "source_flows")?,
            rules,
            hash: FlowHash::open(pins)?,
            region: cpus * stride,
            stride,
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
            claimed = self.mark_accounted(slot, claimed);
            self.account(&snapshot);
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
            self.unlock(slot, claimed);
        }
    }

    fn mark_accounted(&self, slot: usize, claimed: MetaWord) -> MetaWord {
        loop {
            let now = self.slots.meta(slot);
            // A late packet of the flow may have stored its time. Programs change no more of an entry
            // that user space holds.
            if !now.is_equal_but_seen(claimed) || self.slots.exchange(slot, now, now.accounted()) {
                return now.accounted();
            }
        }
    }

    /// Ends a claim of a free slot, unless a packet has used the slot since.
    pub(crate) fn unlock(&self, slot: usize, claimed: MetaWord) {
        loop {
            let now = self.slots.meta(slot);
            // A late packet of the former flow may have stored its time.
            if !now.is_equal_but_seen(claimed) || self.slots.exchange(slot, now, now.unlocked()) {
                return;
            }
        }
    }

    fn account(&self, snapshot: &Snapshot) {
        let meta = snapshot.meta();
        if !is_live(meta.claimed_state()) {
            return;
        }
        let key = key_of(&snapshot.entry);
        for cell in self.hash.source_cells(&key, meta.created_by_lower()) {
            self.sources.words()[cell].fetch_sub(1, Ordering::Relaxed);
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
            for id in counting_rules(rules) {
                self.add(id, snapshot.sum(), seen);
            }
        }
    }

    fn add(&self, id: u32, sum: TrafficCount, seen: Ticks) {
        if id as usize >= self.stride {
            return;
        }
        let field = |offset: usize| self.rules.field(self.region + id as usize, offset);
        let packets = field(offset_of!(abi::rule_counter, packets));
        let last = field(offset_of!(abi::rule_counter, seen));
        // Only one process adds to this region.
        let carried = field(offset_of!(abi::rule_counter, carried_packets));
        let is_first = (packets.load(Ordering::Relaxed) | carried.load(Ordering::Relaxed)) == 0;
        if is_first || seen.is_after(Ticks(last.load(Ordering::Relaxed) as u32)) {
            last.store(seen.0.into(), Ordering::Relaxed);
        }
        packets.fetch_add(sum.packets, Ordering::AcqRel);
        field(offset_of!(abi::rule_counter, bytes)).fetch_add(sum.bytes, Ordering::AcqRel);
    }
}
