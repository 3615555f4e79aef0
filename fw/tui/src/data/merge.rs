//! Updates of `/v1/watch`, merged into one state. Time is an argument.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bailey_control::api::{self, Counter};
use bailey_control::api_talkers::TalkerLists;
use bailey_control::api_watch::Update;

use crate::data::{Block, Data, Drop, Event, Flood, Flows, Mode, Nic, Rule, Talker, Talkers};
use crate::spark::History;
use crate::text::{escape, time_of_day};

/// Days without a packet after which a rule is unused.
const UNUSED_SECONDS: u64 = 30 * 86_400;

/// A counter: interface, hook, reason.
type CounterKey = (String, String, String);

/// Keeps the rows of all updates.
#[derive(Debug, Default)]
pub struct Merger {
    rules: BTreeMap<u32, Arc<Rule>>,
    /// Seconds since the first update.
    seconds: f64,
    counters: BTreeMap<CounterKey, Row>,
    events: BTreeMap<String, History>,
    /// Drops per second by talker, for each list.
    talkers: [BTreeMap<String, History>; 3],
    /// Growth of live flows, and live flows.
    growing: History,
    live: History,
}

#[derive(Debug)]
struct Row {
    counter: Counter,
    history: History,
    /// Bytes per second.
    bytes: Option<f64>,
}

impl Merger {
    /// Takes an update, `seconds` after the one before; returns the new state.
    pub fn merge(&mut self, update: Update, seconds: f64) -> Data {
        self.seconds += seconds;
        self.merge_rules(update.rules, update.complete);
        self.merge_counters(update.counters, update.complete);
        let flows = self.flows(&update.flow_stats, update.complete);
        let status = update.status;
        Data {
            node: escape(&status.stamp.node),
            revision: status.stamp.generation,
            version: status.daemon.as_ref().map(|daemon| escape(&daemon.version)),
            mode: mode_of(&status),
            nics: status.interfaces.iter().map(|nic| self.nic(nic)).collect(),
            packets_in: self.sum(is_arriving),
            bytes_in: self.byte_rate(is_arriving),
            dropped: self.sum(|row| is_drop(row) && is_arriving(row)),
            flows,
            rules: self.rules.values().map(Arc::clone).collect(),
            now: self.seconds as u64,
            drops: self.drops(),
            talkers: Talkers {
                seconds: update.talkers.seconds,
                lists: self.talkers(
                    &update.talkers.new,
                    &update.talkers.dropped,
                    update.talkers.seconds,
                ),
            },
            blocks: status.blocked.iter().map(block_of).collect(),
            lost: Some(update.records_lost),
            blocks_total: status.blocks,
            flood: status.flood_seconds.map(|seconds| Flood {
                seconds,
                extent: String::new(),
            }),
            problems: status
                .problems
                .iter()
                .map(|problem| escape(problem))
                .collect(),
            facts: facts_of(&status),
            ..Data::default()
        }
    }

    fn merge_rules(&mut self, rules: Vec<api::Rule>, is_complete: bool) {
        let mut before = match is_complete {
            true => std::mem::take(&mut self.rules),
            false => BTreeMap::new(),
        };
        let now = self.seconds as u64;
        let mut fresh: Vec<u32> = Vec::with_capacity(rules.len());
        for rule in rules {
            let id = rule.name.id;
            let known = before.remove(&id).or_else(|| self.rules.remove(&id));
            let known = known.map(|rule| rule.history.clone()).unwrap_or_default();
            let mut history = history_of(&rule.recent, known);
            history.push(rule.rates.map_or(0.0, |rates| rates.packets));
            fresh.push(id);
            self.rules
                .insert(id, Arc::new(rule_of(&rule, history, now)));
        }
        fresh.sort_unstable();
        for (id, rule) in &mut self.rules {
            // A rule that is not in the update has not changed.
            let is_still =
                rule.history.is_quiet() && rule.packet_rate.is_none_or(|rate| rate == 0.0);
            if is_still || fresh.binary_search(id).is_ok() {
                continue;
            }
            let rule = Arc::make_mut(rule);
            rule.history.push(0.0);
            for rate in [
                &mut rule.hit_rate,
                &mut rule.packet_rate,
                &mut rule.byte_rate,
            ] {
                *rate = rate.map(|_| 0.0);
            }
        }
    }

