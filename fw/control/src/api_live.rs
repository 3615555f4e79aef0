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
    /// Why the policy files may differ from the active policies; absent if there is no sign of it.
    pub policy_problem: Option<String>,
}

/// Most records in [`Live`].
pub const LIVE_RECORDS: usize = 5;
/// Most flows in [`Live`].
pub const LIVE_FLOWS: usize = 10;
