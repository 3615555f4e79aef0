//! The flow table as a list: filters, sorts, and serializes flows without holding the whole table
//! in memory.

use std::collections::BTreeSet;

use bailey_bpf::abi;
use bailey_config::nearest::nearest;
use bailey_control::api::{self, FlowColumn, FlowQuery};
use bailey_datapath::DatapathError;
use bailey_datapath::flows::expiry::FlowExpiry;
use bailey_datapath::flows::table::{Flow, FlowTable, STATES, state_name};
use bailey_datapath::kernel::clock::Ticks;
use bailey_datapath::observe::status::DatapathStatus;
use bailey_policy::Protocol;
use bailey_state::rule_ids::RuleNames;
use rustc_hash::FxHashMap;
use serde_json::value::{RawValue, to_raw_value};

use crate::flow_rates::FlowRates;
use crate::live_state::LiveState;
use crate::rules::{find_rule_ids, name_to_api};

/// The flows that match a query. Flows are read while they are written, so memory use does not
/// depend on the size of the table.
pub struct FlowList {
    table: FlowTable,
    names: RuleNames,
    times: FlowTimes,
    stamp: api::Stamp,
    query: FlowQuery,
    protocol: Option<Protocol>,
    rules: Option<BTreeSet<u32>>,
}

/// Size in bytes at which a chunk of lines is handed to the sink.
const CHUNK_BYTES: usize = 64 << 10;

impl LiveState {
    /// Prepares a list of flows.
    ///
    /// # Errors
    /// If a pinned map cannot be read. The inner error: the query names an unknown state, protocol
    /// or rule.
    pub fn flow_list(&self, query: FlowQuery) -> Result<Result<FlowList, String>, DatapathError> {
        let table = FlowTable::open(&self.pins)?;
        let stamp = self.stamp()?;
        let names = self.names();
        let times = self.flow_times(&self.loaded()?);
        let list = check_query(query, &names).map(|(query, protocol, rules)| FlowList {
            table,
            names,
            times,
            stamp,
            query,
            protocol,
            rules,
        });
        Ok(list)
    }
}

/// The clock of flows and their timeouts, at the time of one answer.
pub(crate) struct FlowTimes {
    now: Ticks,
    expiry: FlowExpiry,
    /// Scale of timeouts, in 1/256.
    scale: u64,
    /// The active epoch.
    epoch: u32,
}

impl FlowTimes {
    /// Seconds since the last packet.
    fn idle(&self, flow: &Flow) -> u64 {
        self.now.seconds_since(flow.seen)
    }

    /// Whether the flow was evaluated in the active epoch. Flows keep the low bits of an epoch.
    fn is_current(&self, flow: &Flow) -> bool {
        flow.epoch == self.epoch & abi::META_EPOCH_MASK
    }

    /// Seconds until the flow expires.
    fn left(&self, flow: &Flow) -> u64 {
        self.expiry
            .seconds_left(flow.state, flow.seen, self.now, self.scale)
    }
}

impl LiveState {
    /// The clock, and the configured timeouts at the present scale.
    pub(crate) fn flow_times(&self, loaded: &DatapathStatus) -> FlowTimes {
        FlowTimes {
            now: Ticks::now(),
            expiry: FlowExpiry::new(&self.config.timeouts),
            scale: loaded.scale,
            epoch: loaded.control.epoch,
        }
    }
}

/// A query with its protocol and rule ids resolved.
type CheckedQuery = (FlowQuery, Option<Protocol>, Option<BTreeSet<u32>>);

fn check_query(query: FlowQuery, names: &RuleNames) -> Result<CheckedQuery, String> {
    let protocol = query.protocol.as_deref().map(parse_protocol).transpose()?;
    if let Some(state) = &query.state {
        let mut known = STATES.iter();
        if !known.any(|name| name.eq_ignore_ascii_case(state)) {
            return Err(format!(
                "unknown state {state:?}{}; states are {}",
                nearest(&state.to_ascii_uppercase(), STATES),
                STATES.join(", ")
            ));
        }
    }
    let rules = query.rule.as_deref().map(|rule| find_rule_ids(names, rule));
    let rules = rules.transpose()?.map(|ids| ids.into_iter().collect());
    Ok((query, protocol, rules))
}

/// Parses a protocol. ICMPv6 differs from ICMP here: a flow has one of the two.
pub(crate) fn parse_protocol(text: &str) -> Result<Protocol, String> {
    if text.eq_ignore_ascii_case("ICMPv6") {
        return Ok(Protocol::ICMPV6);
    }
    bailey_config::parse_protocol(text)
}

