//! `bailey.toml` as typed settings. The reader, the compiler, the datapath and the daemon use these
//! types; no other crate defines an option a second time. Not for the command line, and without any
//! knowledge of the running kernel: a value is the same on every machine.
#![forbid(unsafe_code)]

/// The whole file: reading, unknown keys, checks across tables.
mod config;
/// `[inventory]`: prefixes that are declared to hold endpoints.
mod declared;
/// `failsafe`: peers and ports that pass regardless of policy.
mod failsafe;
/// `[flood]`: rates of new flows.
mod flood;
/// `[flow_log]`: records of packets as a file.
mod flow_log;
/// `[flow_table]`: sizes and eviction.
mod flow_table;
/// `[frames]`: VLAN zones, extra EtherTypes, multicast groups, link-local services.
mod frames;
/// Interfaces, their XDP mode, the topology, the egress hook.
mod interfaces;
/// `[limits]` and `[read]`: sizes of policy sets and of files.
mod limits;
/// Services of link-local addresses, as `frames.link_local` lists them.
mod link_service;
/// `[metrics]`: the exposition for Prometheus.
mod metrics;
/// The closest known name for "did you mean".
pub mod nearest;
/// `[control]`, `[paths]` and `[log]`.
mod paths;
/// Parsing of IP prefixes.
pub mod prefix;
/// Parsing of protocol names and numbers.
mod protocol;
/// `[recorder]`: records of packets.
mod recorder;
/// Settings that are fixed when maps are created and programs loaded.
mod settings;
/// Shapes of TOML tables, and unknown keys.
mod shapes;
/// `[sources]`: ingress source filtering.
mod sources;
/// The state before the first policy: `guard`, `[boot]`, `[watch]`.
mod start;
/// Lists of texts with a parser of their own.
mod text_list;
/// `[timeouts]`: when an idle flow expires.
mod timeouts;
/// `frames.tunnels`: VXLAN and Geneve.
mod tunnel;

pub use config::{Config, DEFAULT_PATH};
pub use declared::DeclaredPrefixes;
pub use failsafe::Failsafe;
pub use flood::Flood;
pub use flow_log::FlowLog;
pub use flow_table::{FlowTable, OnPolicyChange};
pub use frames::Frames;
pub use interfaces::{EgressHook, Interface, InterfaceEntry, Topology, XdpMode};
pub use limits::{CompileLimits, ReadLimits};
pub use metrics::Metrics;
pub use paths::{Control, Log, LogFormat, LogLevel, Paths};
pub use protocol::parse_protocol;
pub use recorder::{Recorder, recorder_bytes_per_cpu, ring_bytes};
pub use settings::Settings;
pub use sources::Sources;
pub use start::{Boot, Guard, Watch, WithoutPolicy};
pub use timeouts::Timeouts;
pub use tunnel::{Tunnel, TunnelKind};
