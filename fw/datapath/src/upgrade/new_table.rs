//! Writes flows of another layout into this layout's flow table while programs may use it, by the
//! protocol of `insert.h`. A slot is claimed as by the sweeper: BUSY and LOCKED, with the time.

use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::flows::accounts::FlowAccounts;
use crate::flows::count::{RuleSum, TrafficCount};
use crate::flows::entry::{FlowSlots, SLOTS, Snapshot, key_of, without_rule_ids};
use crate::flows::hash::FlowLocation;
use crate::flows::meta_word::MetaWord;
use crate::flows::retire::Retirer;
use crate::flows::table::is_live;
use crate::kernel::clock::Ticks;
use crate::maps::shared::SharedMaps;
use crate::upgrade::placement::{choose_slot, is_half_open};

/// Attempts to find or insert a flow while programs write its buckets.
const TRIES: u32 = 64;

/// This layout's flow table and what depends on its flows.
pub(crate) struct NewTable {
    slots: FlowSlots,
    accounts: FlowAccounts,
}

/// The result of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// In this slot, with this metadata word.
    At(usize, MetaWord),
    /// The flow was in this slot already.
    Present(usize),
    /// Neither bucket has room.
    Full,
}

/// The result of a search.
enum Found {
    At(usize),
    /// A program writes an entry that may be the flow.
    Busy,
    Missing,
}

impl NewTable {
    pub(crate) fn open(maps: &SharedMaps) -> Result<Self, DatapathError> {
        Ok(Self {
            slots: FlowSlots::of_values(&maps.values)?,
            accounts: FlowAccounts::open(&maps.pins)?,
        })
    }

    /// Ends the claims of a process that was killed in an upgrade. No other process may hold claims.
    pub(crate) fn recover_claims(&self, retirer: &Retirer) {
        for slot in 0..self.slots.len() {
            let meta = self.slots.meta(slot);
            if !meta.is_held() {
                continue;
            }
            match self.slots.tag(slot) {
                // A program may be using the free slot already.
                0 => self.unlock(slot, meta),
                _ => retirer.recover(slot, meta),
            }
        }
    }

    /// The metadata word of a slot, if it has the flow with this key.
    pub(crate) fn meta_of(&self, slot: usize, key: &abi::flow_key) -> Option<MetaWord> {
        let found = self.slots.snapshot(slot)?;
        let is_flow =
            self.slots.tag(slot) != 0 && !found.meta().is_busy() && key_of(&found.entry) == *key;
        is_flow.then(|| found.meta())
    }

    /// Inserts a flow, unless it is there.
    ///
    /// Its counts are noted as moved before the entry has rules: no reader of rule counters counts them
    /// twice, and a kill between the steps loses the counts of one flow.
    pub(crate) fn insert(&self, flow: &Snapshot, now: Ticks) -> Inserted {
        let key = key_of(&flow.entry);
        let location = self.accounts.hash.locate(&key);
        let half_open = is_half_open(flow.meta().state());
        for _ in 0..TRIES {
            let words = location.buckets.map(|b| self.tag_word(b));
            match self.find(&key, &location, None) {
                Found::At(slot) => return Inserted::Present(slot),
                Found::Busy => {
                    std::thread::yield_now();
                    continue;
                }
                Found::Missing => {}
            }
            let half_open_slots = |which: usize| self.half_open_slots(location.buckets[which]);
            let home = location.home_slot as usize;
            let Some((which, at)) = choose_slot(words, home, half_open, half_open_slots) else {
                return Inserted::Full;
            };
            let bucket = location.buckets[which] as usize;
            let slot = bucket * SLOTS + at;
            let claim = |free: MetaWord| free.claimed_for(flow.meta(), now);
            let Some(claimed) = self.claim(slot, words[which], location.tag, claim) else {
                continue;
            };
            // Two processors may have claimed slots for one flow; each sees the tag of the other.
            if !matches!(self.find(&key, &location, Some(slot)), Found::Missing) {
                self.slots.release(slot);
                self.unlock(slot, claimed);
                continue;
            }
            if flow.meta().state() != abi::STATE_DENIED {
                self.accounts.note_moved(flow.entry.rules, flow.sum());
            }
            self.slots.fill(slot, flow);
            self.publish(slot, flow.meta());
            self.account(flow, false, is_live(flow.meta().state()));
            return Inserted::At(slot, flow.meta());
        }
        Inserted::Full
    }

    /// Gives the flow in a slot, whose metadata word is `known`, the state of `next`. Returns its new
    /// word; `None` if the flow has another word by now.
    ///
    /// `has_new_counts`: also gives the flow the counts of `next`. No program may count it meanwhile.
    pub(crate) fn update(
        &self,
        slot: usize,
        known: MetaWord,
        next: &Snapshot,
        has_new_counts: bool,
        now: Ticks,
    ) -> Option<MetaWord> {
        if known.is_busy() || known.is_locked() {
            return None;
        }
        let word = known.with_state_of(next.meta());
        let before = self.slots.read(slot, known);
        let counts_for_rules = |meta: MetaWord| meta.state() != abi::STATE_DENIED;
        let (was, is) = (counts_for_rules(known), counts_for_rules(word));
        let has_same_rules = before.entry.rules == next.entry.rules && was == is;
        if has_same_rules && !has_new_counts {
            self.slots.write_ack(slot, next.entry.ack);
            if !self.slots.exchange(slot, known, word) {
                return None;
            }
        } else {
            let claimed = known.claimed_at(now);
            if !self.slots.exchange(slot, known, claimed) {
                return None;
            }
            self.rewrite(slot, known, claimed, next, has_new_counts);
            self.publish(slot, word);
        }
        self.account(next, is_live(known.state()), is_live(word.state()));
        Some(word)
    }

