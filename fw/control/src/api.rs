use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Version of the shapes below; raised when one loses or changes a field.
pub const SCHEMA_VERSION: u32 = 2;

/// Paths of the API.
pub mod path {
    /// [`super::Status`]
    pub const STATUS: &str = "/v1/status";
    /// [`super::Rules`]
    pub const RULES: &str = "/v1/rules";
    /// One [`super::Flow`] per line; takes a [`super::FlowQuery`].
    pub const FLOWS: &str = "/v1/conntrack";
    /// [`super::FlowStats`]
    pub const FLOW_STATS: &str = "/v1/conntrack/stats";
    /// [`super::Counters`]
    pub const COUNTERS: &str = "/v1/counters";
    /// [`super::Blocks`]
    pub const BLOCKS: &str = "/v1/blocks";
    /// [`super::Live`]; takes a [`super::LiveQuery`].
    pub const LIVE: &str = "/v1/live";
}

/// When and where an answer was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// The time of the answer, RFC 3339, UTC.
    pub time: String,
    /// The name of the machine.
    pub node: String,
    /// The generation in force; 0 if no policy is, and everything that policy decides is dropped.
    pub generation: u32,
}

/// One screen of truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When and where.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Is any packet judged?
    pub enforcing: bool,
    /// Does a table of netfilter close configured interfaces that carry no program?
    pub guard: bool,
    /// Interfaces with programs on them.
    pub interfaces: Vec<Interface>,
    /// How full the flow table is.
    pub flow_table: FlowTable,
    /// Seconds since a flood of new flows began; absent if there is none.
    pub flood_seconds: Option<u64>,
    /// How many prefixes are blocked.
    pub blocks: u64,
    /// The first of them.
    pub blocked: Vec<Block>,
    /// What is wrong, whoever found it; empty if nothing is.
    pub problems: Vec<String>,
    /// The daemon; absent if none answers. Enforcement does not need it.
    pub daemon: Option<Daemon>,
}

impl Status {
    /// The generation in force.
    pub fn generation(&self) -> u32 {
        self.stamp.generation
    }
}

/// The most warnings that [`Daemon`] lists.
pub const STATUS_WARNINGS: usize = 10;

/// The most blocks that [`Status`] lists.
pub const STATUS_BLOCKS: usize = 10;

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
    pub fully_attached: bool,
}

/// How full the flow table is: places, and what idle times depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowTable {
    /// Places that are taken, by expired flows too that nobody has looked at since.
    pub slots_used: u64,
    /// Places that there are.
    pub slots: u64,
    /// Flows that both sides have spoken in.
    pub live_flows: u64,
    /// Flows that the table was configured for.
    pub limit: u64,
    /// From so many live flows on, idle times shrink.
    pub timeout_scaling_from: u64,
    /// What idle times are multiplied with at this fill, in percent.
    pub timeout_percent: u64,
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
    /// What it finds wrong; empty if nothing is.
    pub problems: Vec<String>,
    /// What others did to Bailey's programs and pins since it started, each set right.
    pub interference: Vec<Interference>,
    /// What may not be meant in the policies in force; the first [`STATUS_WARNINGS`].
    pub warnings: Vec<String>,
    /// What passes whatever policy says; absent if programs of another start are attached.
    pub failsafe: Option<Vec<String>>,
}

/// What others did, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interference {
    /// `detached`, `overtaken` or `unpinned`.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// Seconds since the last time.
    pub last_seconds_ago: u64,
    /// The last time: which interface, and which programs where the kernel says so.
    pub last: String,
}

/// Every rule and what it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// When and where.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// By id.
    pub rules: Vec<Rule>,
}

