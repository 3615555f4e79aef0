//! The state of one connection: blocks, failsafe, flows, recorded packets.

use serde::{Deserialize, Serialize};

use crate::api::{Block, Flow, Stamp};
use crate::api_records::PacketRecord;

/// Selects a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveQuery {
    /// Initiator address.
    pub src: std::net::IpAddr,
    /// Responder address.
    pub dst: std::net::IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination port; 0 for protocols without ports.
    pub port: u16,
}

/// Live state for one connection, beyond its policy verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Live {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Whether packets are filtered on at least one interface.
    pub enforcing: bool,
    /// Whether a netfilter table blocks configured interfaces without programs.
    pub guard: bool,
    /// Whether warm-up (audit) mode is active: packets that policy denies pass.
    pub warm_up: bool,
    /// Blocks that contain one of the two addresses.
    pub blocks: Vec<Block>,
    /// Failsafe entries that allow the connection. Absent if no daemon responds, or if the attached
    /// programs belong to another start of the daemon.
    pub failsafe: Option<Vec<String>>,
    /// Seconds since a flood of new flows began; absent without a flood.
    pub flood_seconds: Option<u64>,
    /// Flows between the two addresses with this protocol and port, at most [`LIVE_FLOWS`].
    pub flows: Vec<Flow>,
    /// The last recorded packets of the connection, in either direction, the oldest first; at most
    /// [`LIVE_RECORDS`].
    #[serde(default)]
    pub records: Vec<PacketRecord>,
    /// Interfaces on which a packet with this source is dropped as spoofed: the source is internal and the
    /// interface external.
    #[serde(default)]
    pub spoofed_on: Vec<String>,
    /// The verdict of the active policies; absent if no daemon responds.
    #[serde(default)]
    pub policy: Option<LivePolicy>,
    /// Why the policy files may differ from the active policies; absent if there is no sign of it.
    pub policy_problem: Option<String>,
}

/// Most records in [`Live`].
pub const LIVE_RECORDS: usize = 5;
/// Most flows in [`Live`].
pub const LIVE_FLOWS: usize = 10;

/// The verdict of the active policies on a new connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LivePolicy {
    /// Whether both ends allow the connection.
    pub allowed: bool,
    /// The decision at the source.
    pub egress: LiveDecision,
    /// The decision at the destination.
    pub ingress: LiveDecision,
}

/// The decision of one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LiveDecision {
    /// Whether this end allows the connection.
    pub allowed: bool,
    /// The rule, as `namespace/policy ingress[0]`, or the implicit rule.
    pub rule: String,
    /// For a default deny: the isolating policies as `namespace/name`.
    pub isolated_by: Vec<String>,
    /// The rate limits of the rule.
    pub limits: Vec<LiveLimit>,
}

/// A rate limit of a rule, and how many new connections it admits now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LiveLimit {
    /// Whether the limit is on the source of this connection, and not on all sources together.
    pub per_source: bool,
    /// New connections per `seconds`.
    pub connections: u32,
    /// Length of the interval in seconds.
    pub seconds: u32,
    /// Connections that may open at once after a pause.
    pub burst: u32,
    /// New connections that the limit admits now, if no other comes.
    pub left: u64,
}
