//! Inputs of the event queue: one variant per source.

use notify::Event;

/// One event from outside, before it is turned into a [`crate::wake::Wake`].
#[derive(Debug)]
pub(crate) enum Input {
    /// The file system reports a change.
    File(notify::Result<Event>),
    /// The process received a signal.
    Signal(i32),
    /// The kernel reports a change of an interface. At most one is in the channel at a time.
    Interface,
}
