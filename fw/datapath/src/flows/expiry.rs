//! When a flow expires: its timeout, scaled with the fill of the table.

use bailey_bpf::abi;
use bailey_config::Timeouts;

use crate::kernel::clock::Ticks;
use crate::program::timeout_constants::by_state;

/// Timeouts of flows at one scale.
#[derive(Debug, Clone)]
pub struct FlowExpiry {
    /// Ticks, by `enum flow_state`.
    timeouts: [u32; abi::STATE_COUNT as usize],
}

/// `scaled_timeout` of state.h: a timeout in ticks, scaled.
fn scaled_timeout(ticks: u32, scale: u64) -> u64 {
    let one = u64::from(abi::SCALE_ONE);
    u64::from(ticks) * scale / one + ((one - scale) >> 6)
}

impl FlowExpiry {
    /// The configured timeouts.
    pub fn new(timeouts: &Timeouts) -> Self {
        Self {
            timeouts: by_state(timeouts),
        }
    }

    /// Longest idle time of a flow in a state, in ticks, at a scale in 1/256.
    pub(crate) fn limit(&self, state: u32, scale: u64) -> u64 {
        scaled_timeout(self.timeouts[state as usize % self.timeouts.len()], scale)
    }

    /// Seconds until a flow expires that was seen last at `seen`, rounded down; 0 if it has.
    pub fn seconds_left(&self, state: u32, seen: Ticks, now: Ticks, scale: u64) -> u64 {
        let left = self
            .limit(state, scale)
            .saturating_sub(now.since(seen).into());
        Ticks::seconds_of(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_shrinks_with_idle_time_and_scale() {
        let expiry = FlowExpiry::new(&Timeouts::default());
        let state = abi::STATE_TCP_ESTABLISHED;
        let seconds = u64::from(Timeouts::default().tcp_established);
        let left = |idle, scale| {
            let now = Ticks(1 << 20);
            let seen = Ticks(now.0 - crate::kernel::clock::ticks_of_seconds(idle));
            expiry.seconds_left(state, seen, now, scale)
        };
        let one = u64::from(abi::SCALE_ONE);
        // Ticks are rounded up, and a scaled timeout is never shorter than two of them.
        let is_near = |left: u64, expected: u64| left.abs_diff(expected) <= 3;
        assert!(is_near(left(0, one), seconds), "{}", left(0, one));
        assert!(is_near(left(100, one), seconds - 100), "{}", left(100, one));
        assert!(
            is_near(left(0, one / 2), seconds / 2),
            "{}",
            left(0, one / 2)
        );
        assert_eq!(left(seconds as u32 + 5, one), 0);
    }
}
