//! The sweeper's thread: walks the flow table in slices and retires expired flows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bailey_datapath::flows::sweep::Sweeper;

use crate::samples::Samples;

/// A thread that sweeps until it is dropped.
#[derive(Debug)]
pub(crate) struct SweepThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Time between two slices.
const PAUSE: Duration = Duration::from_millis(100);
/// Slices of one pass over the table. A pass takes 8 s, far longer than any CPU stays inside a
/// program.
const SLICES: usize = 80;
/// Slices between two updates of the timeout scale and of the other values that programs read: one
/// second.
const SLICES_PER_UPDATE: usize = 10;

impl SweepThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub(crate) fn start(mut sweeper: Sweeper, samples: Samples) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let sweep = move || {
            let slice = sweeper.buckets().div_ceil(SLICES);
            let mut slices = 0_usize;
            while !stopped.load(Ordering::Relaxed) {
                // Programs of the former layout are attached, and their table is another one.
                if sweeper.is_upgrade_pending() {
                    thread::sleep(PAUSE);
                    continue;
                }
                if slices.is_multiple_of(SLICES_PER_UPDATE) {
                    sweeper.publish_timeout_scale();
                    sweeper.publish_receiver_count();
                    sweeper.clear_ended_warm_up();
                    samples.beat("sweep");
                }

                sweeper.sweep(slice);
                slices = slices.wrapping_add(1);
                thread::sleep(PAUSE);
            }
            sweeper.reset_timeout_scale();
        };
        let thread = thread::Builder::new().name("sweep".into()).spawn(sweep)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

/// Stops the thread between two slices, so that no slot stays locked.
impl Drop for SweepThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
