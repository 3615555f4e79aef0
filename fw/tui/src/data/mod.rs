//! The data of the console: the last state of the daemon, with a minute of history.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::spark::History;

/// From updates of `/v1/watch`.
mod merge;
/// Counters since a moment.
mod zero;

pub use merge::Merger;
pub use zero::Zero;

/// The state at one moment. Parts that the daemon does not have are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Data {
    /// Host name.
    pub node: String,
    /// Number of the active policies.
    pub revision: u32,
    /// A revision that reverts unless someone confirms it.
    pub confirm: Option<Confirm>,
    /// Version of the daemon.
    pub version: Option<String>,
    /// Whether and how packets are filtered.
    pub mode: Mode,
    /// Interfaces with programs.
    pub nics: Vec<Nic>,
    /// Packets that arrive.
    pub packets_in: History,
    /// Bytes per second that arrive.
    pub bytes_in: Option<f64>,
    /// Packets that arrive and are dropped.
    pub dropped: History,
    /// The flow table.
    pub flows: Flows,
    /// Records that the daemon could not read in time, since its start.
    pub lost: Option<u64>,
    /// Rules; shared with earlier states while nothing about them changes.
    pub rules: Vec<Arc<Rule>>,
    /// Seconds since the first state, by which rules are as old as [`Rule::as_of`] says.
    pub now: u64,
    /// The day since which counters count.
    pub counts_since: Option<String>,
    /// Drops by reason.
    pub drops: Vec<Drop>,
    /// Sources, targets and ports of dropped and new packets.
    pub talkers: Talkers,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// Number of all blocks.
    pub blocks_total: u64,
    /// Seconds since a flood began, and its extent in words.
    pub flood: Option<Flood>,
    /// Sentences about what is wrong.
    pub problems: Vec<String>,
    /// Facts about the daemon, in words.
    pub facts: Vec<String>,
    /// The last recorded packets, the newest first.
    pub packets: Vec<Packet>,
    /// Flows that the daemon has chosen, and by what; `None`: not asked yet.
    pub top_flows: Option<Vec<Flow>>,
    /// Sources with most flows, and their number; empty: not asked yet.
    pub flow_sources: Vec<(String, u64)>,
    /// Seconds since flows were counted by their ends.
    pub flows_counted: Option<u64>,
    /// Changes of the policies; `None`: the daemon keeps no history.
    pub changes: Option<Vec<Change>>,
}

/// Whether and how packets are filtered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// Policies apply.
    Enforce,
    /// Policies only observe.
    Audit,
    /// No interface has a program.
    Unprotected,
}

/// A revision that reverts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// The revision that returns.
    pub back_to: u32,
    /// Seconds until then.
    pub seconds: u64,
    /// Author and comment of the revision.
    pub by: String,
}

/// An interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Nic {
    /// Name.
    pub name: String,
    /// `native` or `generic`.
    pub mode: String,
    /// Whether it has a link.
    pub is_up: bool,
    /// Whether all programs are attached.
    pub is_complete: bool,
    /// Packets in per second.
    pub packets: History,
    /// Bytes in per second.
    pub bytes: Option<f64>,
    /// Drops per second.
    pub drops: Option<f64>,
}

/// The flow table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Flows {
    /// Slots in use, and all slots.
    pub slots: (u64, u64),
    /// Flows that both ends use, closing, half-open, and denied.
    pub live: u64,
    /// Flows that end.
    pub closing: u64,
    /// Flows without a reply.
    pub half_open: u64,
    /// Flows that policy denies.
    pub denied: u64,
    /// Configured capacity.
    pub limit: u64,
    /// Number of live flows from which timeouts shrink.
    pub shrinks_from: u64,
    /// Growth of live flows per second.
    pub growth: Option<f64>,
    /// The last minute of growth; a decrease is 0.
    pub growing: History,
    /// The last minute of live flows.
    pub live_history: History,
    /// Seconds until timeouts shrink; `Some(0)`: now.
    pub shrink: Option<u64>,
    /// Seconds until new flows are refused.
    pub refuse: Option<u64>,
    /// Events since the table exists, by name.
    pub events: BTreeMap<String, Event>,
}

/// A kind of flow events.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Event {
    /// Number since the table exists.
    pub count: u64,
    /// Number per second.
    pub rate: Option<f64>,
    /// The last minute.
    pub history: History,
}

impl Flows {
    /// Events of these kinds per second; unknown if one is.
    pub fn rate(&self, names: &[&str]) -> Option<f64> {
        names.iter().map(|name| self.events.get(*name)?.rate).sum()
    }

    /// Events of these kinds since the table exists; unknown if one is.
    pub fn count(&self, names: &[&str]) -> Option<u64> {
        names
            .iter()
            .map(|name| Some(self.events.get(*name)?.count))
            .sum()
    }

