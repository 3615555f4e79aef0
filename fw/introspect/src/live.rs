//! Everything that decides about one connection: source, blocks, failsafe, existing flows, active policies.

use bailey_control::api_live::{LIVE_FLOWS, LIVE_RECORDS, Live, LiveQuery};
use bailey_control::api_records::{PacketRecord, RecordFilter};
use bailey_datapath::DatapathError;
use bailey_datapath::blocks::Blocks;
use bailey_datapath::flows::table::FlowTable;
use bailey_policy::{Connection, Protocol};

use crate::blocks::block_to_api;
use crate::flows::flow_to_api;
use crate::live_state::{LiveState, stamp};
use crate::rules::name_to_api;

impl LiveState {
    /// The last records of a connection in either direction; none if the recorder is off.
    fn last_records(&self, query: &LiveQuery) -> Vec<PacketRecord> {
        // Selects before the records get names.
        let filter = RecordFilter {
            ip: vec![query.src.into()],
            port: Vec::from_iter((query.port != 0).then_some(query.port)),
            protocol: vec![query.protocol.to_string()],
            ..RecordFilter::default()
        };
        let Ok(Ok(mut source)) = self.records(filter, false, self.inventory()) else {
            return Vec::new();
        };
        let ends = [query.src.to_string(), query.dst.to_string()];
        let is_of_connection = |record: &PacketRecord| {
            let from = (
                record.source.as_ref(),
                record.source_port.unwrap_or_default(),
            );
            let to = (
                record.destination.as_ref(),
                record.destination_port.unwrap_or_default(),
            );
            let is = |one: (Option<&String>, u16), other: (Option<&String>, u16)| {
                let is_port = query.port == 0 || other.1 == query.port;
                one.0 == Some(&ends[0]) && other.0 == Some(&ends[1]) && is_port
            };
            is(from, to) || is(to, from)
        };
        let records = source.read().records.into_iter().map(|(_, record)| record);
        let mut found: Vec<PacketRecord> = records.filter(is_of_connection).collect();
        found.drain(..found.len().saturating_sub(LIVE_RECORDS));
        found
    }

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
        let (mut names, times) = (None, self.flow_times(&loaded));
        let flows = flows.take(LIVE_FLOWS).map(|flow| {
            // Rule names are read only if a flow exists.
            let names = names.get_or_insert_with(|| self.names());
            let rules = [flow.egress_rule, flow.ingress_rule].map(|id| name_to_api(names, id));
            flow_to_api(&flow, &times, rules)
        });

        let connection = Connection {
            source: src,
            destination: dst,
            protocol,
            port,
        };
        Ok(Live {
            spoofed_on: self.spoofed_on(src),
            policy: self.live_policy(&connection)?,
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
            records: self.last_records(query),
            policy_problem: (!failsafe).then(|| {
                "no daemon answers: edits since the last commit are not active".to_owned()
            }),
        })
    }
}
