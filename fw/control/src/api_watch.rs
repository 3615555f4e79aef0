//! Updates of each second, for readers that follow.

use serde::{Deserialize, Serialize};

use crate::api::{Counter, FlowStats, Rule, Status};
use crate::api_talkers::Talkers;

/// One line for a reader that follows: first all rows, then each second the rows that have changed. Rows of counters
/// and rules replace those with the same interface, hook and reason, or the same id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Update {
    /// Whether the line has all rows. Only such a line takes rows away that it does not have: the first
    /// line, and the first after a change of policy.
    pub complete: bool,
    /// The overall state.
    pub status: Status,
    /// Fill and events of the flow table, with rates.
    pub flow_stats: FlowStats,
    /// Counters that have changed, with rates.
    pub counters: Vec<Counter>,
    /// Rules that have changed, with rates.
    pub rules: Vec<Rule>,
    /// Talkers of dropped and new traffic.
    pub talkers: Talkers,
    /// Records of packets that the daemon could not read in time, since its start.
    #[serde(default)]
    pub records_lost: u64,
}

/// The header of a list of updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WatchBegin {
    /// [`crate::api::SCHEMA_VERSION`]
    pub schema_version: u32,
    /// Seconds between two lines.
    pub interval_seconds: u64,
}
