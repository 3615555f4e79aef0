//! The sweeper walks the flow table while packets use it: it retires expired flows, restamps epochs
//! before they wrap, and scales timeouts with the fill.

use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::flows::flood::{FloodCpus, receiver_count};
use crate::flows::hash::FlowHash;
use crate::flows::table::{SLOTS, entry_offset, is_live, meta_offset, state_in};
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::maps::control_word::{ControlMap, ControlWord};
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::program::timeout_constants::by_state;

/// Sweeps the flow table by the protocol of `insert.h`: the CPU or process that exchanges an
/// entry's metadata word for BUSY owns the entry.
///
/// Without a sweeper packets are still handled correctly for a while, because an expired flow is
/// replaced when its slot or its addresses are needed. But ages wrap after 208 days, epochs wrap
/// after 2^23 epochs, and timeouts are only scaled while a sweeper runs.
pub struct Sweeper {
    flood: FloodCpus,
    tags: MappedArray<u64>,
    buckets: MappedArray<abi::flow_bucket>,
    sources: MappedArray<u64>,
    control: ControlMap,
    events: MappedArray<abi::flow_events>,
    hash: FlowHash,
    /// Ticks, by `enum flow_state`.
    timeouts: [u32; abi::STATE_COUNT as usize],
    configured_flows: u64,
    clock_offset: u32,
    cpus: usize,
    next_bucket: usize,
    passes: u64,
    /// Live flows that the last pass counted.
    live: u64,
    /// Live flows that the current pass has counted so far.
    counted: u64,
    /// Metadata words of slots seen BUSY in the current pass and in the one before.
    busy: [HashMap<(usize, usize), u64>; 2],
}

/// Age in commits at which a stamp is replaced by 0, which is never current. Far below 2^23, where
/// epochs wrap.
const EPOCH_LAG: u32 = 1 << 16;

const META_LOCKED: u64 = abi::META_LOCKED as u64;

/// `scaled_timeout` of state.h: a timeout in ticks, scaled.
fn scaled_timeout(ticks: u32, scale: u64) -> u64 {
    let one = u64::from(abi::SCALE_ONE);
    u64::from(ticks) * scale / one + ((one - scale) >> 6)
}

/// Share of the configured flows, in percent, at which timeouts begin to shrink.
pub const SCALING_START_PERCENT: u64 = 60;
/// Share of the configured flows, in percent, at which timeouts are at [`SCALE_MIN`]. The table has
/// slots for 200 percent.
pub const SCALING_END_PERCENT: u64 = 120;
/// Smallest scale of timeouts, in 1/256.
pub const SCALE_MIN: u64 = 8;

/// Scale of timeouts, in 1/256, at this number of live flows in a table configured for `flows`.
/// Half-open flows do not count, because they can be evicted.
pub fn timeout_scale(live: u64, flows: u64) -> u64 {
    let one = u64::from(abi::SCALE_ONE);
    let percent = live * 100 / flows.max(1);
    let left = SCALING_END_PERCENT.saturating_sub(percent);
    (one * left / (SCALING_END_PERCENT - SCALING_START_PERCENT)).clamp(SCALE_MIN, one)
}

impl Sweeper {
    pub(crate) fn open(pins: &PinDir, settings: &Settings) -> Result<Self, DatapathError> {
        Ok(Self {
            flood: FloodCpus::open(pins, "flood_cpus")?,
            tags: MappedArray::open_writable(pins, "flow_tags")?,
            buckets: MappedArray::open_writable(pins, "flows")?,
            sources: MappedArray::open_writable(pins, "source_flows")?,
            control: MappedArray::open_writable(pins, "control")?,
            events: MappedArray::open_writable(pins, "flow_events")?,
            hash: FlowHash::open(pins)?,
            timeouts: by_state(&settings.timeouts),
            configured_flows: u64::from(settings.flows),
            clock_offset: settings.clock_offset,
            cpus: cpus()? as usize,
            next_bucket: 0,
            passes: 0,
            live: 0,
            counted: 0,
            busy: Default::default(),
        })
    }

