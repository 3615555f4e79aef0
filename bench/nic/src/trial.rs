//! One trial: the offered load, and the outcome.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use bailey_datapath::kernel::af_xdp::SocketDrops;
use hdrhistogram::Histogram;

/// The load that a trial offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Frames per second; infinite: as fast as possible.
    pub rate: f64,
    /// The trial ends after this number of frames.
    pub frames: u64,
    /// The trial ends after this time at the latest.
    pub time: Duration,
}

impl Load {
    /// A constant rate for a fixed time.
    pub fn steady(rate: f64, time: Duration) -> Self {
        Self {
            rate,
            frames: u64::MAX,
            time,
        }
    }
}

/// Counters and latencies of a trial.
#[derive(Clone)]
pub struct TrialOutcome {
    /// The requested load.
    pub load: Load,
    /// Frames that the NIC accepted.
    pub sent: u64,
    /// Time of the slowest sender.
    pub elapsed: Duration,
    /// Distinct frames of this trial that arrived intact.
    pub received: u64,
    /// Additional copies of frames.
    pub duplicated: u64,
    /// Frames that arrived after a later frame of their flow (RFC 4737, section 3.3).
    pub reordered: u64,
    /// Frames with a wrong checksum.
    pub corrupted: u64,
    /// Frames that the tester did not send.
    pub foreign: u64,
    /// Frames that the AF_XDP sockets lost.
    pub sockets: SocketDrops,
    /// Frames that the receiving interface reports as dropped.
    pub dropped: u64,
    /// Nanoseconds from the due time of a frame until the receiver read it from the ring. A late
    /// sender increases the latency.
    pub latency: Histogram<u64>,
}

/// Prints the maximum latency instead of the histogram's thousands of buckets.
impl fmt::Debug for TrialOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrialOutcome")
            .field("load", &self.load)
            .field("sent", &self.sent)
            .field("elapsed", &self.elapsed)
            .field("received", &self.received)
            .field("duplicated", &self.duplicated)
            .field("reordered", &self.reordered)
            .field("corrupted", &self.corrupted)
            .field("foreign", &self.foreign)
            .field("sockets", &self.sockets)
            .field("dropped", &self.dropped)
            .field("slowest", &self.latency.max())
            .finish()
    }
}

impl TrialOutcome {
    /// Frames that were sent and did not arrive.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Lost frames, in percent of the sent frames.
    pub fn lost_percent(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        self.lost() as f64 / self.sent as f64 * 100.0
    }

    /// The rate that was sent, in frames per second.
    pub fn offered(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Whether the sender reached less than 99 % of the requested rate.
    pub fn is_below_load(&self) -> bool {
        const ENOUGH: f64 = 0.99;
        self.load.rate.is_infinite() || self.offered() < self.load.rate * ENOUGH
    }
}

/// A path that trials can run over.
pub trait Link {
    /// Offers a load, and waits for the frames to arrive.
    ///
    /// # Errors
    /// If sending or receiving fails.
    fn trial(&mut self, load: Load) -> Result<TrialOutcome>;
}

/// An outcome with these counts, and no other event.
#[cfg(test)]
pub(crate) fn outcome(load: Load, sent: u64, elapsed: Duration, received: u64) -> TrialOutcome {
    TrialOutcome {
        load,
        sent,
        elapsed,
        received,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
        foreign: 0,
        sockets: SocketDrops::default(),
        dropped: 0,
        latency: crate::sink::empty_histogram(),
    }
}
