use std::time::{Duration, Instant, SystemTime};

/// Measures stages, one after the other.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    last: Instant,
    stages: Vec<(&'static str, Duration)>,
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        Self {
            last: Instant::now(),
            stages: Vec::new(),
        }
    }

    /// Ends a stage that began with the end of the one before.
    pub fn lap(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.stages.push((stage, now - self.last));
        self.last = now;
    }

    /// The stages, in order.
    pub fn stages(&self) -> &[(&'static str, Duration)] {
        &self.stages
    }

    /// All stages together.
    pub fn total(&self) -> Duration {
        self.stages.iter().map(|(_, duration)| *duration).sum()
    }
}

/// The time that files are stamped with.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time as RFC 3339 has it, in UTC, to the second.
pub fn rfc3339() -> String {
    let now = jiff::Timestamp::now();
    format!("{now:.0}")
}

/// A moment, for deadlines.
pub fn now() -> Instant {
    Instant::now()
}
