//! The clocks that the programs read: coarse monotonic, in ticks, and boot.

use std::time::Duration;

use bailey_bpf::abi;
use rustix::time::{ClockId, clock_gettime};

/// A time on the programs' clock, in ticks of 2^30 ns of the coarse monotonic clock, modulo 2^24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks(pub u32);

impl Ticks {
    /// The current time.
    pub fn now() -> Self {
        Self((coarse_nanoseconds() >> abi::TICK_SHIFT) as u32 & abi::TICK_MASK)
    }

    /// The time this many ticks later.
    pub fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks) & abi::TICK_MASK)
    }

    /// Ticks since `earlier`; 0 if `earlier` is up to 256 ticks later.
    pub fn since(self, earlier: Self) -> u32 {
        let ticks = self.0.wrapping_sub(earlier.0) & abi::TICK_MASK;
        if ticks > abi::TICK_MASK - TICKS_AHEAD {
            return 0;
        }
        ticks
    }

    /// Whether this time is later than another, or equal.
    pub(crate) fn is_after(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) & abi::TICK_MASK < abi::TICK_MASK / 2
    }

    /// The later of this time and another.
    pub(crate) fn latest(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if !self.is_after(other) => other,
            _ => self,
        }
    }

    /// Whole seconds since `earlier`; 0 if `earlier` is up to 256 ticks later.
    pub fn seconds_since(self, earlier: Self) -> u64 {
        Self::seconds_of(self.since(earlier).into())
    }

    /// The time of the calendar at which this tick began, in seconds since 1970. The same at each call,
    /// unless a process sets the calendar.
    pub fn unix_seconds(self) -> f64 {
        let now = coarse_nanoseconds() >> abi::TICK_SHIFT;
        let since = Self(now as u32 & abi::TICK_MASK).since(self);
        let began = now.saturating_sub(since.into()) << abi::TICK_SHIFT;
        (calendar_offset() + Duration::from_nanos(began)).as_secs_f64()
    }

    /// Whole seconds of a number of ticks.
    pub(crate) fn seconds_of(ticks: u64) -> u64 {
        (u128::from(ticks) << abi::TICK_SHIFT).div_euclid(1_000_000_000) as u64
    }
}

/// The coarse monotonic clock, in nanoseconds.
pub(crate) fn coarse_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The time of the coarse calendar clock at which the coarse monotonic clock was 0, since 1970. Both
/// advance at the same moments, so the result changes only if a process sets the calendar.
pub(crate) fn calendar_offset() -> Duration {
    loop {
        let before = coarse_nanoseconds();
        let calendar = clock_gettime(ClockId::RealtimeCoarse);
        if coarse_nanoseconds() == before {
            let calendar = Duration::new(calendar.tv_sec as u64, calendar.tv_nsec as u32);
            return calendar.saturating_sub(Duration::from_nanos(before));
        }
    }
}

/// Number of ticks that another CPU's clock may be ahead; the same as in ticks.h.
const TICKS_AHEAD: u32 = 256;

/// Converts seconds to ticks, rounded up.
pub fn ticks_of_seconds(seconds: u32) -> u32 {
    let ticks = (u64::from(seconds) * 1_000_000_000).div_ceil(1 << abi::TICK_SHIFT);
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The monotonic clock, in nanoseconds; programs read it with `bpf_ktime_get_ns`.
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec as u64)
}

/// The boot clock, in nanoseconds; programs read it with `bpf_ktime_get_boot_ns`.
pub(crate) fn boot_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    (now.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec as u64)
}
