//! PolicyTest: a file of expected verdicts, with the objects they are about.

/// Cases through engines.
pub mod execute;
/// The file format, read strictly.
pub mod format;
/// Results for people and programs.
pub mod report;
