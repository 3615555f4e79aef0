//! Rates, talkers and forecasts from counters and records; the formats of metrics, flow log and captures. Uses
//! values of the control API only: no maps, no clocks, and no files except that of the flow log.
#![forbid(unsafe_code)]

/// Captured frames as pcapng.
pub mod capture_file;
/// Records as lines in Hubble's shape.
pub mod flow_log;
/// When a growing number reaches a mark.
pub mod forecast;
/// The exposition for Prometheus.
pub mod metrics;
/// Rates of counters, and their history.
pub mod rate_book;
/// The keys with the greatest counts of a stream.
pub mod space_saving;
/// Sources, targets, ports and rules with most packets.
pub mod talkers;
/// Counts of records by namespace and workload.
pub mod traffic;
