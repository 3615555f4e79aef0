//! Addresses and ports with most flows and bytes in the flow table.

use std::hash::Hash;

use bailey_control::api_talkers::{FlowTalker, FlowTop, TalkersQuery};
use bailey_datapath::DatapathError;
use bailey_datapath::flows::table::FlowTable;
use bailey_telemetry::space_saving::SpaceSaving;
use rustc_hash::FxHashMap;

use crate::live_state::LiveState;

/// Keys of each kind that are counted at the same time: 4 MiB for all kinds.
const KEYS: usize = 1 << 15;

impl LiveState {
    /// The addresses and ports with most flows, in one pass over the flow table.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn flow_top(&self, query: TalkersQuery) -> Result<FlowTop, DatapathError> {
        let limit = query.rows();
        let (mut sources, mut targets, mut ports) = (Top::new(), Top::new(), Top::new());
        for flow in FlowTable::open(&self.pins)?.iter() {
            let bytes = flow.original.bytes + flow.reply.bytes;
            sources.add(flow.source, bytes);
            targets.add(flow.destination, bytes);
            if flow.protocol.has_ports() {
                ports.add((flow.destination_port, flow.protocol), bytes);
            }
        }
        Ok(FlowTop {
            stamp: self.stamp()?,
            exact: sources.flows.is_exact() && targets.flows.is_exact() && ports.flows.is_exact(),
            sources: sources.rows(limit, |address| address.to_string()),
            targets: targets.rows(limit, |address| address.to_string()),
            ports: ports.rows(limit, |(port, protocol)| format!("{port}/{protocol}")),
        })
    }
}

/// Flows and bytes by key.
struct Top<K> {
    flows: SpaceSaving<K>,
    /// Of the keys in `flows` since they came there.
    bytes: FxHashMap<K, u64>,
}

impl<K: Copy + Eq + Hash> Top<K> {
    fn new() -> Self {
        Self {
            flows: SpaceSaving::new(KEYS),
            bytes: FxHashMap::default(),
        }
    }

    fn add(&mut self, key: K, bytes: u64) {
        if let Some(replaced) = self.flows.add(key, 1) {
            self.bytes.remove(&replaced);
        }
        *self.bytes.entry(key).or_default() += bytes;
    }

    fn rows(&self, limit: usize, name: impl Fn(&K) -> String) -> Vec<FlowTalker> {
        let top = self.flows.top(limit).into_iter();
        top.map(|entry| FlowTalker {
            name: name(&entry.key),
            flows: entry.count,
            bytes: self.bytes.get(&entry.key).copied().unwrap_or_default(),
        })
        .collect()
    }
}
