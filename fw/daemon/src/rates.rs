//! The thread that samples all counters once a second.

use std::io;
use std::time::Duration;

use bailey_clock::now;
use bailey_introspect::Sampler;

use crate::health::Health;
use crate::loop_thread::{LoopThread, StopFlag};
use crate::samples::Samples;

const SECOND: Duration = Duration::from_secs(1);

/// Starts the thread, which calls `publish` after each sample.
///
/// # Errors
/// If the system cannot create a thread.
pub(crate) fn start_rates_thread(
    sampler: Sampler,
    samples: Samples,
    health: Health,
    publish: impl Fn() + Send + 'static,
) -> io::Result<LoopThread> {
    LoopThread::start("rates", move |stop: &StopFlag| {
        let mut due = now();
        while !stop.is_set() {
            // Reading the rules also stores the greatest numbers: a later reading that misses flows,
            // because they end at that moment, does not go below them.
            samples.record_sample(sampler.sample());
            health.beat("rates");
            publish();
            // Steady seconds; a second that was missed is not made up for.
            due = (due + SECOND).max(now());
            stop.wait(due - now());
        }
    })
}
