//! Pinned maps as answers of the control API. Reads only; the daemon and the commands answer with
//! the same code, so an answer does not depend on whether a daemon runs.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

/// Emergency blocks.
mod blocks;
/// Captured frames with names.
mod capture;
/// Packets by reason.
mod counters;
/// Names of the endpoints behind addresses.
mod endpoint_names;
/// Records as they come, for the daemon.
mod event_reader;
/// Names of flow events.
mod events;
/// Bytes per second of flows.
mod flow_rates;
/// Fill of the flow table, and flow events.
mod flow_stats;
/// Addresses and ports with most flows.
mod flow_top;
/// The flow table as a list: filter, sort, serialize.
mod flows;
/// Blocks, failsafe entries and flows of one connection.
mod live;
/// The active policies and their rate limits for one connection.
mod live_policy;
/// The pinned maps of one Bailey.
mod live_state;
/// The filter of records.
mod record_filter;
/// Records as a list that may follow.
mod record_list;
/// Records with the names of one generation.
mod record_namer;
/// Records of packets.
mod records;
/// The rules of one generation.
mod rule_book;
/// Endpoints and last packets of one rule.
mod rule_details;
/// Whether `rules.json` can be read.
mod rule_file;
/// Rules with their counters.
mod rules;
/// One reading of all counters.
mod sample;
/// Loaded programs and oracle, side by side.
mod self_test;
/// Packets for the self-test.
mod self_test_packets;
/// One screen: interfaces, flow table, blocks, problems.
mod status;

pub use blocks::short_prefix;
pub use capture::{FrameSource, NamedFrame};
pub use counters::{CounterKey, CounterRow, without_keys};
pub use endpoint_names::{endpoint_name, is_known, workload_of};
pub use event_reader::{EventBatch, EventReader};
pub use flows::FlowList;
pub use live_state::{ActivePolicies, LiveState, NamesVersion};
pub use record_filter::CLASS_NAMES;
pub use record_list::RecordList;
pub use record_namer::RecordNamer;
pub use rule_book::RuleBook;
pub use sample::{Sample, Sampler};
pub use self_test::{Difference, SelfTest};
pub use self_test_packets::SelfTestPackets;
