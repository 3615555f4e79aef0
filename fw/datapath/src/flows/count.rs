//! Packet and byte counts.

use bailey_bpf::abi;

use crate::kernel::clock::Ticks;

/// Packets and their bytes at layer 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficCount {
    /// Packets; a GSO or GRO frame counts as its segments.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Numbers of a rule while those of CPUs and flows are added up, modulo 2^64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RuleSum {
    pub(crate) hits: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Time of the last packet; `None` if the rule has not counted.
    pub(crate) seen: Option<Ticks>,
    pub(crate) live: u64,
}

impl RuleSum {
    /// Adds a counter whose last packet was at `seen`; that number means nothing while the counter is 0.
    pub(crate) fn add_counter(&mut self, hits: u64, count: TrafficCount, seen: u64) {
        self.hits = self.hits.wrapping_add(hits);
        self.add(count);
        if hits | count.packets != 0 {
            self.note_seen(Ticks(seen as u32 & abi::TICK_MASK));
        }
    }

    pub(crate) fn add(&mut self, count: TrafficCount) {
        self.packets = self.packets.wrapping_add(count.packets);
        self.bytes = self.bytes.wrapping_add(count.bytes);
    }

    pub(crate) fn subtract(&mut self, count: TrafficCount) {
        self.packets = self.packets.wrapping_sub(count.packets);
        self.bytes = self.bytes.wrapping_sub(count.bytes);
    }

    pub(crate) fn note_seen(&mut self, seen: Ticks) {
        self.seen = Some(seen.latest(self.seen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_cpus_add_up() {
        let mut sum = RuleSum::default();
        for [hits, packets, bytes, seen] in [[1, 2, 30, 7], [0, 0, 0, 99], [0, 4, 50, 6]] {
            sum.add_counter(hits, TrafficCount { packets, bytes }, seen);
        }
        let expected = RuleSum {
            hits: 1,
            packets: 6,
            bytes: 80,
            seen: Some(Ticks(7)),
            live: 0,
        };
        assert_eq!(sum, expected);
    }
}