    /// Number of buckets in the table.
    pub fn buckets(&self) -> usize {
        self.tags.len()
    }

    /// Number of completed passes over the table.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// Publishes the timeout scale that follows from the last pass, and returns it in 1/256. The
    /// programs apply it for about a minute.
    pub fn publish_timeout_scale(&self) -> u64 {
        let scale = timeout_scale(self.live, self.configured_flows);
        self.store_scale(scale);
        scale
    }

    /// Publishes unscaled timeouts, before the sweeper ends.
    pub fn reset_timeout_scale(&self) {
        self.store_scale(u64::from(abi::SCALE_ONE));
    }

    /// Clears the tick of a warm-up that has ended, before the clock wraps around to it.
    pub fn clear_ended_warm_up(&self) {
        let word = self.control.field(0, offset_of!(abi::control, warm_until));
        let until = word.load(Ordering::Acquire);
        // As `is_warm_up_at` in ingress.h, except that 0 ticks left still count.
        let left = (until as u32).wrapping_sub(self.now().0) & abi::TICK_MASK;
        if until != 0 && left > abi::WARM_TICKS_MAX {
            let _ = word.compare_exchange(until, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Publishes the number of CPUs among which the programs divide the flood limits.
    pub fn publish_receiver_count(&self) {
        self.control
            .field(0, offset_of!(abi::control, receivers))
            .store(receiver_count(&self.flood), Ordering::Relaxed);
    }

    fn store_scale(&self, scale: u64) {
        let stamp = u64::from(self.now().0) << abi::SCALE_STAMP_SHIFT;
        self.control
            .field(0, offset_of!(abi::control, scale))
            .store(stamp | scale, Ordering::Release);
    }

    fn now(&self) -> Ticks {
        Ticks::now().plus(self.clock_offset)
    }

    /// Sweeps the next `buckets` buckets and returns whether that ended a pass. A pass must take
    /// longer than any CPU can stay inside a program, because `recover_busy` depends on it.
    pub fn sweep(&mut self, buckets: usize) -> bool {
        let end = (self.next_bucket + buckets).min(self.buckets());
        for bucket in self.next_bucket..end {
            let tags = self.tags.words()[bucket].load(Ordering::Acquire);
            if tags != 0 {
                self.sweep_bucket(bucket, tags);
            }
        }
        self.next_bucket = end;
        if end < self.buckets() {
            return false;
        }
        self.next_bucket = 0;
        self.live = std::mem::take(&mut self.counted);
        self.passes += 1;
        self.busy.swap(0, 1);
        self.busy[0].clear();
        true
    }

    fn sweep_bucket(&mut self, bucket: usize, tags: u64) {
        let now = self.now();
        let epoch = ControlWord::load(&self.control).epoch;
        let scale = timeout_scale(self.live, self.configured_flows);
        let tags = tags.to_le_bytes();
        for slot in (0..SLOTS).filter(|&slot| tags[slot] != 0) {
            let word = self.buckets.field(bucket, meta_offset(slot));
            let meta = word.load(Ordering::Acquire);
            let state = state_in(meta);
            // Entries that another CPU is writing are left alone.
            if state == abi::STATE_BUSY {
                self.recover_busy(bucket, slot, meta);
                continue;
            }
            if meta & META_LOCKED != 0 {
                continue;
            }
            self.counted += u64::from(is_live(state));
            let ticks = self.timeouts[state as usize % self.timeouts.len()];
            let limit = scaled_timeout(ticks, scale);
            if u64::from(now.since(seen_in(meta))) > limit {
                self.retire(bucket, slot, meta, now);
            } else if is_far(epoch, epoch_in(meta)) {
                let mask = u64::from(abi::META_EPOCH_MASK) << abi::META_EPOCH_SHIFT;
                if exchange(word, meta, meta & !mask) {
                    self.count_event(abi::FLOW_RESTAMPED);
                }
            }
        }
    }

    /// Removes an expired flow. The flow stays if a packet changes its metadata word first.
    fn retire(&self, bucket: usize, slot: usize, meta: u64, now: Ticks) {
        let serial = u64::from(abi::META_SERIAL_MASK) << abi::META_SERIAL_SHIFT;
        let busy = u64::from(now.0) << abi::META_SEEN_SHIFT | meta & serial;
        if !exchange(self.buckets.field(bucket, meta_offset(slot)), meta, busy) {
            return;
        }
        if counts_for_source(meta) {
            let entry: abi::flow_entry = self.buckets.read_part(bucket, entry_offset(slot));
            let created_by_lower = flags_in(meta) & abi::FLOW_ORIG_LOW != 0;
            for cell in self.hash.source_cells(&entry.key, created_by_lower) {
                self.sources.words()[cell].fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.release(bucket, slot);
        self.count_event(abi::FLOW_SWEPT);
    }

    /// Marks an entry BUSY and leaves it so, as a sweeper does that is killed inside
    /// [`Self::retire`].
    #[cfg(feature = "testing")]
    pub(crate) fn abandon_busy(&self, (bucket, slot): (usize, usize)) {
        let busy = u64::from(self.now().0) << abi::META_SEEN_SHIFT;
        let word = self.buckets.field(bucket, meta_offset(slot));
        word.store(busy, Ordering::Release);
    }

    fn release(&self, bucket: usize, slot: usize) {
        self.tags.words()[bucket].fetch_and(!(0xff << (slot * 8)), Ordering::AcqRel);
    }

    /// Releases a slot that was BUSY with the same metadata word in the last pass: a sweeper was killed
    /// between taking the entry and releasing the slot.
    fn recover_busy(&mut self, bucket: usize, slot: usize, meta: u64) {
        if self.busy[1].get(&(bucket, slot)) == Some(&meta) {
            self.release(bucket, slot);
            self.count_event(abi::FLOW_RECOVERED);
        } else {
            self.busy[0].insert((bucket, slot), meta);
        }
    }

    /// Counts a flow event in the element after those of the CPUs, which belongs to user space.
    fn count_event(&self, event: u32) {
        let offset = offset_of!(abi::flow_events, count) + event as usize * size_of::<u64>();
        let counter = self.events.field(self.cpus, offset);
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn exchange(word: &AtomicU64, old: u64, new: u64) -> bool {
    word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}

fn flags_in(meta: u64) -> u32 {
    (meta >> abi::META_FLAGS_SHIFT) as u32 & abi::META_FLAGS_MASK
}

fn epoch_in(meta: u64) -> u32 {
    (meta >> abi::META_EPOCH_SHIFT) as u32 & abi::META_EPOCH_MASK
}

fn seen_in(meta: u64) -> Ticks {
    Ticks((meta >> abi::META_SEEN_SHIFT) as u32 & abi::META_SEEN_MASK)
}

/// Whether a stamp is at least [`EPOCH_LAG`] from the active epoch, in either direction. Stamp 0
/// needs no restamping.
fn is_far(epoch: u32, stamp: u32) -> bool {
    let lag = epoch.wrapping_sub(stamp) & abi::META_EPOCH_MASK;
    stamp != 0 && (EPOCH_LAG..=abi::META_EPOCH_MASK - EPOCH_LAG).contains(&lag)
}

/// `is_counted` of source_limit.h.
fn counts_for_source(meta: u64) -> bool {
    is_live(state_in(meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_shrink_between_the_two_fill_marks() {
        assert_eq!(timeout_scale(0, 1000), 256);
        assert_eq!(timeout_scale(600, 1000), 256);
        assert_eq!(timeout_scale(900, 1000), 128);
        assert_eq!(timeout_scale(1200, 1000), SCALE_MIN);
        assert_eq!(timeout_scale(2000, 1000), SCALE_MIN);
    }

    #[test]
    fn only_stamps_near_wrapping_are_far() {
        let max = abi::META_EPOCH_MASK;
        assert!(!is_far(5, 5) && !is_far(5, 4) && !is_far(5, 6), "near");
        assert!(!is_far(1, max), "one commit ago, across the wrap");
        assert!(!is_far(5, 0), "never current");
        assert!(is_far(EPOCH_LAG + 5, 5));
        assert!(is_far(5, (1 << 23) + 5), "would count as ahead");
    }
}
