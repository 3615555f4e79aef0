//! Fill of the flow table, flows by state, and flow events. Single flows are in `flows.rs`.

use bailey_bpf::abi;
use bailey_control::api::{self, NamedCount};
use bailey_datapath::DatapathError;
use bailey_datapath::flows::table::{Census, state_name};
use bailey_datapath::observe::counters::Counters;

use crate::events::EVENTS;
use crate::live_state::LiveState;

impl LiveState {
    /// Fill of the flow table, flows by state, and flow events.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn flow_stats(&self) -> Result<api::FlowStats, DatapathError> {
        let census = self.census()?;
        let events = Counters::open(&self.pins)?.events();
        let flow_table = self.flow_table_to_api(self.loaded()?.scale, &census);
        Ok(flow_stats_of(self.stamp()?, flow_table, &census, &events))
    }
}

/// Flow statistics of numbers that were read before.
pub(crate) fn flow_stats_of(
    stamp: api::Stamp,
    flow_table: api::FlowTable,
    census: &Census,
    counted: &[u64; abi::FLOW_EVENTS as usize],
) -> api::FlowStats {
    let mut states: Vec<NamedCount> = Vec::new();
    for (state, &count) in (0..).zip(&census.by_state) {
        let protocol = protocol_of(state);
        states.push(NamedCount {
            name: format!("{protocol}{}", state_name(state)),
            count,
            per_second: None,
            recent: Vec::new(),
            help: String::new(),
        });
    }
    states.retain(|state| state.count > 0);
    let events = EVENTS.iter().map(|&(event, name, help)| NamedCount {
        name: name.to_owned(),
        count: counted[event as usize],
        per_second: None,
        recent: Vec::new(),
        help: help.to_owned(),
    });
    api::FlowStats {
        stamp,
        flow_table,
        states,
        events: events.collect(),
        forecast: None,
    }
}

/// Prefix of a state's name; empty for states of every protocol.
fn protocol_of(state: u32) -> &'static str {
    match state {
        abi::STATE_UDP_NEW | abi::STATE_UDP_REPLIED => "UDP ",
        abi::STATE_ICMP_NEW | abi::STATE_ICMP_REPLIED => "ICMP ",
        abi::STATE_SCTP_NEW | abi::STATE_SCTP_REPLIED => "SCTP ",
        abi::STATE_OTHER_NEW | abi::STATE_OTHER_REPLIED => "other ",
        abi::STATE_DENIED | abi::STATE_BUSY => "",
        _ => "TCP ",
    }
}
