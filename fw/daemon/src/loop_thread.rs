//! A thread that repeats its work until it is dropped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The thread. It ends, between two rounds of its work, when this value is dropped.
#[derive(Debug)]
pub(crate) struct LoopThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the work of a thread whether to go on.
#[derive(Debug)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Whether the thread is to end.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits for a time, or until the thread is to end.
    pub(crate) fn wait(&self, time: Duration) {
        if !self.is_set() {
            thread::park_timeout(time);
        }
    }
}

impl LoopThread {
    /// Starts a thread of this name.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub(crate) fn start(
        name: &str,
        work: impl FnOnce(&StopFlag) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = StopFlag(Arc::clone(&stop));
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || work(&flag))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for LoopThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
