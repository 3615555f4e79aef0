//! PolicyTest: expected verdicts next to the policies, evaluated by oracle, compiled tables and the loaded
//! BPF program. Needs no daemon and attaches nothing.
#![forbid(unsafe_code)]

/// Three implementations of the policy semantics.
pub mod engine;
/// The PolicyTest format.
pub mod format;
/// Runs the cases of a test on all engines.
pub mod run;
/// Names of endpoints on the command line and in tests.
pub mod endpoint;
