//! Everything that wakes the daemon's loop, in one queue. Decides when to act, never how.
//!
//! ```text
//!   notify thread ──── Input::File ──────┐              files.rs       settled, open
//!   netlink thread ─── Input::Interface ─┼─▶ channel ─▶ interfaces.rs  bursts of 50 ms ──▶ Wake
//!   signal thread ──── Input::Signal ────┘              signals.rs     reload, stop
//! ```
//!
//! Signals come first, then files whose deadline has passed, then interfaces.

/// Policy files: watches, changes and deadlines.
mod files;
/// Inputs of the queue.
mod input;
/// Interface changes, gathered.
mod interfaces;
/// Policy files that are still being written.
mod open_files;
/// Signals, in order.
mod signals;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use bailey_clock::now;
use bailey_config::Config;

use self::files::{FileChanges, FilesDue};
use self::input::Input;
use self::interfaces::InterfaceChanges;
use self::signals::{Request, SignalQueue, forward_signals};

/// The reason why the loop wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Policy files changed, and their writers have closed them.
    FilesSettled,
    /// A process still writes a policy file: do not read files, but do all other work.
    FilesOpen,
    /// The rescan interval passed without a reported change: compare the files.
    RescanDue,
    /// SIGHUP: read the files now, even while a process writes them.
    ReloadRequested,
    /// An interface changed.
    InterfacesChanged,
    /// SIGINT or SIGTERM.
    StopRequested,
}

/// Receives all inputs, and turns them into one [`Wake`] at a time.
#[derive(Debug)]
pub(crate) struct EventQueue {
    inputs: Receiver<Input>,
    sender: Sender<Input>,
    files: FileChanges,
    interfaces: InterfaceChanges,
    signals: SignalQueue,
}

impl EventQueue {
    /// Starts watching the policy paths of a configuration.
    pub(crate) fn start(config: &Config) -> Self {
        let (sender, inputs) = channel();
        let mut queue = Self {
            inputs,
            sender,
            files: FileChanges::new(config),
            interfaces: InterfaceChanges::default(),
            signals: SignalQueue::default(),
        };
        queue.rewatch();
        queue
    }

    /// Receives SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// If the signal handlers cannot be installed.
    pub(crate) fn forward_signals(&self) -> io::Result<()> {
        forward_signals(self.sender.clone())
    }

    /// A function that reports an interface change; it may be called for every netlink message.
    /// Returns false if the queue no longer exists.
    pub(crate) fn interface_notifier(&self) -> impl Fn() -> bool + Send + 'static + use<> {
        self.interfaces.notifier(self.sender.clone())
    }

    /// True if a signal requested a stop; [`Self::wait`] will return it too.
    pub(crate) fn has_stop_request(&mut self) -> bool {
        self.drain_inputs();
        self.signals.has_stop()
    }

    /// Replaces all watches: a path may have become another directory since the last call.
    pub(crate) fn rewatch(&mut self) {
        self.files.rewatch(self.sender.clone());
    }

    /// Blocks until there is work for the loop.
    pub(crate) fn wait(&mut self) -> Wake {
        loop {
            match self.signals.pop() {
                Some(Request::Stop) => return Wake::StopRequested,
                // The operator's request overrides open writers and deadlines.
                Some(Request::Reload) => {
                    self.files.clear();
                    return Wake::ReloadRequested;
                }
                None => {}
            }

            // Interface events come in bursts; a due reload does not wait for the end of a burst.
            let (files, interfaces) = (self.files.due(), self.interfaces.due());
            if now() < files && interfaces.is_some_and(|due| now() >= due) {
                self.interfaces.clear();
                return Wake::InterfacesChanged;
            }

            let due = interfaces.map_or(files, |interfaces| interfaces.min(files));
            match self
                .inputs
                .recv_timeout(due.saturating_duration_since(now()))
            {
                Ok(input) => self.record(input),
                Err(RecvTimeoutError::Disconnected) => return Wake::StopRequested,
                Err(RecvTimeoutError::Timeout) if now() < files => {}
                Err(RecvTimeoutError::Timeout) => {
                    return match self.files.expire() {
                        FilesDue::Settled => Wake::FilesSettled,
                        FilesDue::Rescan => Wake::RescanDue,
                        FilesDue::Open => Wake::FilesOpen,
                    };
                }
            }
        }
    }

    /// The open file that delays a reload, if it does so for at least one rescan interval.
    pub(crate) fn blocking_file(&self) -> Option<&Path> {
        self.files.blocking_file()
    }

    /// Longest time that an open file delays a reload, from its first write.
    pub(crate) fn write_timeout(&self) -> Duration {
        self.files.write_timeout()
    }

    /// True if no policy file changed since the last wake-up. Call this between reading files and
    /// installing them.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.drain_inputs();
        self.files.is_quiet()
    }

    fn drain_inputs(&mut self) {
        while let Ok(input) = self.inputs.try_recv() {
            self.record(input);
        }
    }

    fn record(&mut self, input: Input) {
        match input {
            Input::Signal(signal) => self.signals.push(signal),
            Input::Interface => self.interfaces.record(),
            Input::File(event) => self.files.record(event),
        }
    }
}
