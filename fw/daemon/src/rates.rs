//! The thread that samples all counters once a second.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bailey_clock::now;
use bailey_introspect::Sampler;

use crate::samples::Samples;

/// A thread that samples until it is dropped.
#[derive(Debug)]
pub(crate) struct RatesThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const SECOND: Duration = Duration::from_secs(1);

impl RatesThread {
    /// Starts the thread, which calls `publish` after each sample.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub(crate) fn start(
        sampler: Sampler,
        samples: Samples,
        publish: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sample = move || {
            let mut due = now();
            while !stopped.load(Ordering::Relaxed) {
                // Reading the rules also stores the greatest numbers: a later reading that misses flows,
                // because they end at that moment, does not go below them.
                samples.record_sample(sampler.sample());
                samples.beat("rates");
                publish();
                // Steady seconds; a second that was missed is not made up for.
                due = (due + SECOND).max(now());
                thread::park_timeout(due - now());
            }
        };
        let thread = thread::Builder::new().name("rates".into()).spawn(sample)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for RatesThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