/// Names a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleName {
    /// Its number in cells, flows and counters.
    pub id: u32,
    /// Its name, at most 64 characters.
    pub rule: String,
    /// `rule`, `default-deny`, or the name of a rule that is always there: `not-isolated`, `own-node`,
    /// `self`, `unknown-address`; `none` where no rule decided, `removed` where nobody remembers.
    pub kind: String,
    /// `allow` or `deny`; absent where no rule decided, or nobody remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// `egress` or `ingress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// The namespace of its policy, or of the endpoints that it isolates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of its policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Its place in the list of its policy, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// No policy has it any more; flows and counters still name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// What one rule decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    #[serde(flatten)]
    pub name: RuleName,
    /// Its whole name, where it was asked for by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Of a default deny: how many policies isolate its endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolating_policies: Option<usize>,
    /// Of a default deny: these policies, `namespace/name`; the first [`ISOLATED_BY`] in a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isolated_by: Vec<String>,
    /// Of a rule: its ports, as `8080/TCP`; empty is every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<String>>,
    /// Of a rule: its peers, as `10.0.0.0/8`; empty is everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<String>>,
    /// The file that it was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// New flows, or openings denied.
    pub hits: u64,
    /// Packets of all its flows.
    pub packets: u64,
    /// Their bytes at layer 2.
    pub bytes: u64,
    /// Packets that its rate limit did not let open a connection.
    pub rate_limited: u64,
    /// Seconds since the last packet; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
}

/// The most policies of a default deny that a list of rules names; [`RulesQuery::name`] has all.
pub const ISOLATED_BY: usize = 20;

/// Which rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesQuery {
    /// A name in either form, a number, or `namespace/policy` for all rules of a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Which flows, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowQuery {
    /// Opened from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<IpNet>,
    /// Opened to there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpNet>,
    /// To this port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Of this protocol: a name or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Decided by this rule on one side: as [`RulesQuery::name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Ordered by this column: numbers from the greatest, names from a to z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<FlowColumn>,
    /// The other way round.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reverse: bool,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Of rules the names alone, and no stamp in each line: half as long.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub brief: bool,
}

/// What flows can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FlowColumn {
    Proto,
    Src,
    Dst,
    State,
    Idle,
    Pkts,
    Bytes,
    Reply,
    Egress,
    Ingress,
}

/// One flow, in its original direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow<Rule = RuleName> {
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
    pub egress_rule: Rule,
    /// The deciding rule at the destination.
    pub ingress_rule: Rule,
}

/// What is blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// When and where.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// All blocks.
    pub blocks: Vec<Block>,
}

/// An address or prefix that nothing passes from or to for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Which.
    pub prefix: String,
    /// When it lapses by itself.
    pub remaining_seconds: u64,
    /// When it was added, in seconds since 1970.
    pub added: u64,
    /// Why.
    pub reason: String,
}

/// Which connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveQuery {
    /// Who opens.
    pub src: std::net::IpAddr,
    /// Who is asked.
    pub dst: std::net::IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination port; 0 for protocols without ports.
    pub port: u16,
}

/// What a running Bailey knows of a connection beside what its policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// When and where.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Is any packet judged?
    pub enforcing: bool,
    /// Does a table of netfilter close configured interfaces that carry no program?
    pub guard: bool,
    /// Does policy only observe yet, so that what it would drop passes?
    pub warm_up: bool,
    /// Blocks that hold one of its ends.
    pub blocks: Vec<Block>,
    /// The entries of the failsafe that let it pass; absent if nobody knows, as programs of another start
    /// are attached or no daemon answers.
    pub failsafe: Option<Vec<String>>,
    /// Seconds since a flood of new flows began; absent if there is none.
    pub flood_seconds: Option<u64>,
    /// Flows between these two of that protocol and port, at most [`LIVE_FLOWS`].
    pub flows: Vec<Flow>,
    /// Why the files may say something else than what is in force; absent if nothing speaks for it.
    pub policy_problem: Option<String>,
}

/// The most flows that [`Live`] lists.
pub const LIVE_FLOWS: usize = 10;

/// Pressure on the flow table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowStats {
    /// When and where.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// How full it is.
    pub flow_table: FlowTable,
    /// Flows by state.
    pub states: Vec<NamedCount>,
    /// What happened to flows since the table was made.
    pub events: Vec<NamedCount>,
}

/// A number with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCount {
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
    /// When and where.
    #[serde(flatten)]
    pub stamp: Stamp,
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
