//! Clocks. Only this crate and the datapath's `clock` modules read a clock; elsewhere in the product,
//! time is an argument (tested by `fw/architecture`).
#![forbid(unsafe_code)]

use std::time::{Duration, Instant, SystemTime};

/// Measures consecutive stages.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    last: Instant,
    stages: Vec<(&'static str, Duration)>,
}

impl Stopwatch {
    /// Starts the first stage.
    pub fn start() -> Self {
        Self {
            last: Instant::now(),
            stages: Vec::new(),
        }
    }

    /// Ends a stage, and starts the next one.
    pub fn lap(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.stages.push((stage, now - self.last));
        self.last = now;
    }

    /// The stages, in order.
    pub fn stages(&self) -> &[(&'static str, Duration)] {
        &self.stages
    }

    /// Duration of all stages.
    pub fn total(&self) -> Duration {
        self.stages.iter().map(|(_, duration)| *duration).sum()
    }
}

/// Wall-clock time, comparable with timestamps of files.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall-clock time in UTC as RFC 3339, to the second.
pub fn rfc3339() -> String {
    let now = jiff::Timestamp::now();
    format!("{now:.0}")
}

/// Monotonic time, for deadlines.
pub fn now() -> Instant {
    Instant::now()
}
