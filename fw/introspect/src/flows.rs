use std::collections::BTreeSet;

use bailey_config::nearest::nearest;
use bailey_control::api::{self, FlowColumn, FlowQuery};
use bailey_datapath::DatapathError;
use bailey_datapath::flows::table::{Flow, FlowTable, STATES, state_name};
use bailey_datapath::kernel::clock::Ticks;
use bailey_policy::Protocol;
use bailey_state::rule_ids::RuleNames;
use rustc_hash::FxHashMap;
use serde_json::value::{RawValue, to_raw_value};

use crate::live_state::LiveState;
use crate::rules::{matching, name_of};

/// The flows that a query means. They are read while they are written out: a table of millions is
/// never there as a whole.
pub struct FlowList {
    table: FlowTable,
    names: RuleNames,
    stamp: api::Stamp,
    query: FlowQuery,
    protocol: Option<Protocol>,
    rules: Option<BTreeSet<u32>>,
}

/// Flows are handed over in pieces of about so many bytes.
const PIECE: usize = 64 << 10;

impl LiveState {
    /// Prepares a list of flows.
    ///
    /// # Errors
    /// If what is pinned cannot be read; or, inside, if the query names what there is not.
    pub fn flow_list(&self, query: FlowQuery) -> Result<Result<FlowList, String>, DatapathError> {
        let table = FlowTable::open(&self.pins)?;
        let stamp = self.stamp()?;
        let names = self.names();
        let list = check(query, &names).map(|(query, protocol, rules)| FlowList {
            table,
            names,
            stamp,
            query,
            protocol,
            rules,
        });
        Ok(list)
    }
}

type Checked = (FlowQuery, Option<Protocol>, Option<BTreeSet<u32>>);

fn check(query: FlowQuery, names: &RuleNames) -> Result<Checked, String> {
    let protocol = query.protocol.as_deref().map(protocol).transpose()?;
    if let Some(state) = &query.state {
        let mut known = STATES.iter();
        if !known.any(|name| name.eq_ignore_ascii_case(state)) {
            return Err(format!(
                "there is no state {state:?}{}; states are {}",
                nearest(&state.to_ascii_uppercase(), STATES),
                STATES.join(", ")
            ));
        }
    }
    let rules = query.rule.as_deref().map(|rule| matching(names, rule));
    let rules = rules.transpose()?.map(|ids| ids.into_iter().collect());
    Ok((query, protocol, rules))
}

/// ICMPv6 has a name of its own here: a flow is of one of the two.
fn protocol(text: &str) -> Result<Protocol, String> {
    if text.eq_ignore_ascii_case("ICMPv6") {
        return Ok(Protocol::ICMPV6);
    }
    bailey_config::parse_protocol(text)
}

impl FlowList {
    /// When and where it was made.
    pub fn stamp(&self) -> &api::Stamp {
        &self.stamp
    }

    /// Writes the flows, one line of JSON each, in pieces of whole lines; until all are written or
    /// `sink` says false.
    pub fn write(&self, mut sink: impl FnMut(Vec<u8>) -> bool) {
        let mut lines = Lines::new(&self.names, &self.stamp, self.query.brief);
        let limit = self.query.limit.unwrap_or(usize::MAX);
        let now = Ticks::now();
        let mut take = |flow: &Flow| {
            lines.add(flow, now);
            lines.bytes.len() < PIECE || sink(lines.piece())
        };
        match self.query.sort {
            None => {
                let flows = self.table.iter().filter(|flow| self.is_meant(flow));
                for flow in flows.take(limit) {
                    if !take(&flow) {
                        return;
                    }
                }
            }
            Some(column) => {
                for place in self.sorted(column, limit, now) {
                    // A flow that has gone meanwhile has left its place to another, or to none.
                    let flow = self.table.at(place as usize);
                    if let Some(flow) = flow.filter(|flow| self.is_meant(flow))
                        && !take(&flow)
                    {
                        return;
                    }
                }
            }
        }
        if !lines.bytes.is_empty() {
            sink(lines.piece());
        }
    }

