use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::flows::flood;
use crate::flows::hash::FlowHash;
use crate::flows::table::{LINE_WORDS, is_live, line_at};
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::kernel::mmap::Mapping;
use crate::maps::control_word::{self, ControlWord};
use crate::maps::pinned::map_pinned_writable;
use crate::maps::pins::PinDir;
use crate::program::timeout_constants::by_state;

/// Walks the flow table while packets use it, by the protocol of `insert.h`: whoever exchanges
/// a line's meta word for BUSY owns the line.
///
/// Without it nothing breaks at once: expired flows are taken over when their place or their
/// addresses are needed. But ages wrap after 208 days and epochs after 2^24 commits, and idle times
/// follow the fill only as long as someone looks at it.
pub struct Sweeper {
    flood: Mapping,
    tags: Mapping,
    lines: Mapping,
    sources: Mapping,
    control: Mapping,
    events: Mapping,
    hash: FlowHash,
    /// Ticks, by `enum flow_state`.
    timeouts: [u32; abi::STATE_COUNT as usize],
    flows: u64,
    clock_offset: u32,
    cpus: usize,
    next: usize,
    passes: u64,
    /// Live flows that the last pass found, and that this one has found so far.
    live: u64,
    counted: u64,
    /// Lanes seen BUSY in this pass and in the one before, with their meta words.
    busy: [HashMap<(usize, usize), u64>; 2],
}

const LANES: usize = abi::FLOW_SLOTS as usize;

/// A stamp this many commits old is made "always stale", long before it could come round.
const EPOCH_LAG: u32 = 1 << 16;

const META_LOCKED: u64 = abi::META_LOCKED as u64;

/// `idle_time` of flow.h.
fn scaled_timeout(ticks: u32, scale: u64) -> u64 {
    let one = u64::from(abi::SCALE_ONE);
    u64::from(ticks) * scale / one + ((one - scale) >> 6)
}

/// Idle times begin to shrink at this share of the configured flows, in percent, and have shrunk to
/// their smallest at [`SCALING_END_PERCENT`].
pub const SCALING_START_PERCENT: u64 = 60;
/// See [`SCALING_START_PERCENT`]. The table has room for 200 percent.
pub const SCALING_END_PERCENT: u64 = 120;
/// The smallest share of an idle time, in 1/256.
pub const SCALE_MIN: u64 = 8;

/// What idle times are multiplied with, in 1/256, while so many live flows are in a table for so many.
/// Half-open flows do not count: a flood of them makes its own way out.
pub fn timeout_scale(live: u64, flows: u64) -> u64 {
    let one = u64::from(abi::SCALE_ONE);
    let percent = live * 100 / flows.max(1);
    let left = SCALING_END_PERCENT.saturating_sub(percent);
    (one * left / (SCALING_END_PERCENT - SCALING_START_PERCENT)).clamp(SCALE_MIN, one)
}

impl Sweeper {
    pub(crate) fn open(pins: &PinDir, settings: &Settings) -> Result<Self, DatapathError> {
        Ok(Self {
            flood: flood::lines(pins)?,
            tags: map_pinned_writable(pins, "flow_tags", 8)?,
            lines: map_pinned_writable(pins, "flows", size_of::<abi::flow_bucket>())?,
            sources: map_pinned_writable(pins, "source_flows", 8)?,
            control: map_pinned_writable(pins, "control", size_of::<abi::control>())?,
            events: map_pinned_writable(pins, "flow_events", size_of::<abi::flow_events>())?,
            hash: FlowHash::open(pins)?,
            timeouts: by_state(&settings.timeouts),
            flows: u64::from(settings.flows),
            clock_offset: settings.clock_offset,
            cpus: cpus()? as usize,
            next: 0,
            passes: 0,
            live: 0,
            counted: 0,
            busy: Default::default(),
        })
    }

    /// Buckets that there are.
    pub fn buckets(&self) -> usize {
        self.tags.words().len()
    }

