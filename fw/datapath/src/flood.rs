//! What becomes of new flows while more of them come than the table can take: `flood.h`.

use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::{TokenBucket, abi};

use crate::clock::{Ticks, coarse_nanoseconds};
use crate::error::DatapathError;
use crate::mapping::Mapping;
use crate::pinned::map_pinned;
use crate::pins::PinDir;
use crate::settings::Settings;

/// What new flows may come in through NICs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flood {
    /// Do clients prove themselves while there are more than that?
    pub defend: bool,
    /// New flows per second, on all CPUs together; 0: an eighth of the table's slots.
    pub new_flows: u32,
    /// New flows per second of one source (/32, /64), during a flood; 0: any.
    pub source_new_flows: u32,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            defend: true,
            new_flows: 0,
            source_new_flows: 1000,
        }
    }
}

/// A small table is for a small machine, not for one that may be asked nothing.
const AUTOMATIC_MIN: u64 = 1000;

/// The numbers of `flood.h`, for all CPUs together.
#[derive(Debug)]
pub(crate) struct FloodGlobals {
    pub(crate) limit: u32,
    pub(crate) unproven: TokenBucket,
    pub(crate) source: TokenBucket,
}

impl FloodGlobals {
    pub(crate) fn new(settings: &Settings) -> Self {
        let flood = &settings.flood;
        if !flood.defend {
            return Self {
                limit: 0,
                unproven: TokenBucket::default(),
                source: TokenBucket::default(),
            };
        }
        let slots = settings.flow_slots();
        let rate = match flood.new_flows {
            0 => (slots / 8).max(AUTOMATIC_MIN),
            rate => u64::from(rate),
        };
        let window = 1 << abi::FLOOD_WINDOW_SHIFT;
        let source = match u64::from(flood.source_new_flows) {
            0 => TokenBucket::default(),
            rate => TokenBucket::new(rate, 1, rate),
        };
        Self {
            limit: (rate * window / 1_000_000_000).max(1) as u32,
            unproven: TokenBucket::new(rate, 1, rate / 4),
            source,
        }
    }
}

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
        let [last, _, calm, flood] = [0, 1, 2, 3].map(|at| line[at].load(Ordering::Relaxed));
        // A CPU that nothing reaches any more has not noticed that a flood is over.
        let quiet_for = window.saturating_sub(calm.max(last));
        let begun = flood.checked_sub(1);
        (quiet_for < u64::from(abi::FLOOD_CALM_WINDOWS)).then(|| Cpu {
            flood: begun.map(|tick| Ticks(tick as u32 & abi::TICK_MASK)),
        })
    })
}
