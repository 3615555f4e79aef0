//! Reads Kubernetes YAML and JSON files into a [`Snapshot`](bailey_policy::Snapshot). Validates
//! objects like the API server, and reports every error of every file with file, line, column and
//! field. Evaluates no policy.
#![forbid(unsafe_code)]

/// Diagnostics: file, line, field, message, and a snippet for the terminal.
pub mod diagnostic;
/// Which files a path stands for, and reading them.
pub mod files;
/// Text to documents, documents to typed values.
pub mod parse;
/// Objects of all kinds to one snapshot.
pub mod snapshot;

/// Reads only the files that changed since the last load.
mod cache;
/// Kubernetes kinds, one file each, and their validation.
mod kinds;
/// Paths to a snapshot with findings and counts.
mod paths;
/// How many endpoints each policy selects.
mod selection;

pub use bailey_config::{DeclaredPrefixes, ReadLimits};
pub use cache::FileCache;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use files::FileSet;
pub use paths::{LoadResult, load_paths, strictness};
pub use selection::Selection;
pub use snapshot::collector::{Collector, ObjectCounts, Strictness, load_snapshot};