    /// Writes an entry that this process has claimed. Its counters stay with the rules that they belong
    /// to: see `struct rule_counter`. If the process is killed, another ends the flow, and no step
    /// makes it count a packet twice.
    fn rewrite(
        &self,
        slot: usize,
        known: MetaWord,
        claimed: MetaWord,
        next: &Snapshot,
        has_new_counts: bool,
    ) {
        let before = self.slots.read(slot, known);
        let was_denied = known.state() == abi::STATE_DENIED;
        let is_denied = next.meta().state() == abi::STATE_DENIED;
        let old = before.sum();
        let new = match has_new_counts {
            true => next.sum(),
            false => old,
        };
        if before.entry.rules == next.entry.rules && was_denied == is_denied {
            if !is_denied {
                let more = TrafficCount {
                    packets: new.packets.wrapping_sub(old.packets),
                    bytes: new.bytes.wrapping_sub(old.bytes),
                };
                self.accounts.note_moved(next.entry.rules, more);
            }
        } else {
            // The entry has no rules while its counters change them.
            let none = without_rule_ids(before.entry.rules);
            self.slots.rules_word(slot).store(none, Ordering::SeqCst);
            if !was_denied {
                self.accounts.fold(before.entry.rules, old, known.seen());
            }
            if is_denied {
                self.slots
                    .change_claim(slot, claimed, MetaWord::claimed_as_denied);
            } else {
                self.accounts.note_moved(next.entry.rules, new);
            }
        }
        if has_new_counts {
            self.slots.fill(slot, next);
        } else {
            self.slots.write_ack(slot, next.entry.ack);
            let rules = self.slots.rules_word(slot);
            rules.store(next.entry.rules, Ordering::Release);
        }
    }

    /// Sets what the rules have counted before this layout; see [`FlowAccounts::carry`].
    pub(crate) fn carry_rule_counts(&self, counts: &[RuleSum]) {
        self.accounts.carry(counts);
    }

    fn tag_word(&self, bucket: u32) -> u64 {
        self.slots.tag_word(bucket as usize).load(Ordering::Acquire)
    }

    /// Searches both buckets, except for one slot.
    fn find(&self, key: &abi::flow_key, location: &FlowLocation, except: Option<usize>) -> Found {
        let mut is_busy = false;
        for bucket in location.buckets {
            let tags = self.tag_word(bucket).to_le_bytes();
            for at in (0..SLOTS).filter(|&at| tags[at] == location.tag) {
                let slot = bucket as usize * SLOTS + at;
                if Some(slot) == except {
                    continue;
                }
                match self.slots.snapshot(slot) {
                    Some(found) if !found.meta().is_busy() => {
                        if key_of(&found.entry) == *key {
                            return Found::At(slot);
                        }
                    }
                    _ => is_busy = true,
                }
            }
        }
        match is_busy {
            true => Found::Busy,
            false => Found::Missing,
        }
    }

    fn half_open_slots(&self, bucket: u32) -> usize {
        let slots = bucket as usize * SLOTS..(bucket as usize + 1) * SLOTS;
        slots
            .filter(|&slot| is_half_open(self.slots.meta(slot).state()))
            .count()
    }

    /// Claims a free slot of a bucket whose tag word was `tags`. Returns its metadata word.
    ///
    /// The entry first: a process that is killed with the tag set leaves a claim that ages, not an
    /// entry that is BUSY for ever.
    fn claim(
        &self,
        slot: usize,
        tags: u64,
        tag: u8,
        claimed_word: impl Fn(MetaWord) -> MetaWord,
    ) -> Option<MetaWord> {
        let free = self.slots.meta(slot);
        if !free.is_busy() || free.is_locked() {
            return None;
        }
        let claimed = claimed_word(free);
        if !self.slots.exchange(slot, free, claimed) {
            return None;
        }
        let with_tag = tags | u64::from(tag) << (slot % SLOTS * 8);
        let word = self.slots.tag_word(slot / SLOTS);
        let set = word.compare_exchange(tags, with_tag, Ordering::SeqCst, Ordering::Relaxed);
        if set.is_err() {
            self.unlock(slot, claimed);
            return None;
        }
        Some(claimed)
    }

    /// Ends a claim of a free slot.
    fn unlock(&self, slot: usize, claimed: MetaWord) {
        self.slots.change_claim(slot, claimed, MetaWord::unlocked);
    }

    /// Ends a claim with the metadata word of the flow that the entry has now.
    fn publish(&self, slot: usize, word: MetaWord) {
        loop {
            let now = self.slots.meta(slot);
            // Otherwise a sweeper has freed the slot, because this process was stopped for long, and
            // the slot has another flow or gets one.
            if !now.is_held() || self.slots.exchange(slot, now, word) {
                return;
            }
        }
    }

    /// Counts a flow for its source if it is live now and was not, or the reverse.
    fn account(&self, flow: &Snapshot, was_live: bool, is_live: bool) {
        match (was_live, is_live) {
            (false, true) => self.accounts.add_to_source(flow),
            (true, false) => self.accounts.subtract_from_source(flow),
            _ => {}
        }
    }
}
