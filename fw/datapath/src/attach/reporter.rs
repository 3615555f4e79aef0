//! Remembers which conditions were reported, so that each is reported once.

use std::collections::{BTreeMap, BTreeSet};

use crate::attach::event::{InterfaceChange, InterfaceEvent};
use crate::error::DatapathError;

/// The conditions that were reported and have not ended.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// Error text by interface or subsystem.
    failures: BTreeMap<String, String>,
    /// Ifindexes reported as attached or adopted.
    attached: BTreeSet<u32>,
}

impl Reporter {
    /// An event for a failure, unless the same failure was reported last.
    pub(super) fn fail(&mut self, subject: &str, error: DatapathError) -> Option<InterfaceEvent> {
        let text = error.to_string();
        let known = self.failures.insert(subject.to_owned(), text.clone());
        (known != Some(text))
            .then(|| InterfaceEvent::new(subject, InterfaceChange::AttachFailed(error)))
    }

    /// Ends a failure and returns whether there was one.
    pub(super) fn end_failure(&mut self, subject: &str) -> bool {
        self.failures.remove(subject).is_some()
    }

    /// An event if a reported failure has ended.
    pub(super) fn recover(&mut self, subject: &str) -> Option<InterfaceEvent> {
        self.end_failure(subject)
            .then(|| InterfaceEvent::new(subject, InterfaceChange::Recovered))
    }

    /// Records that an interface is reported as attached; false if it was before.
    pub(super) fn mark_attached(&mut self, index: u32) -> bool {
        self.attached.insert(index)
    }

    /// Forgets a removed attachment.
    pub(super) fn forget_attached(&mut self, index: u32) {
        self.attached.remove(&index);
    }
}
