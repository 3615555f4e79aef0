use bailey_bpf::abi;
use rustix::time::{ClockId, clock_gettime};

/// A moment on the programs' clock: 2^30 ns of the coarse monotonic clock, modulo 2^24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks(pub u32);

impl Ticks {
    /// Now.
    pub fn now() -> Self {
        Self((coarse_nanoseconds() >> abi::TICK_SHIFT) as u32 & abi::TICK_MASK)
    }

    /// This moment moved on by some ticks.
    pub fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks) & abi::TICK_MASK)
    }

    /// Ticks from `earlier` to this moment; 0 if it is a little later.
    pub fn since(self, earlier: Self) -> u32 {
        let ticks = self.0.wrapping_sub(earlier.0) & abi::TICK_MASK;
        if ticks > abi::TICK_MASK - TICKS_AHEAD {
            return 0;
        }
        ticks
    }

    /// Whole seconds from `earlier` to this moment; 0 if it is a little later.
    pub fn seconds_since(self, earlier: Self) -> u64 {
        (u64::from(self.since(earlier)) << abi::TICK_SHIFT) / 1_000_000_000
    }
}

/// The coarse monotonic clock.
pub(crate) fn coarse_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// How far a CPU may have been ahead of the moment that this one took; the same as in `flow.h`.
const TICKS_AHEAD: u32 = 256;

/// Seconds as ticks, rounded up.
pub fn ticks_of_seconds(seconds: u32) -> u32 {
    let ticks = (u64::from(seconds) * 1_000_000_000).div_ceil(1 << abi::TICK_SHIFT);
    u32::try_from(ticks).unwrap_or(u32::MAX)
}
