//! Reads the sources and pages of the workspace for the tests in `tests/`, which check imports,
//! sizes, names and words. Not shipped.

/// The files of the workspace.
pub mod files;
/// Functions, found by the layout of formatted code.
pub mod functions;
/// Imports between files, and circles among them.
pub mod imports;
/// Comments and pages as plain text.
pub mod prose;
