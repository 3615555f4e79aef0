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

pub use cache::FileCache;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use files::FileSet;
pub use parse::limits::ReadLimits;
pub use snapshot::collector::{
    Collector, DeclaredPrefixes, ObjectCounts, Strictness, load_snapshot,
};
