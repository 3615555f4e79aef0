//! Everything but policy that decides about one connection: blocks, failsafe, existing flows.

use bailey_control::api_live::{LIVE_FLOWS, Live, LiveQuery};
use bailey_datapath::DatapathError;
use bailey_datapath::blocks::Blocks;
use bailey_datapath::flows::table::FlowTable;
use bailey_policy::Protocol;

use crate::blocks::block_to_api;
use crate::flows::flow_to_api;
use crate::live_state::{LiveState, stamp};
use crate::rules::name_to_api;

impl LiveState {
    /// Blocks, failsafe entries and flows of a connection. `failsafe`: true if the configured
    /// failsafe is active, which only the daemon knows.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn live(&self, query: &LiveQuery, failsafe: bool) -> Result<Live, DatapathError> {
        let LiveQuery {
            src,
            dst,
            protocol,
            port,
        } = *query;
        let protocol = Protocol(protocol);

        // Blocks and failsafe entries that match.
        let loaded = self.loaded()?;
        let blocks = Blocks::open(&self.pins)?.list()?;
        let matches = |net: &ipnet::IpNet| net.contains(&src) || net.contains(&dst);
        let entries = self.config.settings().failsafe.into_iter();
        let entries = entries.filter(|entry| entry.covers(src, protocol, port));

        // Flows of this connection; the table is searched as a whole, because the source port is
        // not known.
        let table = FlowTable::open(&self.pins)?;
        let flows = table.iter().filter(|flow| {
            (flow.source, flow.destination) == (src, dst)
                && flow.protocol == protocol
                && (flow.destination_port == port || !protocol.has_ports())
        });
        let (mut names, times) = (None, self.flow_times(loaded.scale));
        let flows = flows.take(LIVE_FLOWS).map(|flow| {
            // Rule names are read only if a flow exists.
            let names = names.get_or_insert_with(|| self.names());
            let rules = [flow.egress_rule, flow.ingress_rule].map(|id| name_to_api(names, id));
            flow_to_api(&flow, &times, rules)
        });

        Ok(Live {
            stamp: stamp(loaded.control.generation),
            enforcing: loaded.is_enforcing(),
            guard: self.is_guarded(),
            warm_up: loaded.warming_up,
            blocks: blocks
                .iter()
                .filter(|block| matches(&block.prefix))
                .map(block_to_api)
                .collect(),
            failsafe: failsafe.then(|| entries.map(|entry| entry.to_string()).collect()),
            flood_seconds: loaded.flood_seconds,
            flows: flows.collect(),
            policy_problem: (!failsafe).then(|| {
                "no daemon answers: edits since the last commit are not active".to_owned()
            }),
        })
    }
}
