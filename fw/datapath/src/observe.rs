//! What is loaded, attached and counted, also without a daemon. Uses all folders but the facade.

/// Counters by reason and by rule.
pub mod counters;
/// What kernel and NICs lack, and what to do.
pub mod doctor;
/// Whose programs judge packets, as the kernel tells.
pub(crate) mod protected;
/// What is loaded and attached, without a daemon.
pub mod status;