    fn merge_counters(&mut self, counters: Vec<Counter>, is_complete: bool) {
        if is_complete {
            self.counters
                .retain(|key, _| counters.iter().any(|row| key_of(row) == *key));
        }
        let mut fresh: BTreeMap<CounterKey, Counter> = counters
            .into_iter()
            .map(|row| (key_of(&row), row))
            .collect();
        for (key, row) in &mut self.counters {
            // A row that is not in the update has not changed.
            let Some(counter) = fresh.remove(key) else {
                row.bytes = Some(0.0);
                row.history.push(0.0);
                continue;
            };
            let grown = counter.bytes.saturating_sub(row.counter.bytes) as f64;
            let packets = counter.packets.saturating_sub(row.counter.packets) as f64;
            // The daemon's second, not the moment at which the line came.
            row.bytes = counter.packets_per_second.map(|rate| match packets > 0.0 {
                true => grown / packets * f64::from(rate),
                false => 0.0,
            });
            row.history = history_of(&counter.recent, std::mem::take(&mut row.history));
            row.history.push(counter.packets_per_second.unwrap_or(0.0));
            row.counter = counter;
        }
        for (key, counter) in fresh {
            let mut history = history_of(&counter.recent, History::default());
            history.push(counter.packets_per_second.unwrap_or(0.0));
            let row = Row {
                history,
                bytes: None,
                counter,
            };
            self.counters.insert(key, row);
        }
    }

    fn rows(&self, is_wanted: impl Fn(&Counter) -> bool) -> impl Iterator<Item = &Row> {
        self.counters
            .values()
            .filter(move |row| is_wanted(&row.counter))
    }

    fn packet_rate(&self, is_wanted: impl Fn(&Counter) -> bool) -> f64 {
        let rows = self.rows(is_wanted);
        rows.filter_map(|row| row.history.last())
            .map(f64::from)
            .sum()
    }

    /// Unknown until a row of the kind is known for two updates.
    fn byte_rate(&self, is_wanted: impl Fn(&Counter) -> bool) -> Option<f64> {
        let rates: Vec<f64> = self.rows(is_wanted).filter_map(|row| row.bytes).collect();
        (!rates.is_empty()).then(|| rates.iter().sum())
    }

    /// The last minute of all rows of a kind.
    fn sum(&self, is_wanted: impl Fn(&Counter) -> bool) -> History {
        let mut sum = History::of([0.0; crate::spark::SECONDS]);
        self.rows(is_wanted).for_each(|row| sum.add(&row.history));
        sum
    }

    fn nic(&self, interface: &api::Interface) -> Nic {
        let own = |row: &Counter| row.interface == interface.name;
        let packets = self.sum(|row| own(row) && is_arriving(row));
        Nic {
            name: escape(interface.renamed_to.as_ref().unwrap_or(&interface.name)),
            mode: interface.xdp_mode.clone(),
            is_up: interface.link == "up",
            is_complete: interface.fully_attached,
            packets,
            bytes: self.byte_rate(|row| own(row) && is_arriving(row)),
            drops: Some(self.packet_rate(|row| own(row) && is_drop(row))),
        }
    }

    fn talkers(
        &mut self,
        new: &TalkerLists,
        dropped: &TalkerLists,
        seconds: u64,
    ) -> [Vec<Talker>; 3] {
        let mut lists = talkers_of(new, dropped, seconds);
        for (list, known) in lists.iter_mut().zip(&mut self.talkers) {
            let mut before = std::mem::take(known);
            for talker in list {
                let mut history = before.remove(&talker.name).unwrap_or_default();
                history.push(talker.drops as f32);
                talker.history = history.clone();
                known.insert(talker.name.clone(), history);
            }
        }
        lists
    }

