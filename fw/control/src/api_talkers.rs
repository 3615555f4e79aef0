//! Talkers: sources, targets, ports and rules with most packets or flows.

use serde::{Deserialize, Serialize};

use crate::api::Stamp;

/// Talkers: of flows in the table, and of dropped and new traffic in the last one to two minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Talkers {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Seconds that `dropped` and `new` cover.
    pub seconds: u64,
    /// Dropped packets.
    pub dropped: TalkerLists,
    /// First packets of new flows.
    pub new: TalkerLists,
}

/// The keys with most packets, by kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TalkerLists {
    /// By source address.
    pub sources: Vec<Talker>,
    /// By destination address.
    pub targets: Vec<Talker>,
    /// By destination port.
    pub ports: Vec<Talker>,
    /// By rule.
    pub rules: Vec<Talker>,
}

/// A key with its count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Talker {
    /// Address, port or rule.
    pub name: String,
    /// Packets; at least the true number.
    pub packets: u64,
    /// The same per second.
    pub packets_per_second: f64,
    /// The true number is at least `packets - error`.
    pub error: u64,
}

/// Addresses and ports with most flows or bytes in the flow table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowTop {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Whether all numbers are exact; otherwise there were too many keys, and the numbers are at least
    /// the true ones.
    pub exact: bool,
    /// By address of the initiator.
    pub sources: Vec<FlowTalker>,
    /// By address of the responder.
    pub targets: Vec<FlowTalker>,
    /// By port of the responder.
    pub ports: Vec<FlowTalker>,
}

/// A key with its flows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowTalker {
    /// Address or port.
    pub name: String,
    /// Flows.
    pub flows: u64,
    /// Bytes of these flows, both directions.
    pub bytes: u64,
}

/// How many rows a list of talkers has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TalkersQuery {
    /// Most rows of each list; 10 by default, at most 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl TalkersQuery {
    /// Rows of each list.
    pub fn rows(&self) -> usize {
        self.limit.unwrap_or(10).min(1000)
    }
}
