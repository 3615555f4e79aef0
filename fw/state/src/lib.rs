//! State on disk: which rule has which id, and locks between processes. Files are replaced as a
//! whole.
#![forbid(unsafe_code)]

/// Advisory locks: one daemon per set of pins, one writer of emergency blocks.
#[cfg(target_os = "linux")]
pub mod lock;
/// `rules.json`: rule ids of the active generation and of retired rules.
pub mod rule_ids;
/// One rule id with its rule, in the format of `rules.json`.
pub mod rule_name;
/// Names of rules in output: short and long.
pub mod short_name;
