use hdrhistogram::Histogram;

use crate::frame::{Arrival, Flows, read};
use crate::mix::Family;

/// What one receiving queue has seen of a trial. A flow arrives at one queue, so that each sink can tell
/// its order.
pub(crate) struct Sink {
    trial: u16,
    port: u16,
    flows: Flows,
    /// A bit per frame of each sending queue.
    seen: Vec<Vec<u64>>,
    /// The number after the last one, of each flow and family.
    next: Vec<u32>,
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) corrupted: u64,
    pub(crate) foreign: u64,
    pub(crate) latency: Histogram<u64>,
}

/// An empty histogram of nanoseconds: three digits, up to a minute.
pub(crate) fn latencies() -> Histogram<u64> {
    const DIGITS: u8 = 3;
    const MOST: u64 = 60_000_000_000;
    Histogram::new_with_max(MOST, DIGITS).unwrap_or_else(|_| unreachable!("0 to 5 digits"))
}

/// Two families.
const FAMILIES: usize = 2;

impl Sink {
    /// For a trial in which each queue sends no more than so many frames.
    pub(crate) fn new(trial: u16, port: u16, flows: Flows, most: u32) -> Self {
        let words = (most as usize).div_ceil(u64::BITS as usize);
        let latency = latencies();
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

    /// Takes a frame that has arrived by this time of the tester's clock.
    pub(crate) fn take(&mut self, frame: &[u8], fresh: impl Fn(u32) -> bool, now: u64) {
        let (stamp, family) = match read(frame, self.port) {
            Arrival::Whole(stamp, family) => (stamp, family),
            Arrival::Corrupted => {
                self.corrupted += 1;
                return;
            }
            Arrival::Foreign => {
                self.foreign += 1;
                return;
            }
        };
        // Of an earlier trial, or an introduction.
        if stamp.trial != self.trial {
            return;
        }
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
        if fresh(stamp.number) {
            return;
        }
        let flow = self.flows.of(stamp.queue, stamp.number) as usize;
        let place = flow * FAMILIES + usize::from(family == Family::V6);
        let Some(next) = self.next.get_mut(place) else {
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
    use crate::frame::{Addressing, DESTINATION, ECHO, SOURCE, Stream};
    use crate::mix::{LONGEST, Mix};

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
            port: ECHO,
        };
        let mix: Mix = mix.parse().unwrap();
        let mut room = vec![0; LONGEST as usize];
        let length = Stream::new(&mix, &addressing, FLOWS, 0).write(TRIAL, number, due, &mut room);
        room.truncate(length);
        room
    }

    fn after(frames: &[Vec<u8>]) -> Sink {
        let mut sink = Sink::new(TRIAL, ECHO, FLOWS, 100);
        for frame in frames {
            sink.take(frame, |_| false, 1000);
        }
        sink
    }

    #[test]
    fn what_is_whole_and_in_order_is_received() {
        for mix in ["64", "84v6", "1518", "imix", "edge"] {
            let frames: Vec<Vec<u8>> = (0..50).map(|number| frame(mix, number, 400)).collect();
            let sink = after(&frames);
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
    fn a_frame_that_comes_again_counts_once() {
        let sink = after(&[frame("64", 3, 0), frame("64", 3, 0)]);
        assert_eq!((sink.received, sink.duplicated), (1, 1));
    }

    #[test]
    fn order_is_that_of_a_flow() {
        let first = FLOWS.of(0, 0);
        let (same, other): (Vec<u32>, Vec<u32>) =
            (1..50).partition(|&number| FLOWS.of(0, number) == first);
        let pair = |numbers: [u32; 2]| numbers.map(|number| frame("64", number, 0));
        assert_eq!(after(&pair([same[0], 0])).reordered, 1);
        assert_eq!(after(&pair([0, same[0]])).reordered, 0);
        assert_eq!(after(&pair([other[0], 0])).reordered, 0);
    }

    #[test]
    fn any_changed_bit_of_what_is_sent_is_seen() {
        for mix in ["64", "84v6"] {
            let whole = frame(mix, 1, 0);
            let addresses_and_ttl = if mix == "64" { 14 + 12 } else { 14 + 8 };
            for bit in addresses_and_ttl * 8..whole.len() * 8 {
                let mut changed = whole.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let sink = after(&[changed]);
                assert_eq!(sink.received, 0, "{mix}: bit {bit}");
                assert_eq!(sink.corrupted + sink.foreign, 1, "{mix}: bit {bit}");
            }
        }
    }

    #[test]
    fn earlier_trials_and_others_do_not_count() {
        let mut sink = after(&[vec![0; 60], Vec::new(), vec![0xff; 3]]);
        assert_eq!((sink.foreign, sink.received), (3, 0));
        sink.trial = TRIAL + 1;
        sink.take(&frame("64", 0, 0), |_| false, 0);
        assert_eq!((sink.foreign, sink.received), (3, 0));
    }
}
