//! The sweeper walks the flow table while packets use it: it retires expired flows, restamps epochs
//! before they wrap, and scales timeouts with the fill.

use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::flows::entry::SLOTS;
use crate::flows::expiry::FlowExpiry;
use crate::flows::flood::{FloodCpus, receiver_count};
use crate::flows::meta_word::MetaWord;
use crate::flows::restamp::{Restamped, restamp};
#[cfg(feature = "testing")]
use crate::flows::retire::RetireStep;
use crate::flows::retire::Retirer;
use crate::flows::table::is_live;
use crate::kernel::clock::Ticks;
use crate::kernel::cpu::cpus;
use crate::maps::control_word::{ControlMap, ControlWord};
use crate::maps::flow_keys::PassEpoch;
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// Sweeps the flow table by the protocol of `insert.h`: the CPU or process that exchanges an
/// entry's metadata word for BUSY owns the entry.
///
/// Without a sweeper packets are still handled correctly for a while, because an expired flow is
/// replaced when its slot or its addresses are needed. But ages wrap after 208 days, and timeouts are
/// only scaled while a sweeper runs.
pub struct Sweeper {
    retirer: Retirer,
    flood: FloodCpus,
    control: ControlMap,
    pass: PassEpoch,
    events: MappedArray<abi::flow_events>,
    expiry: FlowExpiry,
    configured_flows: u64,
    clock_offset: u32,
    cpus: usize,
    next_bucket: usize,
    /// The epoch when the current pass began.
    began: u32,
    /// Whether the current pass has missed the stamp of an entry.
    has_missed: bool,
    /// For the pins of a former layout.
    pins: PinDir,
    passes: u64,
    /// Live flows that the last pass counted.
    live: u64,
    /// Live flows that the current pass has counted so far.
    counted: u64,
    /// Metadata words of slots that user space held in the current pass and in the one before.
    held: [HashMap<usize, MetaWord>; 2],
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
            retirer: Retirer::open(pins)?,
            flood: FloodCpus::open(pins, "flood_cpus")?,
            control: MappedArray::open_writable(pins, "control")?,
            pass: PassEpoch::open(pins)?,
            events: MappedArray::open_writable(pins, "flow_events")?,
            expiry: FlowExpiry::new(&settings.timeouts),
            configured_flows: u64::from(settings.flows),
            clock_offset: settings.clock_offset,
            cpus: cpus()? as usize,
            next_bucket: 0,
            began: 0,
            has_missed: false,
            pins: pins.clone_handle()?,
            passes: 0,
            live: 0,
            counted: 0,
            held: Default::default(),
        })
    }

    /// Whether flows of a former layout have not all been taken over. Its programs are attached then, and
    /// this table is not the one that they use.
    pub fn is_upgrade_pending(&self) -> bool {
        self.pins.has_former_layout()
    }

    /// Number of buckets in the table.
    pub fn buckets(&self) -> usize {
        self.retirer.slots.buckets()
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
    /// longer than any CPU can stay inside a program, because the next epochs depend on it.
    pub fn sweep(&mut self, buckets: usize) -> bool {
        if self.next_bucket == 0 {
            self.began = ControlWord::load(&self.control).epoch;
            self.has_missed = false;
        }
        let end = (self.next_bucket + buckets).min(self.buckets());
        for bucket in self.next_bucket..end {
            self.sweep_bucket(bucket);
        }
        self.next_bucket = end;
        if end < self.buckets() {
            return false;
        }
        self.next_bucket = 0;
        if !self.has_missed {
            self.pass.store(self.began);
        }
        self.live = std::mem::take(&mut self.counted);
        self.passes += 1;
        self.held.swap(0, 1);
        self.held[0].clear();
        true
    }

    fn sweep_bucket(&mut self, bucket: usize) {
        let word = self.retirer.slots.tag_word(bucket);
        let tags = word.load(Ordering::Acquire).to_le_bytes();
        let is_first_pass = self.passes == 0;
        if tags == [0; SLOTS] && !is_first_pass {
            return;
        }
        let now = self.now();
        let epoch = ControlWord::load(&self.control).epoch;
        let scale = timeout_scale(self.live, self.configured_flows);
        for (at, tag) in tags.into_iter().enumerate() {
            let slot = bucket * SLOTS + at;
            match tag {
                0 if is_first_pass => self.unlock_free(slot),
                0 => {}
                _ => self.sweep_slot(slot, now, epoch, scale),
            }
        }
    }

    fn sweep_slot(&mut self, slot: usize, now: Ticks, epoch: u32, scale: u64) {
        let meta = self.retirer.slots.meta(slot);
        if meta.is_held() {
            self.recover_held(slot, meta, now);
            return;
        }
        let state = meta.state();
        // Entries that another CPU is writing are left alone.
        if !meta.is_busy() && !meta.is_locked() {
            self.counted += u64::from(is_live(state));
            let limit = self.expiry.limit(state, scale);
            let is_expired = u64::from(now.since(meta.seen())) > limit;
            if is_expired && self.retirer.retire(slot, meta, now) {
                self.count_event(abi::FLOW_SWEPT);
                return;
            }
        }
        match restamp(&self.retirer.slots, slot, epoch) {
            Restamped::Yes => self.count_event(abi::FLOW_RESTAMPED),
            Restamped::No => {}
            Restamped::Missed => self.has_missed = true,
        }
    }

    /// Ends the flow of an entry that user space has held since the last pass, and for at least
    /// `FLOW_BUSY_TICKS`: a sweeper was killed between the claim and the release.
    fn recover_held(&mut self, slot: usize, meta: MetaWord, now: Ticks) {
        let is_same = self.held[1].get(&slot) == Some(&meta);
        if is_same && now.since(meta.seen()) > abi::FLOW_BUSY_TICKS {
            self.retirer.recover(slot, meta);
            self.count_event(abi::FLOW_RECOVERED);
        } else {
            self.held[0].insert(slot, meta);
        }
    }

    /// Ends the claim of a free slot, which a sweeper left that was killed after the release.
    fn unlock_free(&self, slot: usize) {
        let slots = &self.retirer.slots;
        let meta = slots.meta(slot);
        // The tag again: a program that claims the slot sets the tag first. A process that copies flows
        // does so later, but no sweeper runs beside it.
        if meta.is_held() && slots.tag(slot) == 0 {
            slots.exchange(slot, meta, meta.unlocked());
        }
    }

    /// Removes a flow until a step, as a sweeper does that is killed there. False if the slot has no
    /// flow.
    #[cfg(feature = "testing")]
    pub(crate) fn retire_until(&self, slot: usize, step: RetireStep) -> bool {
        let meta = self.retirer.slots.meta(slot);
        let has_flow = self.retirer.slots.tag(slot) != 0 && !meta.is_busy();
        has_flow && self.retirer.retire_until(slot, meta, self.now(), step)
    }

    /// Removes all flows, with their counters in those of their rules, and clears the table. No packet
    /// may be inside a program meanwhile.
    #[cfg(feature = "testing")]
    pub(crate) fn retire_all(&self) {
        let slots = &self.retirer.slots;
        for (slot, _) in slots.used() {
            self.retire_until(slot, RetireStep::Unlocked);
        }
        slots.clear();
    }

    /// Tag and metadata word of a slot.
    #[cfg(feature = "testing")]
    pub(crate) fn slot_words(&self, slot: usize) -> (u8, u64) {
        let slots = &self.retirer.slots;
        (slots.tag(slot), slots.meta(slot).0)
    }

    /// Counts a flow event in the element after those of the CPUs, which belongs to user space.
    fn count_event(&self, event: u32) {
        let offset = offset_of!(abi::flow_events, count) + event as usize * size_of::<u64>();
        let counter = self.events.field(self.cpus, offset);
        counter.fetch_add(1, Ordering::Relaxed);
    }
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
}
