//! Interface changes: gathers bursts of netlink events into one wake-up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bailey_clock::now;

use crate::wake::input::Input;

/// Time from the first change to the wake-up; later changes within it cause no further wake-up.
const INTERFACES_SETTLE: Duration = Duration::from_millis(50);

/// Changes of interfaces that the loop has not handled yet.
#[derive(Debug, Default)]
pub(crate) struct InterfaceChanges {
    /// Time of the first change since the last wake-up.
    first: Option<Instant>,
    /// True while an [`Input::Interface`] is in the channel.
    in_channel: Arc<AtomicBool>,
}

impl InterfaceChanges {
    /// A function that reports a change to the queue; it may be called for every netlink message.
    /// Returns false if the queue no longer exists.
    pub(crate) fn notifier(
        &self,
        sender: Sender<Input>,
    ) -> impl Fn() -> bool + Send + 'static + use<> {
        let in_channel = Arc::clone(&self.in_channel);
        move || in_channel.swap(true, Ordering::AcqRel) || sender.send(Input::Interface).is_ok()
    }

    /// Records the change that the channel delivered; the next one may be sent.
    pub(crate) fn record(&mut self) {
        self.in_channel.store(false, Ordering::Release);
        self.first.get_or_insert_with(now);
    }

    /// Time of the next wake-up.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.first.map(|first| first + INTERFACES_SETTLE)
    }

    /// Forgets the recorded changes: the loop handles them now.
    pub(crate) fn clear(&mut self) {
        self.first = None;
    }
}