impl FlowList {
    /// Time, node and generation of the list.
    pub fn stamp(&self) -> &api::Stamp {
        &self.stamp
    }

    /// Writes the flows as JSON lines, in chunks of whole lines, until the end of the list or until
    /// `sink` returns false.
    pub fn write(&self, mut sink: impl FnMut(Vec<u8>) -> bool) {
        let mut lines = JsonLines::new(&self.names, &self.stamp, self.query.brief);
        let limit = self.query.limit.unwrap_or(usize::MAX);
        let times = &self.times;
        let rates = (self.query.sort == Some(FlowColumn::Rate))
            .then(|| FlowRates::measure(&self.table, |flow| self.is_match(flow)));
        let mut add = |flow: &Flow| {
            lines.add(flow, times, rates.as_ref().map(|rates| rates.of(flow)));
            lines.bytes.len() < CHUNK_BYTES || sink(lines.take_chunk())
        };

        match self.query.sort {
            // Without an order, flows are written in one pass over the table.
            None => {
                let flows = self.table.iter().filter(|flow| self.is_match(flow));
                for flow in flows.take(limit) {
                    if !add(&flow) {
                        return;
                    }
                }
            }
            Some(column) => {
                for slot in self.sorted_slots(column, limit, rates.as_ref()) {
                    // The slot may be free by now, or belong to another flow.
                    let flow = self.table.at(slot as usize);
                    if let Some(flow) = flow.filter(|flow| self.is_match(flow))
                        && !add(&flow)
                    {
                        return;
                    }
                }
            }
        }

        if !lines.bytes.is_empty() {
            sink(lines.take_chunk());
        }
    }

    /// True if a flow matches all filters of the query.
    pub fn is_match(&self, flow: &Flow) -> bool {
        let FlowQuery {
            src,
            dst,
            port,
            state,
            ..
        } = &self.query;
        src.is_none_or(|net| net.contains(&flow.source))
            && dst.is_none_or(|net| net.contains(&flow.destination))
            && port.is_none_or(|port| port == flow.destination_port)
            && self
                .protocol
                .is_none_or(|protocol| protocol == flow.protocol)
            && state
                .as_deref()
                .is_none_or(|state| state.eq_ignore_ascii_case(state_name(flow.state)))
            && self.rules.as_ref().is_none_or(|rules| {
                rules.contains(&flow.egress_rule) || rules.contains(&flow.ingress_rule)
            })
    }

