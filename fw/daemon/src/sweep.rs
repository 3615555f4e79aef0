//! The sweeper's thread: walks the flow table in slices and retires expired flows.

use std::io;
use std::time::Duration;

use bailey_datapath::flows::sweep::Sweeper;

use crate::health::Health;
use crate::loop_thread::{LoopThread, StopFlag};

/// Time between two slices.
const PAUSE: Duration = Duration::from_millis(100);
/// Slices of one pass over the table. A pass takes 8 s, far longer than any CPU stays inside a
/// program.
const SLICES: usize = 80;
/// Slices between two updates of the timeout scale and of the other values that programs read: one
/// second.
const SLICES_PER_UPDATE: usize = 10;

/// Starts the thread. It ends between two slices, so that no slot stays locked.
///
/// # Errors
/// If the system cannot create a thread.
pub(crate) fn start_sweep_thread(mut sweeper: Sweeper, health: Health) -> io::Result<LoopThread> {
    LoopThread::start("sweep", move |stop: &StopFlag| {
        let slice = sweeper.buckets().div_ceil(SLICES);
        let mut slices = 0_usize;
        while !stop.is_set() {
            // Programs of the former layout are attached, and their table is another one.
            if sweeper.is_upgrade_pending() {
                stop.wait(PAUSE);
                continue;
            }
            if slices.is_multiple_of(SLICES_PER_UPDATE) {
                sweeper.publish_timeout_scale();
                sweeper.publish_receiver_count();
                sweeper.clear_ended_warm_up();
                health.beat("sweep");
            }

            sweeper.sweep(slice);
            slices = slices.wrapping_add(1);
            stop.wait(PAUSE);
        }
        sweeper.reset_timeout_scale();
    })
}
