//! Flood state of the CPUs, as `flood.h` records it.

use std::mem::offset_of;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::clock::{Ticks, coarse_nanoseconds};
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

/// The map `flood_cpus`, one element per CPU.
pub(crate) type FloodCpus = MappedArray<abi::flood_cpu>;

/// Seconds since a flood began, if any CPU sees one. `None` also if another version's maps are
/// pinned.
///
/// # Errors
/// If the map cannot be opened.
pub(crate) fn flood_seconds(pins: &PinDir) -> Result<Option<u64>, DatapathError> {
    let cpus = match FloodCpus::open(pins, "flood_cpus") {
        Err(DatapathError::NotLoaded(_)) => return Ok(None),
        cpus => cpus?,
    };
    let now = Ticks::now();
    let started = receiving_cpus(&cpus).filter_map(|cpu| cpu.flood_start);
    Ok(started.map(|start| now.seconds_since(start)).max())
}

/// Number of CPUs that new flows arrive on.
pub(crate) fn receiver_count(cpus: &FloodCpus) -> u64 {
    receiving_cpus(cpus).count() as u64
}

/// A CPU that received new flows within the last two seconds.
struct ReceivingCpu {
    /// Start of the flood that the CPU sees.
    flood_start: Option<Ticks>,
}

fn receiving_cpus(cpus: &FloodCpus) -> impl Iterator<Item = ReceivingCpu> {
    let window = coarse_nanoseconds() >> abi::FLOOD_WINDOW_SHIFT;
    (0..cpus.len()).filter_map(move |cpu| {
        let field = |offset: usize| cpus.field(cpu, offset).load(Ordering::Relaxed);
        let last = field(offset_of!(abi::flood_cpu, window));
        let calm = field(offset_of!(abi::flood_cpu, calm));
        let flood = field(offset_of!(abi::flood_cpu, flood));
        // A CPU that receives no new flows does not end its flood itself.
        let quiet_windows = window.saturating_sub(calm.max(last));
        let start = flood.checked_sub(1);
        (quiet_windows < u64::from(abi::FLOOD_CALM_WINDOWS)).then(|| ReceivingCpu {
            flood_start: start.map(|tick| Ticks(tick as u32 & abi::TICK_MASK)),
        })
    })
}
