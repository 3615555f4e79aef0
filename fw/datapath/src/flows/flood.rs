//! What becomes of new flows while more of them come than the table can take: `flood.h`.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::clock::{Ticks, coarse_nanoseconds};
use crate::kernel::mmap::{Mapping, word_at};
use crate::maps::pinned::map_pinned;
use crate::maps::pins::PinDir;

/// Bytes of a line of `flood_cpus`.
const LINE: usize = size_of::<abi::flood_cpu>();

/// What the CPUs have seen, a line each.
pub(crate) fn lines(pins: &PinDir) -> Result<Mapping, DatapathError> {
    map_pinned(pins, "flood_cpus", LINE).map(|(lines, _)| lines)
}

/// Seconds since a flood began, if any CPU sees one. There is none where another version's maps are.
pub(crate) fn seconds(pins: &PinDir) -> Result<Option<u64>, DatapathError> {
    let lines = match lines(pins) {
        Err(DatapathError::NotLoaded(_)) => return Ok(None),
        lines => lines?,
    };
    let now = Ticks::now();
    let begun = cpus(&lines).filter_map(|cpu| cpu.flood);
    Ok(begun.map(|begun| now.seconds_since(begun)).max())
}

/// How many CPUs new flows arrive on.
pub(crate) fn receivers(lines: &Mapping) -> u64 {
    cpus(lines).count() as u64
}

/// A CPU that new flows have come in on within the last two seconds.
struct Cpu {
    /// Since when it sees a flood.
    flood: Option<Ticks>,
}

fn cpus(lines: &Mapping) -> impl Iterator<Item = Cpu> {
    let window = coarse_nanoseconds() >> abi::FLOOD_WINDOW_SHIFT;
    let lines = lines.words().chunks_exact(LINE / 8);
    lines.filter_map(move |line: &[AtomicU64]| {
        let field = |offset: usize| line[word_at(offset)].load(Ordering::Relaxed);
        let last = field(offset_of!(abi::flood_cpu, window));
        let calm = field(offset_of!(abi::flood_cpu, calm));
        let flood = field(offset_of!(abi::flood_cpu, flood));
        // A CPU that nothing reaches any more has not noticed that a flood is over.
        let quiet_for = window.saturating_sub(calm.max(last));
        let begun = flood.checked_sub(1);
        (quiet_for < u64::from(abi::FLOOD_CALM_WINDOWS)).then(|| Cpu {
            flood: begun.map(|tick| Ticks(tick as u32 & abi::TICK_MASK)),
        })
    })
}
