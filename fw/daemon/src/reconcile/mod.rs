//! From policy files to the active generation.
//!
//! ```text
//!   files ── read ──▶ Snapshot ── compile ──▶ Tables ── install ──▶ active generation,
//!              │                     │                     │          rules.json, ActivePolicies
//!              │                     │                     └ kernel refuses ──▶ Refused
//!              │                     └ over a limit ──▶ Refused
//!              ├ invalid ──▶ Refused
//!              ├ same as the active Snapshot ──▶ Unchanged
//!              └ files changed during the read ──▶ FilesChanged: read again
//! ```
//!
//! Tables that wait for installation are a [`Candidate`]. A refusal for invalid files lasts until
//! the files change; a refusal by the kernel is tried again at the next rescan. In every case but
//! `Committed`, the active generation stays active.

/// A generation that is compiled but not installed.
mod candidate;
/// Policy files, read with a check that they did not change meanwhile.
mod files;
/// Results of a reload.
mod outcome;
/// The steps from files to a committed generation.
mod reconciler;

pub use self::candidate::Candidate;
pub use self::outcome::{CommitReport, Refusal, ReloadOutcome};
pub use self::reconciler::Reconciler;
