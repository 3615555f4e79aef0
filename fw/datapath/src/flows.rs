//! The flow table, read and swept by user space. Uses `program`, `maps`, `kernel` and `settings`.

/// Live flows per source, and user space's counters of rules.
pub(crate) mod accounts;
/// Packet and byte counts.
pub mod count;
/// Flows that an operator ends.
pub mod end;
/// Layout of entries: keys, rules and counters.
pub(crate) mod entry;
/// Timeouts of flows, scaled.
pub mod expiry;
/// Flood state of the CPUs.
pub mod flood;
/// The hash of flows and sources, as the programs compute it.
pub mod hash;
/// Token buckets of rate limits.
pub mod limits;
/// Metadata words.
pub(crate) mod meta_word;
/// Stamps that stay near the epoch, and new epochs.
pub(crate) mod restamp;
/// The removal of one flow.
pub mod retire;
/// The sweeper: retires expired flows, restamps old epochs, scales timeouts with the fill.
pub mod sweep;
/// Flows and their number, read while packets change them.
pub mod table;
