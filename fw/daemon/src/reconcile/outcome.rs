//! Results of a reload: committed, unchanged, changed meanwhile, refused.

use std::time::Duration;

use bailey_compile::TableStats;
use bailey_datapath::Committed;
use bailey_source::Diagnostics;

/// Result of one reload.
#[derive(Debug)]
pub enum ReloadOutcome {
    /// A new generation is active.
    Committed(Box<CommitReport>),
    /// The files contain the active policies.
    Unchanged,
    /// The files changed while they were read; read them again.
    FilesChanged,
    /// The files or the kernel do not permit a new generation; the active one stays active.
    Refused(Refusal),
}

/// A generation that was just committed.
#[derive(Debug)]
pub struct CommitReport {
    /// Generation number and slot.
    pub committed: Committed,
    /// Sizes of the tables.
    pub stats: TableStats,
    /// Duration of each stage: `read`, `compile`, `wait`, `install`.
    pub stages: Vec<(&'static str, Duration)>,
    /// Warnings about the policies and about `rules.json`.
    pub warnings: Vec<String>,
}

/// The reason why a generation was not installed.
#[derive(Debug)]
pub struct Refusal {
    /// Findings in files; empty if the reason is not in a file.
    pub diagnostics: Diagnostics,
    /// One line per finding.
    pub messages: Vec<String>,
}

impl Refusal {
    /// A refusal whose reason is not in a file.
    pub(crate) fn without_file(message: impl Into<String>) -> Self {
        Self {
            diagnostics: Diagnostics::default(),
            messages: vec![message.into()],
        }
    }
}
