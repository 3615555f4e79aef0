//! PolicyTest: expected verdicts next to the policies, evaluated by oracle, compiled tables and the loaded
//! BPF program. Needs no daemon and attaches no program.
#![forbid(unsafe_code)]

/// Endpoints as operators name them, and the connections between two of them.
pub mod endpoint;
/// Three implementations of the policy semantics.
pub mod engine;
/// The PolicyTest format.
pub mod format;
/// Runs the cases of a test on all engines.
pub mod run;
