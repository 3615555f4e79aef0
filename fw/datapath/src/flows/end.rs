//! Ends flows on behalf of an operator. The next packet of an ended flow is evaluated as the first of a new
//! one.
//!
//! An ended flow is never freed here: it is CLOSED, and so old that it has expired. The sweeper frees it,
//! with its counters, and a packet that comes before takes its entry for a new flow.

use std::thread::sleep;
use std::time::Duration;

use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::flows::accounts::FlowAccounts;
use crate::flows::entry::FlowSlots;
use crate::flows::expiry::FlowExpiry;
use crate::flows::meta_word::MetaWord;
use crate::flows::table::{Flow, is_live, read_flow};
use crate::kernel::clock::Ticks;
use crate::maps::pins::PinDir;

/// The maps that ending a flow changes.
pub struct FlowEnder {
    slots: FlowSlots,
    accounts: FlowAccounts,
    expiry: FlowExpiry,
}

/// Passes over the flows that were ended: a packet that read the flow before may store its time once more.
const PASSES: usize = 3;
/// Time between two passes, longer than any CPU stays inside a program.
const PAUSE: Duration = Duration::from_millis(20);
/// Attempts to end one flow that packets change meanwhile.
const TRIES: usize = 100;

impl FlowEnder {
    /// Opens the pinned table for writing.
    ///
    /// # Errors
    /// If nothing is pinned, or this process may not write the maps.
    pub fn open(pins: &PinDir, settings: &Settings) -> Result<Self, DatapathError> {
        Ok(Self {
            slots: FlowSlots::open_writable(pins)?,
            accounts: FlowAccounts::open(pins)?,
            expiry: FlowExpiry::new(&settings.timeouts),
        })
    }

    /// Ends all flows that match, and returns their number.
    pub fn end(&self, is_match: impl Fn(&Flow) -> bool) -> u64 {
        let mut ended: Vec<usize> = Vec::new();
        for (slot, _) in self.slots.used() {
            if self.end_slot(slot, &is_match) {
                ended.push(slot);
            }
        }
        // A packet of the fast path that had read the word before stores the time of the flow: the flow
        // would stay for the timeout of its state.
        for _ in 1..PASSES {
            sleep(PAUSE);
            for &slot in &ended {
                let meta = self.slots.meta(slot);
                if meta.state() == abi::STATE_CLOSED {
                    self.end_slot(slot, &is_match);
                }
            }
        }
        ended.len() as u64
    }

    /// Ends the flow of a slot, if it has one that matches.
    fn end_slot(&self, slot: usize, is_match: &impl Fn(&Flow) -> bool) -> bool {
        for _ in 0..TRIES {
            let tag = self.slots.tag(slot);
            let Some(snapshot) = self.slots.snapshot(slot).filter(|_| tag != 0) else {
                return false;
            };
            let meta = snapshot.meta();
            let is_free = meta.is_busy() || meta.is_locked();
            let Some(flow) = read_flow(&snapshot, slot, tag).filter(|_| !is_free) else {
                return false;
            };
            if !is_match(&flow) {
                return false;
            }
            if self.slots.exchange(slot, meta, self.ended(meta)) {
                if is_live(meta.state()) {
                    self.accounts.subtract_from_source(&snapshot);
                }
                return true;
            }
        }
        false
    }

    /// The word of a flow that has ended: closed, of no epoch, and expired at any scale. A tombstone keeps its
    /// state, because its packets have been counted one by one.
    fn ended(&self, meta: MetaWord) -> MetaWord {
        let state = match meta.state() {
            abi::STATE_DENIED => abi::STATE_DENIED,
            _ => abi::STATE_CLOSED,
        };
        let age = self.expiry.limit(state, abi::SCALE_ONE.into()) + 2;
        let age = u32::try_from(age).unwrap_or(abi::TICK_MASK / 2);
        let seen = Ticks::now().plus(abi::TICK_MASK + 1 - age.min(abi::TICK_MASK / 2));
        meta.ended(state, seen)
    }
}