    fn drops(&self) -> Vec<Drop> {
        // Both hooks of an interface in one row.
        let mut drops: BTreeMap<(String, String), Drop> = BTreeMap::new();
        for row in self.rows(is_drop) {
            let key = (row.counter.interface.clone(), row.counter.reason.clone());
            let drop = drop_of(row);
            match drops.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(drop);
                }
                Entry::Occupied(mut entry) => {
                    let sum = entry.get_mut();
                    sum.count += drop.count;
                    sum.rate = sum.rate.zip(drop.rate).map(|(a, b)| a + b);
                    sum.history.add(&drop.history);
                    sum.last = sum.last.take().max(drop.last);
                }
            }
        }
        drops.into_values().collect()
    }
    fn flows(&mut self, stats: &api::FlowStats, is_complete: bool) -> Flows {
        let table = &stats.flow_table;
        let of = |names: &[&str]| {
            let states = stats.states.iter();
            let states = states.filter(|state| names.contains(&&*state.name));
            states.map(|state| state.count).sum()
        };
        let mut events = BTreeMap::new();
        for event in &stats.events {
            let history = self.events.entry(event.name.clone()).or_default();
            if is_complete {
                *history = history_of(&event.recent, std::mem::take(history));
            }
            history.push(event.per_second.unwrap_or(0.0));
            let known = Event {
                count: event.count,
                rate: event.per_second.map(f64::from),
                history: history.clone(),
            };
            events.insert(event.name.clone(), known);
        }
        let forecast = stats.forecast.unwrap_or_default();
        self.growing
            .push(forecast.live_per_second.unwrap_or(0.0) as f32);
        self.live.push(table.live_flows as f32);
        Flows {
            slots: (table.slots_used, table.slots),
            live: table.live_flows,
            closing: of(&["TIME_WAIT", "CLOSED"]),
            half_open: of(&["SYN_SENT", "SYN_RECV", "NEW"]),
            denied: of(&["DENIED"]),
            limit: table.limit,
            shrinks_from: table.timeout_scaling_from,
            growth: forecast.live_per_second,
            growing: self.growing.clone(),
            live_history: self.live.clone(),
            shrink: forecast.seconds_to_shrink,
            refuse: forecast.seconds_to_refuse,
            events,
        }
    }
}

fn drop_of(row: &Row) -> Drop {
    Drop {
        kind: row.counter.kind.clone().unwrap_or_default(),
        reason: row.counter.reason.clone(),
        interface: escape(&row.counter.interface),
        count: row.counter.packets,
        rate: row.history.last().map(f64::from),
        history: row.history.clone(),
        last: row.counter.last_packet.as_deref().map(|time| {
            // To the second.
            let time = time_of_day(time);
            time.split('.').next().unwrap_or_default().to_owned()
        }),
        help: row.counter.help.clone(),
    }
}

/// The rates that a complete line has, or else those that are known.
fn history_of(recent: &[f32], known: History) -> History {
    match recent.is_empty() {
        true => known,
        false => known.with_minute(History::of(recent.iter().copied().take(recent.len() - 1))),
    }
}

fn key_of(row: &Counter) -> CounterKey {
    (row.interface.clone(), row.hook.clone(), row.reason.clone())
}

fn is_arriving(row: &Counter) -> bool {
    row.hook == "xdp"
}

fn is_drop(row: &Counter) -> bool {
    row.verdict == "drop"
}

fn mode_of(status: &api::Status) -> Mode {
    if !status.enforcing {
        return Mode::Unprotected;
    }
    match status.warm_up {
        true => Mode::Audit,
        false => Mode::Enforce,
    }
}

