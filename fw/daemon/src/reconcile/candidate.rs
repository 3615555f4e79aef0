//! The candidate: a compiled generation between compilation and installation.

use bailey_clock::Stopwatch;
use bailey_compile::Tables;
use bailey_policy::Snapshot;
use bailey_source::Selection;

/// A generation that is read and compiled, but not installed.
#[derive(Debug)]
pub struct Candidate {
    pub(super) snapshot: Snapshot,
    pub(super) selection: Selection,
    pub(super) tables: Tables,
    pub(super) warnings: Vec<String>,
    /// Laps so far: `read` and `compile`.
    pub(super) stopwatch: Stopwatch,
}

impl Candidate {
    /// The policies and endpoints of this generation.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}
