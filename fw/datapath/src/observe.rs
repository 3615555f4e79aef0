//! Observation of maps and programs, with or without a daemon. Uses all folders except the facade.

/// Copies of frames, with their verdicts.
pub mod capture;
/// Counters by reason and by rule.
pub mod counters;
/// Checks of kernel and NICs, with remedies.
pub mod doctor;
/// Interfaces that any Bailey protects.
pub(crate) mod protected;
/// Records of packets.
pub mod records;
/// Counters of rules: those of ended flows and of live flows together.
pub mod rule_counts;
/// Loaded maps and attached programs.
pub mod status;
