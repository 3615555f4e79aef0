//! Flood defence as load-time constants.

use bailey_bpf::{TokenBucket, abi};
use bailey_config::Settings;

use crate::maps::shape::flow_slots;
use crate::program::constant::Constant;

/// Least automatic limit, in new flows per second: a small table still serves clients.
const AUTOMATIC_MIN: u64 = 1000;

/// The constants of `flood.h`, for all CPUs together.
#[derive(Debug)]
pub(crate) struct FloodConstants {
    limit: u32,
    unproven: TokenBucket,
    source: TokenBucket,
}

impl FloodConstants {
    pub(crate) fn new(settings: &Settings) -> Self {
        let flood = &settings.flood;
        if !flood.enabled {
            return Self {
                limit: 0,
                unproven: TokenBucket::default(),
                source: TokenBucket::default(),
            };
        }
        let slots = flow_slots(settings);
        let rate = match flood.new_flows_per_second {
            0 => (slots / 8).max(AUTOMATIC_MIN),
            rate => u64::from(rate),
        };
        let window = 1 << abi::FLOOD_WINDOW_SHIFT;
        let source = match u64::from(flood.new_flows_per_second_per_source) {
            0 => TokenBucket::default(),
            rate => TokenBucket::new(rate, 1, rate),
        };
        Self {
            limit: (rate * window / 1_000_000_000).max(1) as u32,
            unproven: TokenBucket::new(rate, 1, rate / 4),
            source,
        }
    }

    /// Name and value of each constant.
    pub(crate) fn list(&self) -> [Constant; 5] {
        [
            Constant::optional("FLOOD_LIMIT", self.limit),
            Constant::optional("UNPROVEN_INTERVAL", self.unproven.interval),
            Constant::optional("UNPROVEN_BURST", self.unproven.burst),
            Constant::optional("SOURCE_INTERVAL", self.source.interval),
            Constant::optional("SOURCE_BURST", self.source.burst),
        ]
    }
}
