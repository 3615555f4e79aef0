use serde::{Deserialize, Serialize};

/// Version of the shapes below; raised when one loses or changes a field.
pub const SCHEMA_VERSION: u32 = 1;

/// Paths of the API.
pub mod path {
    /// [`super::Status`]
    pub const STATUS: &str = "/v1/status";
    /// [`super::Rules`]
    pub const RULES: &str = "/v1/rules";
    /// [`super::Flows`]
    pub const FLOWS: &str = "/v1/conntrack";
    /// [`super::FlowStats`]
    pub const FLOW_STATS: &str = "/v1/conntrack/stats";
    /// [`super::Counters`]
    pub const COUNTERS: &str = "/v1/counters";
}

/// One screen of truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// Is any packet judged?
    pub enforcing: bool,
    /// The generation in force; 0 if no policy is, and everything that policy decides is dropped.
    pub generation: u32,
    /// Interfaces with programs on them.
    pub interfaces: Vec<Interface>,
    /// How full the flow table is.
    pub flow_table: FlowTable,
    /// Seconds since a flood of new flows began; absent if there is none.
    pub flood_seconds: Option<u64>,
    /// The daemon; absent if none answers. Enforcement does not need it.
    pub daemon: Option<Daemon>,
}

/// An interface with programs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The name in the configuration.
    pub name: String,
    /// Its name now, if that is another one.
    pub renamed_to: Option<String>,
    /// Its number.
    pub ifindex: u32,
    /// `up`, `down` or `gone`.
    pub link: String,
    /// `native` or `generic`.
    pub xdp_mode: String,
    /// Id of the XDP program; absent if it is not attached.
    pub xdp_program: Option<u32>,
    /// Id of the egress program; absent if it is not attached, as on a bridge.
    pub tc_program: Option<u32>,
    /// Is everything attached that this topology needs?
    pub complete: bool,
}

/// How full the flow table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowTable {
    /// Flows in it, expired ones that nobody has looked at since included.
    pub flows: u64,
    /// Flows it was configured for.
    pub limit: u64,
    /// Places it has.
    pub slots: u64,
    /// What idle times are multiplied with at this fill, in percent.
    pub idle_time_percent: u64,
}

/// What only the daemon knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Seconds since it last put a generation into force, if it has.
    pub committed_seconds_ago: Option<u64>,
    /// What is wrong; empty if nothing is.
    pub problems: Vec<String>,
    /// What passes whatever policy says; absent if programs of another start are attached.
    pub failsafe: Option<Vec<String>>,
}

/// Every rule and what it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// The generation in force.
    pub generation: u32,
    /// By id.
    pub rules: Vec<Rule>,
}

/// What one rule decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its number in cells, flows and counters.
    pub id: u32,
    /// Its name.
    pub rule: String,
    /// New flows, or openings denied.
    pub hits: u64,
    /// Packets of all its flows.
    pub packets: u64,
    /// Their bytes at layer 2.
    pub bytes: u64,
    /// Packets that its rate limit did not let open a connection.
    pub limited: u64,
    /// Seconds since the last packet; absent if there was none.
    pub idle_seconds: Option<u64>,
}

/// The flow table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// All flows.
    pub flows: Vec<Flow>,
}

/// One flow, in its original direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// IP protocol.
    pub protocol: String,
    /// Who opened it.
    pub source: String,
    /// Port of the source; the identifier of an ICMP echo.
    pub source_port: u16,
    /// Who was asked.
    pub destination: String,
    /// Port of the destination.
    pub destination_port: u16,
    /// Its state.
    pub state: String,
    /// Seconds since its last packet.
    pub idle_seconds: u64,
    /// Packets of the side that opened it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets of the other side.
    pub reply_packets: u64,
    /// Their bytes.
    pub reply_bytes: u64,
    /// The deciding rule at the source.
    pub egress_rule: String,
    /// The deciding rule at the destination.
    pub ingress_rule: String,
}

/// Pressure on the flow table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowStats {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// How full it is.
    pub flow_table: FlowTable,
    /// Flows by state.
    pub states: Vec<Named>,
    /// What happened to flows since the table was made.
    pub events: Vec<Named>,
}

/// A number with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What is counted.
    pub name: String,
    /// How many.
    pub count: u64,
    /// What it means.
    pub help: String,
}

/// Packets by interface, hook, verdict and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// Those that counted anything.
    pub counters: Vec<Counter>,
}

/// Packets with one reason on one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The interface by its name in the configuration; `-` if Bailey was not attached there.
    pub interface: String,
    /// `xdp` or `tc`; `bridge` for what was passed and could not be sent.
    pub hook: String,
    /// `pass` or `drop`.
    pub verdict: String,
    /// The reason.
    pub reason: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes at layer 2.
    pub bytes: u64,
    /// What the reason means.
    pub help: String,
}
