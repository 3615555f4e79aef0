use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bailey_datapath::flows::sweep::Sweeper;

/// A thread that walks the flow table, a slice at a time.
#[derive(Debug)]
pub(crate) struct SweepThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Between two slices.
const PAUSE: Duration = Duration::from_millis(100);
/// Slices of a pass: it takes 8 s, far longer than any CPU stays inside a program.
const SLICES: usize = 80;
/// Slices between two words to the programs on how full the table is.
const LOOK: usize = 10;

impl SweepThread {
    /// Starts.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(crate) fn start(mut sweeper: Sweeper) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || {
            let slice = sweeper.buckets().div_ceil(SLICES);
            let mut slices = 0_usize;
            while !stopped.load(Ordering::Relaxed) {
                if slices.is_multiple_of(LOOK) {
                    sweeper.publish_timeout_scale();
                    sweeper.publish_receiver_count();
                    sweeper.clear_ended_warm_up();
                }

                sweeper.sweep(slice);
                slices = slices.wrapping_add(1);
                thread::sleep(PAUSE);
            }
            sweeper.reset_timeout_scale();
        };
        let thread = thread::Builder::new().name("sweep".into()).spawn(work)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

/// It stops between two slices: no line stays taken.
impl Drop for SweepThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
