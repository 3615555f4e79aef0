//! What becomes of new flows while more of them come than the table can take: `flood.h`.

use std::sync::atomic::Ordering;

use bailey_bpf::{TokenBucket, abi};

use crate::clock::{Ticks, coarse_nanoseconds};
use crate::counters::map_pinned;
use crate::error::DatapathError;
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

/// The numbers of `flood.h`.
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
        // A small table is for a small machine, not for one that may be asked nothing.
        const AUTOMATIC_MIN: u64 = 1000;
        let slots = u64::from(abi::FLOW_LANES) << settings.bucket_bits();
        let total = match flood.new_flows {
            0 => slots / 8,
            rate => u64::from(rate),
        };
        // CPUs that are not there take nothing.
        let cpus = aya::util::online_cpus().map_or(1, |cpus| cpus.len().max(1)) as u64;
        let rate = match flood.new_flows {
            0 => (total / cpus).max(AUTOMATIC_MIN),
            _ => (total / cpus).max(1),
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

/// Seconds since a flood began, if any CPU sees one.
pub(crate) fn seconds(pins: &PinDir) -> Result<Option<u64>, DatapathError> {
    let (cpus, _) = map_pinned(pins, "flood_cpus", size_of::<abi::flood_cpu>())?;
    let window = coarse_nanoseconds() >> abi::FLOOD_WINDOW_SHIFT;
    let lines = cpus.words().chunks_exact(size_of::<abi::flood_cpu>() / 8);
    let now = Ticks::now();
    let since = lines.filter_map(|line| {
        let [last, _, calm, flood] = [0, 1, 2, 3].map(|at| line[at].load(Ordering::Relaxed));
        // A CPU that nothing reaches any more has not noticed that it is over.
        let calm_for = window.saturating_sub(calm.max(last));
        let begun = flood.checked_sub(1)?;
        (calm_for < u64::from(abi::FLOOD_CALM_WINDOWS))
            .then(|| now.seconds_since(Ticks(begun as u32 & abi::TICK_MASK)))
    });
    Ok(since.max())
}
