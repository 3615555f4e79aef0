//! A thread that reads the counters of all rules once per second, as a monitoring system does.

use std::hint::black_box;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bailey_datapath::observe::counters::Counters;

/// Time from the beginning of one pass to the beginning of the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Reads until it is dropped, on the first CPU. The programs run on the last one.
#[derive(Debug)]
pub(crate) struct RuleReader {
    /// Milliseconds of each pass.
    pass_ms: Arc<Mutex<Vec<f64>>>,
    /// The thread ends when this is dropped.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RuleReader {
    pub(crate) fn start(counters: Counters) -> Self {
        let pass_ms = Arc::new(Mutex::new(Vec::new()));
        let (running, stopped) = channel();
        let times = Arc::clone(&pass_ms);
        let thread = thread::spawn(move || {
            // On a machine with one CPU the reader shares it with the programs.
            let _ = bailey_nic::cpu::pin(0);
            let mut due = Instant::now();
            while stopped.recv_timeout(due.saturating_duration_since(Instant::now()))
                == Err(RecvTimeoutError::Timeout)
            {
                due += INTERVAL;
                let begun = Instant::now();
                // As the daemon: one pass over the table, and the greatest numbers are stored.
                black_box(sum_packets(&counters));
                let elapsed = begun.elapsed().as_secs_f64() * 1e3;
                let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                times.push(elapsed);
            }
        });
        Self {
            pass_ms,
            running: Some(running),
            thread: Some(thread),
        }
    }

    /// Milliseconds of each pass so far.
    pub(crate) fn pass_ms(&self) -> Vec<f64> {
        let times = self.pass_ms.lock();
        times.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Packets of all rules.
fn sum_packets(counters: &Counters) -> u64 {
    let counts = counters.rules();
    counts.iter().map(|(_, count)| count.packets).sum()
}

impl Drop for RuleReader {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