    /// Slots of the first `limit` flows in the order of a column.
    fn sorted_slots(
        &self,
        column: FlowColumn,
        limit: usize,
        rates: Option<&FlowRates>,
    ) -> Vec<u32> {
        let ranks = self.rule_ranks(column);
        let times = &self.times;
        let descending = is_numeric(column) != self.query.reverse;
        // Cut the list to `limit` whenever it is twice as long, so that a short list needs little
        // memory.
        let capacity = limit.saturating_mul(2).max(CHUNK_BYTES);
        let taken = self.table.census().used_slots as usize;
        let mut found: Vec<(u128, u32)> = Vec::with_capacity(capacity.min(taken));
        for flow in self.table.iter().filter(|flow| self.is_match(flow)) {
            let key = match rates {
                Some(rates) => rates.of(&flow).into(),
                None => sort_key(column, &flow, times, &ranks),
            };
            let key = if descending { !key } else { key };
            found.push((key, flow.slot_index() as u32));
            if found.len() >= capacity {
                found.sort_unstable();
                found.truncate(limit);
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        found.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Alphabetical rank of each rule's name; empty for other columns.
    fn rule_ranks(&self, column: FlowColumn) -> FxHashMap<u32, usize> {
        if !matches!(column, FlowColumn::Egress | FlowColumn::Ingress) {
            return FxHashMap::default();
        }
        let ids = self.table.rule_ids().into_iter();
        let mut named: Vec<(String, u32)> = ids.map(|id| (self.names.label(id), id)).collect();
        named.sort_unstable();
        let ranked = named.into_iter().enumerate();
        ranked.map(|(rank, (_, id))| (id, rank)).collect()
    }
}

/// True for columns that sort numerically, largest value first.
fn is_numeric(column: FlowColumn) -> bool {
    use FlowColumn::{Bytes, Idle, Left, Pkts, Rate, Reply};
    matches!(column, Bytes | Idle | Left | Pkts | Rate | Reply)
}

/// The first 16 bytes of a text as a number with the same order.
fn text_key(text: &str) -> u128 {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    u128::from_be_bytes(bytes)
}

/// The value of a column as a number.
fn sort_key(
    column: FlowColumn,
    flow: &Flow,
    times: &FlowTimes,
    ranks: &FxHashMap<u32, usize>,
) -> u128 {
    let rank = |id: u32| ranks.get(&id).map_or(u128::MAX, |&rank| rank as u128);
    let address = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(address) => u128::from(address.to_bits()),
        std::net::IpAddr::V6(address) => address.to_bits(),
    };
    match column {
        FlowColumn::Proto => text_key(&flow.protocol.to_string()),
        FlowColumn::Src => address(flow.source),
        FlowColumn::Dst => address(flow.destination),
        FlowColumn::State => text_key(state_name(flow.state)),
        FlowColumn::Idle => times.idle(flow).into(),
        FlowColumn::Left => times.left(flow).into(),
        FlowColumn::Pkts => flow.original.packets.into(),
        // Rates are not in the table.
        FlowColumn::Rate => 0,
        FlowColumn::Bytes => (flow.original.bytes + flow.reply.bytes).into(),
        FlowColumn::Reply => flow.reply.packets.into(),
        FlowColumn::Egress => rank(flow.egress_rule),
        FlowColumn::Ingress => rank(flow.ingress_rule),
    }
}

/// Flows as JSON lines. Each line repeats the stamp, because readers may process lines one by one.
struct JsonLines<'a> {
    names: &'a RuleNames,
    brief: bool,
    /// The stamp as JSON without its closing brace; empty for brief lines.
    start: Vec<u8>,
    bytes: Vec<u8>,
    /// Rule names as JSON, cached: few rules have many flows.
    rules: FxHashMap<u32, Box<RawValue>>,
}

impl<'a> JsonLines<'a> {
    fn new(names: &'a RuleNames, stamp: &api::Stamp, brief: bool) -> Self {
        let mut start = Vec::new();
        if !brief {
            start = serde_json::to_vec(stamp).unwrap_or_default();
            start.pop();
        }
        Self {
            brief,
            names,
            start,
            bytes: Vec::new(),
            rules: FxHashMap::default(),
        }
    }

    /// Removes and returns the lines written so far.
    fn take_chunk(&mut self) -> Vec<u8> {
        std::mem::replace(
            &mut self.bytes,
            Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8),
        )
    }

    fn add(&mut self, flow: &Flow, times: &FlowTimes, bytes_per_second: Option<u64>) {
        // Serialize each rule name once.
        for id in [flow.egress_rule, flow.ingress_rule] {
            let (names, brief) = (self.names, self.brief);
            self.rules.entry(id).or_insert_with(|| {
                let name = match brief {
                    true => to_raw_value(&serde_json::json!({ "rule": names.label(id) })),
                    false => to_raw_value(&name_to_api(names, id)),
                };
                name.unwrap_or_default()
            });
        }

        // Append the stamp and the flow.
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&self.start);
        let joint = self.bytes.len();
        let rules = [flow.egress_rule, flow.ingress_rule].map(|id| &*self.rules[&id]);
        let line = api::Flow {
            bytes_per_second,
            ..flow_to_api(flow, times, rules)
        };
        match serde_json::to_writer(&mut self.bytes, &line) {
            Ok(()) => {
                // Join the two JSON objects: the opening brace of the flow becomes a comma.
                if !self.brief {
                    self.bytes[joint] = b',';
                }
                self.bytes.push(b'\n');
            }
            Err(_) => self.bytes.truncate(before),
        }
    }
}

/// A flow as an API value.
pub(crate) fn flow_to_api<Rule>(
    flow: &Flow,
    times: &FlowTimes,
    rules: [Rule; 2],
) -> api::Flow<Rule> {
    let [egress_rule, ingress_rule] = rules;
    api::Flow {
        protocol: flow.protocol.to_string(),
        source: flow.source.to_string(),
        source_port: flow.source_port,
        destination: flow.destination.to_string(),
        destination_port: flow.destination_port,
        state: state_name(flow.state).to_owned(),
        idle_seconds: times.idle(flow),
        left_seconds: times.left(flow),
        current: times.is_current(flow),
        packets: flow.original.packets,
        bytes: flow.original.bytes,
        reply_packets: flow.reply.packets,
        reply_bytes: flow.reply.bytes,
        bytes_per_second: None,
        egress_rule,
        ingress_rule,
    }
}
