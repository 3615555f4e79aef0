//! The control API: paths, queries and responses as JSON. `SCHEMA_VERSION` identifies these shapes.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::api_records::PacketRecord;
pub use crate::api_rule_name::RuleName;

/// Version of the response types; increased when a type loses or changes a field.
pub const SCHEMA_VERSION: u32 = 3;

/// Request paths. Each links to its response type.
pub mod path {
    /// [`super::Status`]
    pub const STATUS: &str = "/v1/status";
    /// [`super::Rules`]
    pub const RULES: &str = "/v1/rules";
    /// One [`super::Flow`] per line; takes a [`super::FlowQuery`].
    pub const FLOWS: &str = "/v1/conntrack";
    /// One [`crate::api_records::PacketRecord`] per line, or a [`crate::api_records::LostRecords`]; takes a
    /// [`crate::api_records::RecordsQuery`].
    pub const RECORDS: &str = "/v1/events";
    /// [`super::FlowStats`]
    pub const FLOW_STATS: &str = "/v1/conntrack/stats";
    /// [`super::Counters`]
    pub const COUNTERS: &str = "/v1/counters";
    /// [`super::Blocks`]
    pub const BLOCKS: &str = "/v1/blocks";
    /// [`crate::api_talkers::Talkers`]; takes a [`crate::api_talkers::TalkersQuery`].
    pub const TALKERS: &str = "/v1/talkers";
    /// [`crate::api_talkers::FlowTop`]; takes a [`crate::api_talkers::TalkersQuery`].
    pub const FLOW_TOP: &str = "/v1/conntrack/top";
    /// One [`crate::api_watch::Update`] per line and second, until the reader ends.
    pub const WATCH: &str = "/v1/watch";
    /// All metrics, in a format of Prometheus.
    pub const METRICS: &str = "/metrics";
    /// [`crate::api_live::Live`]; takes a [`crate::api_live::LiveQuery`].
    pub const EXPLAIN: &str = "/v1/explain";
}

/// Time and origin of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stamp {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// Time of the response, RFC 3339, UTC.
    pub time: String,
    /// Host name of the machine.
    pub node: String,
    /// The active generation; 0 if no policy is active and all traffic subject to policy is
    /// dropped.
    pub generation: u32,
}

/// The overall state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Whether packets are filtered on at least one interface.
    pub enforcing: bool,
    /// Whether a netfilter table blocks configured interfaces without programs.
    pub guard: bool,
    /// Interfaces with attached programs.
    pub interfaces: Vec<Interface>,
    /// Fill of the flow table.
    pub flow_table: FlowTable,
    /// Seconds since a flood of new flows began; absent without a flood.
    pub flood_seconds: Option<u64>,
    /// Whether a warm-up is active, in which policy drops nothing.
    #[serde(default)]
    pub warm_up: bool,
    /// Whether a process captures frames, so that all packets take the slow path.
    #[serde(default)]
    pub capturing: bool,
    /// Number of blocked prefixes.
    pub blocks: u64,
    /// The first [`STATUS_BLOCKS`] blocks.
    pub blocked: Vec<Block>,
    /// Problems found by this query or by the daemon; empty if there are none.
    pub problems: Vec<String>,
    /// The daemon; absent if no daemon responds. Enforcement continues without the daemon.
    pub daemon: Option<Daemon>,
}

impl Status {
    /// The active generation.
    pub fn generation(&self) -> u32 {
        self.stamp.generation
    }
}

/// Most warnings in [`Daemon`].
pub const STATUS_WARNINGS: usize = 10;

/// Most blocks in [`Status`].
pub const STATUS_BLOCKS: usize = 10;

/// An interface with attached programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interface {
    /// Name in the configuration.
    pub name: String,
    /// Current name, if it differs from `name`.
    pub renamed_to: Option<String>,
    /// Interface index (ifindex).
    pub ifindex: u32,
    /// `up`, `down` or `gone`.
    pub link: String,
    /// `native` or `generic`.
    pub xdp_mode: String,
    /// Id of the XDP program; absent if it is not attached.
    pub xdp_program: Option<u32>,
    /// Id of the egress program; absent if it is not attached, as on a bridge.
    pub tc_program: Option<u32>,
    /// Whether all programs that this topology needs are attached.
    pub fully_attached: bool,
}

