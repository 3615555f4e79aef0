//! Pinned maps as answers of the control API. Reads only; the daemon and the commands answer with
//! the same code, so an answer does not depend on whether a daemon runs.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

/// Emergency blocks.
mod blocks;
/// Packets by reason.
mod counters;
/// Names of flow events.
mod events;
/// Fill of the flow table, and flow events.
mod flow_stats;
/// The flow table as a list: filter, sort, serialize.
mod flows;
/// Blocks, failsafe entries and flows of one connection.
mod live;
/// The pinned maps of one Bailey.
mod live_state;
/// The filter of records.
mod record_filter;
/// Records of packets.
mod records;
/// Rules with their counters.
mod rules;
/// One screen: interfaces, flow table, blocks, problems.
mod status;

pub use blocks::short_prefix;
pub use flows::FlowList;
pub use live_state::{KnownRules, LiveState};
pub use records::{RecordSource, Records};
