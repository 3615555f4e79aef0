//! `[flow_table]` and `on_policy_change`: size, eviction and revalidation of flows.

use serde::{Deserialize, Serialize};

/// Established flows on a policy change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPolicyChange {
    /// Policy evaluates each flow again at its next packet.
    #[default]
    Revalidate,
    /// A flow stays allowed under the rules that admitted it.
    Keep,
}

/// `[flow_table]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowTable {
    /// Flows to hold; 1 to [`FlowTable::FLOWS_MAX`]. The table has twice as many slots.
    pub flows: u32,
    /// Live flows of one source (IPv4 /32, IPv6 /64) before further flows stay evictable; 0 disables
    /// the limit.
    pub flows_per_source: u32,
    /// Seconds without a packet after which a live flow may be evicted for a new one.
    pub evict_live_after_seconds: u32,
}

impl Default for FlowTable {
    fn default() -> Self {
        Self {
            flows: 1 << 19,
            flows_per_source: 1 << 16,
            evict_live_after_seconds: 300,
        }
    }
}

impl FlowTable {
    /// The largest table: 2^27 slots of 97 bytes.
    pub const FLOWS_MAX: u32 = 1 << 26;

    pub(crate) fn check(&self) -> Result<(), String> {
        let (flows, most) = (self.flows, Self::FLOWS_MAX);
        if flows > most {
            return Err(format!(
                "flow_table.flows = {flows}: must be at most {most}"
            ));
        }
        Ok(())
    }
}