/// Fill of the flow table, and the timeout scaling that depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowTable {
    /// Used slots, including expired flows that have not been removed yet.
    pub slots_used: u64,
    /// All slots.
    pub slots: u64,
    /// Flows with packets in both directions.
    pub live_flows: u64,
    /// Configured capacity in flows.
    pub limit: u64,
    /// Number of live flows from which timeouts are scaled down.
    pub timeout_scaling_from: u64,
    /// Factor on all timeouts at the current fill, in percent.
    pub timeout_percent: u64,
}

/// State that only the daemon has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Daemon {
    /// Process id.
    pub pid: u32,
    /// Version of the daemon.
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
    /// Seconds since the daemon last committed a generation; absent if it never did.
    pub committed_seconds_ago: Option<u64>,
    /// Problems; empty if there are none.
    pub problems: Vec<String>,
    /// Interference by other processes with Bailey's programs and pins since the daemon started.
    /// The daemon has repaired all of it.
    pub interference: Vec<Interference>,
    /// Warnings about the active policies; the first [`STATUS_WARNINGS`].
    pub warnings: Vec<String>,
    /// Failsafe entries: traffic allowed regardless of policy. Absent if the attached programs
    /// belong to another start of the daemon.
    pub failsafe: Option<Vec<String>>,
}

/// One kind of interference by other processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interference {
    /// `program-detached`, `program-displaced`, `pins-removed` or `guard-removed`.
    pub kind: String,
    /// Number of occurrences.
    pub count: u64,
    /// Seconds since the last occurrence.
    pub last_seconds_ago: u64,
    /// Details of the last occurrence: the interface, and the programs if the kernel reports them.
    pub last: String,
}

/// All rules with their counters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rules {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Sorted by id.
    pub rules: Vec<Rule>,
}

/// The counters of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rule {
    /// Identity.
    #[serde(flatten)]
    pub name: RuleName,
    /// Full name, only in responses to a query by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// For a default deny: number of isolating policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolating_policies: Option<usize>,
    /// For a default deny: the isolating policies as `namespace/name`. A list of rules has only the
    /// first [`ISOLATED_BY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isolated_by: Vec<String>,
    /// For a rule: its ports, for example `8080/TCP`; empty means every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<String>>,
    /// For a rule: its peers, for example `10.0.0.0/8`; empty means every peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<String>>,
    /// File of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Endpoints that the policy of the rule selects, or that the default deny isolates; the first
    /// [`RULE_ENDPOINTS`]. Only in responses of a daemon to a query by name, as are the next two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// Number of these endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints_total: Option<usize>,
    /// The last recorded packets that the rule decided, the oldest first; at most [`RULE_PACKETS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_packets: Vec<PacketRecord>,
    /// New flows allowed, or new connections denied.
    pub hits: u64,
    /// Packets of all flows of the rule.
    pub packets: u64,
    /// Bytes of these packets at layer 2.
    pub bytes: u64,
    /// Packets of new connections dropped by the rate limit.
    pub rate_limited: u64,
    /// Live flows of the rule: those that both ends have sent packets of.
    #[serde(default)]
    pub live_flows: u64,
    /// Seconds since the last packet; absent without packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
    /// Rates of the last second; only a running daemon knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<RuleRates>,
    /// Packets per second in each of the last 60 seconds, the oldest first; only in complete lines of
    /// `/v1/watch`, and empty without a packet in this time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<f32>,
}

/// Most endpoints in a [`Rule`].
pub const RULE_ENDPOINTS: usize = 100;
/// Most packets in a [`Rule`].
pub const RULE_PACKETS: usize = 5;

/// Rates of a rule, per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RuleRates {
    /// Hits per second.
    pub hits: f32,
    /// Packets per second.
    pub packets: f32,
    /// Bytes per second.
    pub bytes: f32,
}

/// Most isolating policies per default deny in a list of rules. A query by name
/// ([`RulesQuery::name`]) returns all of them.
pub const ISOLATED_BY: usize = 20;

/// Selects rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesQuery {
    /// A display name, a full name, a rule id, or `namespace/policy` for all rules of a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Selects and sorts flows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowQuery {
    /// Initiator address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<IpNet>,
    /// Responder address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpNet>,
    /// Destination port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Protocol name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Flow state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Deciding rule in either direction, as in [`RulesQuery::name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Sort column: numbers descending, names ascending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<FlowColumn>,
    /// Reverses the order.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reverse: bool,
    /// Most flows to return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Omits the stamp, and all fields of rules except their names; halves the size.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub brief: bool,
}

