//! Objects of all kinds to one snapshot.

/// Gathers the objects of all files and builds the snapshot.
pub mod collector;

/// Warnings that need the whole set of objects.
mod cross_checks;
/// Finds the kind of a document and hands it to that kind's reader.
mod dispatch;
/// Titles of objects, and diagnostics about duplicates.
mod identity;
/// Reads one object of each kind.
mod objects;
/// Where each object was read.
mod origins;
/// Adds diagnostics with positions.
mod report;