    /// Passes over the whole table that are done.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// What idle times are multiplied with, in 1/256, as the last pass found the table; says so to
    /// the programs, which believe it for a minute.
    pub fn publish_timeout_scale(&self) -> u64 {
        let scale = timeout_scale(self.live, self.flows);
        self.store_scale(scale);
        scale
    }

    /// Idle times as they are configured; for the end.
    pub fn reset_timeout_scale(&self) {
        self.store_scale(u64::from(abi::SCALE_ONE));
    }

    /// Forgets a warm-up that is over, before its tick comes round.
    pub fn end_warm_up(&self) {
        let word = &self.control.words()[control_word::WARM_UNTIL];
        let until = word.load(Ordering::Acquire);
        // As `warm_at` in entry.bpf.c has it.
        let left = (until as u32).wrapping_sub(self.now().0) & abi::TICK_MASK;
        if until != 0 && left > abi::WARM_TICKS_MAX {
            let _ = word.compare_exchange(until, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Tells the programs among how many CPUs what may be opened under a flood is shared.
    pub fn publish_receiver_count(&self) {
        let receivers = flood::receivers(&self.flood);
        self.control.words()[control_word::RECEIVERS].store(receivers, Ordering::Relaxed);
    }

    fn store_scale(&self, scale: u64) {
        let stamp = u64::from(self.now().0) << abi::SCALE_STAMP_SHIFT;
        self.control.words()[control_word::SCALE].store(stamp | scale, Ordering::Release);
    }

    fn now(&self) -> Ticks {
        Ticks::now().plus(self.clock_offset)
    }

    /// Sweeps the next so many buckets. True at the end of a pass. A pass must take longer than any
    /// CPU can stay inside a program.
    pub fn sweep(&mut self, buckets: usize) -> bool {
        let end = (self.next + buckets).min(self.buckets());
        for bucket in self.next..end {
            let tags = self.tags.words()[bucket].load(Ordering::Acquire);
            if tags != 0 {
                self.sweep_bucket(bucket, tags);
            }
        }
        self.next = end;
        if end < self.buckets() {
            return false;
        }
        self.next = 0;
        self.live = std::mem::take(&mut self.counted);
        self.passes += 1;
        self.busy.swap(0, 1);
        self.busy[0].clear();
        true
    }

    fn sweep_bucket(&mut self, bucket: usize, tags: u64) {
        let now = self.now();
        let epoch = ControlWord::load(&self.control).epoch;
        let scale = timeout_scale(self.live, self.flows);
        let tags = tags.to_le_bytes();
        for lane in (0..LANES).filter(|&lane| tags[lane] != 0) {
            let word = &self.lines.words()[line_at(bucket, lane)];
            let meta = word.load(Ordering::Acquire);
            let state = state_of(meta);
            if state == abi::STATE_BUSY {
                self.busy_lane(bucket, lane, meta);
                continue;
            }
            if meta & META_LOCKED != 0 {
                continue;
            }
            self.counted += u64::from(is_live(state));
            let ticks = self.timeouts[state as usize % self.timeouts.len()];
            let limit = scaled_timeout(ticks, scale);
            if u64::from(now.since(seen_of(meta))) > limit {
                self.retire(bucket, lane, meta, now);
            } else if is_far(epoch, epoch_of(meta)) {
                let mask = u64::from(abi::META_EPOCH_MASK) << abi::META_EPOCH_SHIFT;
                if exchange(word, meta, meta & !mask) {
                    self.count(abi::FLOW_RESTAMPED);
                }
            }
        }
    }

    /// Takes an expired flow out of the table; if a packet comes first, the flow stays.
    fn retire(&self, bucket: usize, lane: usize, meta: u64, now: Ticks) {
        let at = line_at(bucket, lane);
        let line = &self.lines.words()[at..at + LINE_WORDS];
        let serial = u64::from(abi::META_SERIAL_MASK) << abi::META_SERIAL_SHIFT;
        let busy = u64::from(now.0) << abi::META_SEEN_SHIFT | meta & serial;
        if !exchange(&line[0], meta, busy) {
            return;
        }
        if counts_for_source(meta) {
            let words: [u64; LINE_WORDS] =
                std::array::from_fn(|word| line[word].load(Ordering::Relaxed));
            let entry: abi::flow_entry = bytemuck::cast(words);
            let low = flags_of(meta) & abi::FLOW_ORIG_LOW != 0;
            for cell in self.hash.source_cells(&entry.key, low) {
                self.sources.words()[cell].fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.release(bucket, lane);
        self.count(abi::FLOW_SWEPT);
    }

    /// The first half of [`Self::retire`], whatever the flow.
    pub(crate) fn take(&self, (bucket, lane): (usize, usize)) {
        let now = self.now();
        let word = &self.lines.words()[line_at(bucket, lane)];
        let busy = u64::from(now.0) << abi::META_SEEN_SHIFT;
        word.store(busy, Ordering::Release);
    }

    fn release(&self, bucket: usize, lane: usize) {
        self.tags.words()[bucket].fetch_and(!(0xff << (lane * 8)), Ordering::AcqRel);
    }

    /// A lane that is BUSY with one meta word for a whole pass is nobody's: a sweeper was killed
    /// between taking the line and releasing the lane.
    fn busy_lane(&mut self, bucket: usize, lane: usize, meta: u64) {
        if self.busy[1].get(&(bucket, lane)) == Some(&meta) {
            self.release(bucket, lane);
            self.count(abi::FLOW_RECOVERED);
        } else {
            self.busy[0].insert((bucket, lane), meta);
        }
    }

    fn count(&self, event: u32) {
        let at = self.cpus * abi::FLOW_EVENT_LINE as usize + event as usize;
        self.events.words()[at].fetch_add(1, Ordering::Relaxed);
    }
}

fn exchange(word: &AtomicU64, old: u64, new: u64) -> bool {
    word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}

fn state_of(meta: u64) -> u32 {
    (meta >> abi::META_STATE_SHIFT) as u32 & abi::META_STATE_MASK
}

fn flags_of(meta: u64) -> u32 {
    (meta >> abi::META_FLAGS_SHIFT) as u32 & abi::META_FLAGS_MASK
}

fn epoch_of(meta: u64) -> u32 {
    (meta >> abi::META_EPOCH_SHIFT) as u32 & abi::META_EPOCH_MASK
}

fn seen_of(meta: u64) -> Ticks {
    Ticks((meta >> abi::META_SEEN_SHIFT) as u32 & abi::META_SEEN_MASK)
}

/// Is the stamp far from the epoch in force, in either direction? 0 is never current anyway.
fn is_far(epoch: u32, stamp: u32) -> bool {
    let lag = epoch.wrapping_sub(stamp) & abi::META_EPOCH_MASK;
    stamp != 0 && (EPOCH_LAG..=abi::META_EPOCH_MASK - EPOCH_LAG).contains(&lag)
}

/// `source_counts` of source.h.
fn counts_for_source(meta: u64) -> bool {
    is_live(state_of(meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_times_shrink_between_the_two_marks() {
        assert_eq!(timeout_scale(0, 1000), 256);
        assert_eq!(timeout_scale(600, 1000), 256);
        assert_eq!(timeout_scale(900, 1000), 128);
        assert_eq!(timeout_scale(1200, 1000), SCALE_MIN);
        assert_eq!(timeout_scale(2000, 1000), SCALE_MIN);
    }

    #[test]
    fn only_stamps_that_could_come_round_are_far() {
        let max = abi::META_EPOCH_MASK;
        assert!(!is_far(5, 5) && !is_far(5, 4) && !is_far(5, 6), "near");
        assert!(!is_far(1, max), "one commit ago, over the edge");
        assert!(!is_far(5, 0), "never current");
        assert!(is_far(EPOCH_LAG + 5, 5));
        assert!(is_far(5, (1 << 23) + 5), "would count as ahead");
    }
}
