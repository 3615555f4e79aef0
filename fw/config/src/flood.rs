//! `[flood]`: rates of new flows. The datapath enforces them.

use serde::{Deserialize, Serialize};

/// `[flood]`: rates of new flows that NICs may bring.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Flood {
    /// Challenge clients while new flows exceed the rate?
    pub enabled: bool,
    /// New flows per second on all CPUs together; 0: an eighth of the table's slots.
    pub new_flows_per_second: u32,
    /// New flows per second of one source (IPv4 /32, IPv6 /64) during a flood; 0 disables the limit.
    pub new_flows_per_second_per_source: u32,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            enabled: true,
            new_flows_per_second: 0,
            new_flows_per_second_per_source: 1000,
        }
    }
}
