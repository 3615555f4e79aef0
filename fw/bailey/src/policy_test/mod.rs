//! PolicyTest: a file of expected verdicts, with the objects they are about.

/// The file format, read strictly.
pub mod format;
/// Cases through engines.
pub mod execute;
/// Results for people and programs.
pub mod report;