    fn is_meant(&self, flow: &Flow) -> bool {
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

    /// The places of the first flows in this order.
    fn sorted(&self, column: FlowColumn, limit: usize, now: Ticks) -> Vec<u32> {
        let ranks = self.ranks(column);
        let descending = is_number(column) != self.query.reverse;
        // More than are wanted are cut off now and then, so that a short list needs little memory.
        let most = limit.saturating_mul(2).max(PIECE);
        let taken = self.table.census().used_slots as usize;
        let mut found: Vec<(u128, u32)> = Vec::with_capacity(most.min(taken));
        for flow in self.table.iter().filter(|flow| self.is_meant(flow)) {
            let key = sort_key(column, &flow, now, &ranks);
            let key = if descending { !key } else { key };
            found.push((key, flow.slot_index() as u32));
            if found.len() >= most {
                found.sort_unstable();
                found.truncate(limit);
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        found.into_iter().map(|(_, place)| place).collect()
    }

    /// Where the names of rules stand in their order.
    fn ranks(&self, column: FlowColumn) -> FxHashMap<u32, usize> {
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

fn is_number(column: FlowColumn) -> bool {
    use FlowColumn::{Bytes, Idle, Pkts, Reply};
    matches!(column, Bytes | Idle | Pkts | Reply)
}

/// The first letters of a text, which order as the text does.
fn text_key(text: &str) -> u128 {
    let mut letters = [0; 16];
    for (to, from) in letters.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    u128::from_be_bytes(letters)
}

fn sort_key(column: FlowColumn, flow: &Flow, now: Ticks, ranks: &FxHashMap<u32, usize>) -> u128 {
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
        FlowColumn::Idle => now.seconds_since(flow.seen).into(),
        FlowColumn::Pkts => flow.original.packets.into(),
        FlowColumn::Bytes => (flow.original.bytes + flow.reply.bytes).into(),
        FlowColumn::Reply => flow.reply.packets.into(),
        FlowColumn::Egress => rank(flow.egress_rule),
        FlowColumn::Ingress => rank(flow.ingress_rule),
    }
}

/// Flows as lines of JSON. Each line says when and where, too: it is read alone.
struct Lines<'a> {
    names: &'a RuleNames,
    brief: bool,
    /// The stamp as JSON, without its end; nothing in brief lines.
    start: Vec<u8>,
    bytes: Vec<u8>,
    /// Names as JSON: few rules have many flows.
    rules: FxHashMap<u32, Box<RawValue>>,
}

impl<'a> Lines<'a> {
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

    fn piece(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.bytes, Vec::with_capacity(PIECE + PIECE / 8))
    }

    fn add(&mut self, flow: &Flow, now: Ticks) {
        for id in [flow.egress_rule, flow.ingress_rule] {
            let (names, brief) = (self.names, self.brief);
            self.rules.entry(id).or_insert_with(|| {
                let name = match brief {
                    true => to_raw_value(&serde_json::json!({ "rule": names.label(id) })),
                    false => to_raw_value(&name_of(names, id)),
                };
                name.unwrap_or_default()
            });
        }
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&self.start);
        let joint = self.bytes.len();
        let rules = [flow.egress_rule, flow.ingress_rule].map(|id| &*self.rules[&id]);
        let line = in_words(flow, now, rules);
        match serde_json::to_writer(&mut self.bytes, &line) {
            Ok(()) => {
                // Of two objects one: the brace that opens the second becomes the comma between.
                if !self.brief {
                    self.bytes[joint] = b',';
                }
                self.bytes.push(b'\n');
            }
            Err(_) => self.bytes.truncate(before),
        }
    }
}

/// A flow in the words of the API.
pub(crate) fn in_words<Rule>(flow: &Flow, now: Ticks, rules: [Rule; 2]) -> api::Flow<Rule> {
    let [egress_rule, ingress_rule] = rules;
    api::Flow {
        protocol: flow.protocol.to_string(),
        source: flow.source.to_string(),
        source_port: flow.source_port,
        destination: flow.destination.to_string(),
        destination_port: flow.destination_port,
        state: state_name(flow.state).to_owned(),
        idle_seconds: now.seconds_since(flow.seen),
        packets: flow.original.packets,
        bytes: flow.original.bytes,
        reply_packets: flow.reply.packets,
        reply_bytes: flow.reply.bytes,
        egress_rule,
        ingress_rule,
    }
}