/// Columns by which flows can be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the column names")]
pub enum FlowColumn {
    Proto,
    Src,
    Dst,
    State,
    Idle,
    Left,
    Pkts,
    Bytes,
    /// Bytes per second, measured for a second.
    Rate,
    Reply,
    Egress,
    Ingress,
}

/// One flow, from the side of its initiator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Flow<Rule = RuleName> {
    /// IP protocol.
    pub protocol: String,
    /// Initiator address.
    pub source: String,
    /// Source port; for ICMP echo the identifier.
    pub source_port: u16,
    /// Responder address.
    pub destination: String,
    /// Destination port.
    pub destination_port: u16,
    /// Flow state.
    pub state: String,
    /// Seconds since the last packet.
    pub idle_seconds: u64,
    /// Seconds until the flow expires if no packet comes; 0 if it has and waits for its removal.
    #[serde(default)]
    pub left_seconds: u64,
    /// Whether the active policies have evaluated the flow; otherwise its next packet is evaluated.
    #[serde(default)]
    pub current: bool,
    /// Packets from the initiator.
    pub packets: u64,
    /// Bytes from the initiator.
    pub bytes: u64,
    /// Packets from the responder.
    pub reply_packets: u64,
    /// Bytes from the responder.
    pub reply_bytes: u64,
    /// Bytes per second in both directions; only in a list that is sorted by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Deciding rule at the source.
    pub egress_rule: Rule,
    /// Deciding rule at the destination.
    pub ingress_rule: Rule,
}

/// All blocked prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Blocks {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// A temporary block: drops all packets from and to an address or prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Block {
    /// The blocked prefix.
    pub prefix: String,
    /// Seconds until the block expires.
    pub remaining_seconds: u64,
    /// Time of creation, in seconds since 1970.
    pub added: u64,
    /// Reason given by the operator.
    pub reason: String,
}

/// Fill and events of the flow table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowStats {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Fill of the table.
    pub flow_table: FlowTable,
    /// Number of flows by state.
    pub states: Vec<NamedCount>,
    /// Number of flow events since the table was created.
    pub events: Vec<NamedCount>,
    /// Growth, and when the table will be full; only a running daemon knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<FlowForecast>,
}

/// Growth of the flow table over the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowForecast {
    /// Growth of live flows per second; absent while the daemon has run for less than 10 s.
    pub live_per_second: Option<f64>,
    /// Seconds until timeouts shrink, at this rate; 0 if they do; absent if not at this rate.
    pub seconds_to_shrink: Option<u64>,
    /// Seconds until new flows are refused, at this rate; absent if not at this rate.
    pub seconds_to_refuse: Option<u64>,
}

/// A count with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedCount {
    /// Name of the counted state or event.
    pub name: String,
    /// The count.
    pub count: u64,
    /// Change per second over the last second; only a running daemon knows it, and not for states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f32>,
    /// The same in each of the last 60 seconds, as in [`Rule::recent`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<f32>,
    /// Explanation of the name.
    pub help: String,
}

/// Packets by interface, hook, verdict and reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counters {
    /// Time and origin.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Counters that are not zero.
    pub counters: Vec<Counter>,
}

/// The packets with one reason at one hook of one interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counter {
    /// Name of the interface in the configuration; `-` if Bailey was not attached to the interface.
    pub interface: String,
    /// `xdp` or `tc`; `bridge` for packets that passed but could not be transmitted.
    pub hook: String,
    /// `pass` or `drop`.
    pub verdict: String,
    /// Name of the reason.
    pub reason: String,
    /// Why packets are dropped: `policy`, `defence`, `packet` or `capacity`; absent if they pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Number of packets.
    pub packets: u64,
    /// Bytes of these packets at layer 2.
    pub bytes: u64,
    /// Packets per second over the last second; only a running daemon knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets_per_second: Option<f32>,
    /// The same in each of the last 60 seconds, as in [`Rule::recent`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<f32>,
    /// Time of the last recorded packet, RFC 3339; absent without one, and without a daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_packet: Option<String>,
    /// Explanation of the reason.
    pub help: String,
}
