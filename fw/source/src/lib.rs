//! Files to a [`Snapshot`](bailey_policy::Snapshot): reads Kubernetes YAML and JSON, validates it
//! as the API server does, and reports every error of every file with file, line, column and
//! field. Nothing here decides about packets.
#![forbid(unsafe_code)]

/// Objects of all kinds to one snapshot.
pub mod collect;
/// Documents to typed values, as Go's JSON decoder fills structs.
pub mod decode;
/// What is wrong, and where; with a snippet for people.
pub mod diagnostic;
/// Which files a path means.
pub mod files;
/// A parsed document that knows where each of its values stands.
pub mod node;
/// What is wrong with a text, and how much of it there may be.
pub mod syntax;
/// Text to documents: YAML or JSON.
pub mod text;

/// What is legal and perhaps not meant.
mod ambiguity;
/// Files that are not read again.
mod cache;
/// Namespace, Pod, Node.
mod inventory;
/// JSON to nodes.
mod json;
/// Kinds that are not read.
mod kinds;
/// NetworkPolicy.
mod network_policy;
/// Where objects stand.
mod origins;
/// Limits of rules, in annotations.
mod rate_limit;
/// Kubernetes' rules for names, labels, ports, addresses; with its texts.
mod validate;
/// The `bailey.dev/v1` Workload.
mod workload;
/// YAML events to nodes.
mod yaml;

pub use bailey_config::{Declared, ReadLimits};
/// Paths to a snapshot with findings and counts.
mod paths;
/// How many endpoints each policy selects.
mod selection;

pub use cache::Cache;
pub use collect::{Collector, Counts, Strictness, load};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use files::FileSet;
pub use paths::{LoadResult, load_paths, strictness};
pub use selection::Selection;
