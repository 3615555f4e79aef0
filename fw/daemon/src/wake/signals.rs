//! Signals: forwards each to the event queue, and keeps unhandled signals in order.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::wake::input::Input;

/// Received signals, oldest first. SIGHUP requests a reload; SIGINT and SIGTERM request a stop.
#[derive(Debug, Default)]
pub(crate) struct SignalQueue(VecDeque<i32>);

/// The request that a signal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Read the policy files at once, even while they are written.
    Reload,
    /// Stop the daemon; attached programs stay attached.
    Stop,
}

impl SignalQueue {
    pub(crate) fn push(&mut self, signal: i32) {
        self.0.push_back(signal);
    }

    /// Removes the oldest signal.
    pub(crate) fn pop(&mut self) -> Option<Request> {
        self.0.pop_front().map(request)
    }

    /// True if a queued signal requests a stop.
    pub(crate) fn has_stop(&self) -> bool {
        self.0
            .iter()
            .any(|&signal| request(signal) == Request::Stop)
    }
}

fn request(signal: i32) -> Request {
    match signal {
        SIGHUP => Request::Reload,
        _ => Request::Stop,
    }
}

/// Starts the thread that forwards SIGINT, SIGTERM and SIGHUP.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub(crate) fn forward_signals(sender: Sender<Input>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(Input::Signal(signal)).is_err() {
                break;
            }
        }
    });
    Ok(())
}