    /// The last minute of a kind.
    pub fn history(&self, name: &str) -> History {
        let event = self.events.get(name);
        event.map(|event| event.history.clone()).unwrap_or_default()
    }
}

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Rule {
    /// Id, stable while the rule exists.
    pub id: u32,
    /// Name of at most 64 characters.
    pub name: String,
    /// Whether it allows; `None`: no longer known.
    pub allows: Option<bool>,
    /// Flags: L rate limit, N never hit, U unused for 30 days.
    pub flags: String,
    /// Flows created, or openings denied.
    pub hits: u64,
    /// The same per second.
    pub hit_rate: Option<f64>,
    /// Packets of all flows.
    pub packets: u64,
    /// The same per second.
    pub packet_rate: Option<f64>,
    /// The last minute, packets per second.
    pub history: History,
    /// Bytes of all flows.
    pub bytes: u64,
    /// The same per second.
    pub byte_rate: Option<f64>,
    /// Live flows.
    pub live: u64,
    /// Seconds since the last packet, at the second `as_of`.
    pub idle: Option<u64>,
    /// The second of `idle`, on the clock of [`Data::now`].
    #[serde(skip)]
    pub as_of: u64,
    /// Further facts, in words: file, policies.
    pub details: Vec<(&'static str, String)>,
}

impl Rule {
    /// Seconds since the last packet.
    pub fn idle_at(&self, now: u64) -> Option<u64> {
        Some(self.idle? + now.saturating_sub(self.as_of))
    }

    /// The second of the last packet; far in the past if there was none.
    pub fn seen(&self) -> i64 {
        let second = |idle: u64| self.as_of.cast_signed().saturating_sub_unsigned(idle);
        self.idle.map_or(i64::MIN, second)
    }
}

/// Drops of one reason on one interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Drop {
    /// `policy`, `defence`, `packet` or `capacity`.
    pub kind: String,
    /// Name of the reason.
    pub reason: String,
    /// Interface.
    pub interface: String,
    /// Packets.
    pub count: u64,
    /// Packets per second.
    pub rate: Option<f64>,
    /// The last minute.
    pub history: History,
    /// The last packet: its source or its time.
    pub last: Option<String>,
    /// The reason in a sentence.
    pub help: String,
}

impl Drop {
    /// Whether a packet is one of these drops.
    pub fn has(&self, packet: &Packet) -> bool {
        !packet.passes && packet.reason == self.reason && packet.interface == self.interface
    }
}

/// Talkers by kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Talkers {
    /// Seconds that the counts cover.
    pub seconds: u64,
    /// By source, target, port.
    pub lists: [Vec<Talker>; 3],
}

/// A source, target or port.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Talker {
    /// Address or port.
    pub name: String,
    /// New flows per second.
    pub new: f64,
    /// Dropped packets per second.
    pub drops: f64,
    /// The greatest error of a count, as a share of it; 0: exact.
    pub error: f64,
    /// Dropped packets per second in the last minute, as the daemon counts them.
    pub history: History,
    /// Flows in the table; `None`: not asked yet, or not among those with most flows.
    pub flows: Option<u64>,
    /// Bytes per second of these flows.
    pub byte_rate: Option<f64>,
}

/// A block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Prefix.
    pub prefix: String,
    /// Seconds left.
    pub left: u64,
    /// Reason of the operator.
    pub reason: String,
}

/// A flood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flood {
    /// Seconds since it began.
    pub seconds: u64,
    /// How far it reaches, such as ` on 7 of 8 CPUs`.
    pub extent: String,
}

/// A change of the policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Time of the day.
    pub time: String,
    /// The revision.
    pub revision: u32,
    /// Who and what happened, in words.
    pub text: String,
}

/// A packet, as a record has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// Number in the order in which the packets came.
    #[serde(skip)]
    pub number: u64,
    /// Time of the day, to the millisecond.
    pub time: String,
    /// Interface.
    pub interface: String,
    /// Whether it passed.
    pub passes: bool,
    /// Why.
    pub reason: String,
    /// Source address, and its port unless 0.
    pub source: (String, u16),
    /// Name of the endpoint with the source address; empty without one.
    pub source_name: String,
    /// Destination.
    pub destination: (String, u16),
    /// Name of the endpoint there.
    pub destination_name: String,
    /// Protocol.
    pub protocol: String,
    /// TCP flags.
    pub flags: String,
    /// Bytes of the frame.
    pub bytes: u64,
    /// Ids of the rules that decided.
    pub rules: Vec<u32>,
    /// Names of the rules that decided, or nothing.
    pub rule: String,
}

/// A flow of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Protocol.
    pub protocol: String,
    /// Addresses and destination port, to ask the daemon.
    #[serde(skip)]
    pub ends: (String, String, u16),
    /// Initiator with port.
    pub source: String,
    /// Responder with port.
    pub destination: String,
    /// State.
    pub state: String,
    /// Seconds since the last packet.
    pub idle: u64,
    /// Seconds until it expires.
    pub left: u64,
    /// Bytes in both directions.
    pub bytes: u64,
    /// Packets in both directions.
    pub packets: u64,
    /// Bytes per second.
    pub rate: Option<u64>,
    /// Deciding rule.
    pub rule: String,
}
