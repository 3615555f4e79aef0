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

/// A wall-clock time in UTC as RFC 3339, to the millisecond.
pub fn rfc3339_milliseconds(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    format!("{time:.3}")
}

/// Parses a time as RFC 3339, such as `2026-01-31T12:00:00Z`.
///
/// # Errors
/// If the text has another form.
pub fn parse_rfc3339(text: &str) -> Result<SystemTime, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    Ok(time.into())
}

/// Monotonic time, for deadlines.
pub fn now() -> Instant {
    Instant::now()
}
