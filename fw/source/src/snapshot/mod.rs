//! Objects of all kinds to one snapshot.

/// Gathers objects from files and builds the snapshot.
pub mod collector;

/// Warnings that need the whole set of objects.
mod cross_checks;
/// Where each object was read, and duplicates.
mod origins;