fn rule_of(rule: &api::Rule, history: History, now: u64) -> Rule {
    let idle = rule.idle_seconds;
    let allows = rule
        .name
        .verdict
        .as_deref()
        .map(|verdict| verdict == "allow");
    let mut flags = String::new();
    if rule.hits == 0 {
        flags.push('N');
    } else if idle.is_none_or(|idle| idle >= UNUSED_SECONDS) {
        flags.push('U');
    }
    if rule.rate_limited > 0 {
        flags.push('L');
    }
    let mut details = Vec::new();
    if let (Some(file), Some(line)) = (&rule.file, rule.line) {
        details.push(("location", format!("{}:{line}", escape(file))));
    }
    let lists = [("peers", &rule.peers), ("ports", &rule.ports)];
    for (name, values) in lists {
        if let Some(values) = values {
            let all = if values.is_empty() {
                "all".to_owned()
            } else {
                values.join("; ")
            };
            details.push((name, escape(&all)));
        }
    }
    if !rule.isolated_by.is_empty() {
        details.push(("isolated by", escape(&rule.isolated_by.join(", "))));
    }
    Rule {
        id: rule.name.id,
        name: escape(&rule.name.rule),
        allows,
        flags,
        hits: rule.hits,
        hit_rate: rule.rates.map(|rates| rates.hits.into()),
        packets: rule.packets,
        packet_rate: rule.rates.map(|rates| rates.packets.into()),
        history,
        bytes: rule.bytes,
        byte_rate: rule.rates.map(|rates| rates.bytes.into()),
        live: rule.live_flows,
        idle,
        as_of: now,
        details,
    }
}

fn talkers_of(new: &TalkerLists, dropped: &TalkerLists, seconds: u64) -> [Vec<Talker>; 3] {
    let lists = [
        (&new.sources, &dropped.sources),
        (&new.targets, &dropped.targets),
        (&new.ports, &dropped.ports),
    ];
    lists.map(|(new, dropped)| {
        let mut found: BTreeMap<&str, Talker> = BTreeMap::new();
        for (list, is_new) in [(new, true), (dropped, false)] {
            for row in list {
                let talker = found.entry(&row.name).or_insert_with(|| Talker {
                    name: escape(&row.name),
                    ..Talker::default()
                });
                let rate = row.packets as f64 / seconds.max(1) as f64;
                *(if is_new {
                    &mut talker.new
                } else {
                    &mut talker.drops
                }) = rate;
                talker.error = talker
                    .error
                    .max(row.error as f64 / row.packets.max(1) as f64);
            }
        }
        let mut talkers: Vec<Talker> = found.into_values().collect();
        talkers.sort_by(|a, b| (b.drops + b.new).total_cmp(&(a.drops + a.new)));
        talkers
    })
}

fn block_of(block: &api::Block) -> Block {
    Block {
        prefix: block.prefix.clone(),
        left: block.remaining_seconds,
        reason: escape(&block.reason),
    }
}

fn facts_of(status: &api::Status) -> Vec<String> {
    let Some(daemon) = &status.daemon else {
        return Vec::new();
    };
    let mut facts = vec![format!(
        "bailey {} (pid {}), up {}",
        daemon.version,
        daemon.pid,
        crate::number::age(daemon.uptime_seconds)
    )];
    if let Some(seconds) = daemon.committed_seconds_ago {
        facts.push(format!(
            "policies committed {} ago",
            crate::number::age(seconds)
        ));
    }
    if let Some(entries) = &daemon.failsafe {
        facts.push(format!("failsafe: {}", escape(&entries.join("; "))));
    }
    for repaired in &daemon.interference {
        facts.push(format!(
            "repaired {} times: {} ({} ago): {}",
            repaired.count,
            repaired.kind,
            crate::number::age(repaired.last_seconds_ago),
            escape(&repaired.last)
        ));
    }
    facts.extend(
        daemon
            .warnings
            .iter()
            .map(|warning| format!("warning: {}", escape(warning))),
    );
    facts
}
