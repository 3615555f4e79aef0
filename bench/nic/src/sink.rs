//! Receive side of a trial: counts and latencies of one queue.

use hdrhistogram::Histogram;

use crate::frame::{Arrival, Flows, read};
use crate::headers::Family;

/// The frames of a trial that one receive queue got. All frames of a flow arrive at the same queue,
/// so each sink can detect reordering.
pub(crate) struct Sink {
    trial: u16,
    port: u16,
    flows: Flows,
    /// One bit per frame, for each sending queue.
    seen: Vec<Vec<u64>>,
    /// Next expected sequence number, by flow and family.
    next: Vec<u32>,
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) corrupted: u64,
    pub(crate) foreign: u64,
    pub(crate) latency: Histogram<u64>,
}

/// An empty histogram of nanoseconds: three significant digits, up to one minute.
pub(crate) fn empty_histogram() -> Histogram<u64> {
    const DIGITS: u8 = 3;
    const MOST: u64 = 60_000_000_000;
    Histogram::new_with_max(MOST, DIGITS).unwrap_or_else(|_| unreachable!("0 to 5 digits"))
}

/// IPv4 and IPv6.
const FAMILIES: usize = 2;

impl Sink {
    /// A sink for a trial in which each queue sends at most `most` frames.
    pub(crate) fn new(trial: u16, port: u16, flows: Flows, most: u32) -> Self {
        let words = (most as usize).div_ceil(u64::BITS as usize);
        let latency = empty_histogram();
        Self {
            trial,
            port,
            flows,
            seen: vec![vec![0; words]; flows.queues as usize],
            next: vec![0; flows.count as usize * FAMILIES],
            received: 0,
            duplicated: 0,
            reordered: 0,
            corrupted: 0,
            foreign: 0,
            latency,
        }
    }

    /// Counts a frame that arrived at `now`, in nanoseconds of the tester's clock.
    pub(crate) fn record(&mut self, frame: &[u8], is_new_flow: impl Fn(u32) -> bool, now: u64) {
        let (stamp, family) = match read(frame, self.port) {
            Arrival::Intact(stamp, family) => (stamp, family),
            Arrival::Corrupted => {
                self.corrupted += 1;
                return;
            }
            Arrival::Foreign => {
                self.foreign += 1;
                return;
            }
        };
        // The frame belongs to an earlier trial or establishes a flow.
        if stamp.trial != self.trial {
            return;
        }
        // Count every frame once; a queue or sequence number out of range means a damaged stamp.
        let bit = 1 << (stamp.number % u64::BITS);
        let word = self
            .seen
            .get_mut(usize::from(stamp.queue))
            .and_then(|queue| queue.get_mut((stamp.number / u64::BITS) as usize));
        let Some(word) = word else {
            self.corrupted += 1;
            return;
        };
        if *word & bit != 0 {
            self.duplicated += 1;
            return;
        }
        *word |= bit;
        self.received += 1;
        self.latency
            .saturating_record(now.saturating_sub(stamp.due).max(1));
        if is_new_flow(stamp.number) {
            return;
        }
        // Reordering is defined per flow (RFC 4737).
        let flow = self.flows.flow_of(stamp.queue, stamp.number) as usize;
        let at = flow * FAMILIES + usize::from(family == Family::V6);
        let Some(next) = self.next.get_mut(at) else {
            return;
        };
        if stamp.number < *next {
            self.reordered += 1;
        } else {
            *next = stamp.number + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Addressing, DESTINATION, ECHO_PORT, SOURCE, Stream};
    use crate::headers::MAX_FRAME_BYTES;
    use crate::mix::Mix;

    const FLOWS: Flows = Flows {
        count: 4,
        queues: 1,
    };
    const TRIAL: u16 = 7;

    fn frame(mix: &str, number: u32, due: u64) -> Vec<u8> {
        let addressing = Addressing {
            macs: [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]],
            source: SOURCE,
            destination: DESTINATION,
            port: ECHO_PORT,
        };
        let mix: Mix = mix.parse().unwrap();
        let mut room = vec![0; MAX_FRAME_BYTES as usize];
        let length = Stream::new(&mix, &addressing, FLOWS, 0).write(TRIAL, number, due, &mut room);
        room.truncate(length);
        room
    }

    fn sink_after(frames: &[Vec<u8>]) -> Sink {
        let mut sink = Sink::new(TRIAL, ECHO_PORT, FLOWS, 100);
        for frame in frames {
            sink.record(frame, |_| false, 1000);
        }
        sink
    }

    #[test]
    fn intact_ordered_frames_are_received() {
        for mix in ["64", "84v6", "1518", "imix", "edge"] {
            let frames: Vec<Vec<u8>> = (0..50).map(|number| frame(mix, number, 400)).collect();
            let sink = sink_after(&frames);
            assert_eq!(sink.received, 50, "{mix}");
            let others = [
                sink.duplicated,
                sink.reordered,
                sink.corrupted,
                sink.foreign,
            ];
            assert_eq!(others, [0; 4], "{mix}");
            assert_eq!((sink.latency.min(), sink.latency.max()), (600, 600));
        }
    }

    #[test]
    fn repeated_frame_counts_as_duplicate() {
        let sink = sink_after(&[frame("64", 3, 0), frame("64", 3, 0)]);
        assert_eq!((sink.received, sink.duplicated), (1, 1));
    }

    #[test]
    fn reordering_counts_within_one_flow_only() {
        let first = FLOWS.flow_of(0, 0);
        let (same, other): (Vec<u32>, Vec<u32>) =
            (1..50).partition(|&number| FLOWS.flow_of(0, number) == first);
        let pair = |numbers: [u32; 2]| numbers.map(|number| frame("64", number, 0));
        assert_eq!(sink_after(&pair([same[0], 0])).reordered, 1);
        assert_eq!(sink_after(&pair([0, same[0]])).reordered, 0);
        assert_eq!(sink_after(&pair([other[0], 0])).reordered, 0);
    }

    #[test]
    fn any_flipped_bit_is_detected() {
        for mix in ["64", "84v6"] {
            let whole = frame(mix, 1, 0);
            let addresses_and_ttl = if mix == "64" { 14 + 12 } else { 14 + 8 };
            for bit in addresses_and_ttl * 8..whole.len() * 8 {
                let mut changed = whole.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let sink = sink_after(&[changed]);
                assert_eq!(sink.received, 0, "{mix}: bit {bit}");
                assert_eq!(sink.corrupted + sink.foreign, 1, "{mix}: bit {bit}");
            }
        }
    }

    #[test]
    fn foreign_and_earlier_frames_are_not_received() {
        let mut sink = sink_after(&[vec![0; 60], Vec::new(), vec![0xff; 3]]);
        assert_eq!((sink.foreign, sink.received), (3, 0));
        sink.trial = TRIAL + 1;
        sink.record(&frame("64", 0, 0), |_| false, 0);
        assert_eq!((sink.foreign, sink.received), (3, 0));
    }
}
