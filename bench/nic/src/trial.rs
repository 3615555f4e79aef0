use std::fmt;
use std::time::Duration;

use anyhow::Result;
use bailey_datapath::kernel::xsk::Lost;
use hdrhistogram::Histogram;

/// What a trial offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Frames a second; infinite is as fast as it goes.
    pub rate: f64,
    /// It ends after so many.
    pub frames: u64,
    /// And no later than after this.
    pub time: Duration,
}

impl Load {
    /// At a rate, for a time.
    pub fn steady(rate: f64, time: Duration) -> Self {
        Self {
            rate,
            frames: u64::MAX,
            time,
        }
    }
}

/// What became of the frames of a trial.
#[derive(Clone)]
pub struct Outcome {
    /// What was asked for.
    pub load: Load,
    /// Frames that were handed to the NIC.
    pub sent: u64,
    /// How long that took.
    pub elapsed: Duration,
    /// Different frames of this trial that came back whole.
    pub received: u64,
    /// Frames that came back once more.
    pub duplicated: u64,
    /// Frames that came after a later one of their flow (RFC 4737, section 3.3).
    pub reordered: u64,
    /// Frames whose checksum is wrong.
    pub corrupted: u64,
    /// Frames of somebody else.
    pub foreign: u64,
    /// What the sockets lost.
    pub sockets: Lost,
    /// What the receiving interface says it dropped.
    pub dropped: u64,
    /// From when a frame was due until it was taken from the ring, in nanoseconds: a sender that is late
    /// makes latency greater, not less.
    pub latency: Histogram<u64>,
}

/// Without the thousands of buckets of its latencies.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
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

impl Outcome {
    /// Frames that were sent and did not come back.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Of the frames sent, in percent.
    pub fn lost_percent(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        self.lost() as f64 / self.sent as f64 * 100.0
    }

    /// Frames a second that were sent.
    pub fn offered(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Did the sender fall short of what it was to send?
    pub fn fell_short(&self) -> bool {
        const ENOUGH: f64 = 0.99;
        self.load.rate.is_infinite() || self.offered() < self.load.rate * ENOUGH
    }
}

/// What can be measured.
pub trait Link {
    /// Offers a load, and waits for what comes back.
    ///
    /// # Errors
    /// If nothing can be sent or received.
    fn trial(&mut self, load: Load) -> Result<Outcome>;
}

/// Of so many frames sent, so many came back, and nothing else happened.
#[cfg(test)]
pub(crate) fn outcome(load: Load, sent: u64, elapsed: Duration, received: u64) -> Outcome {
    Outcome {
        load,
        sent,
        elapsed,
        received,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
        foreign: 0,
        sockets: Lost::default(),
        dropped: 0,
        latency: crate::sink::latencies(),
    }
}
