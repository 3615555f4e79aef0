//! The talkers of dropped and of new traffic: sources, targets, ports and rules of the last minutes.

use std::cmp::Reverse;
use std::net::IpAddr;

use bailey_control::api_talkers::{Talker, TalkerLists};
use rustc_hash::FxHashMap;

use crate::space_saving::SpaceSaving;

/// Keys of each kind.
const KEYS: usize = 1024;
/// Seconds after which the older half is forgotten.
const HALF_SECONDS: u64 = 60;

/// The fields of a record that talkers count.
#[derive(Debug, Clone, Copy)]
pub struct TalkerEvent {
    /// Source and destination; `None` if the frame has no addresses.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// Destination port and protocol number; `None` without ports.
    pub port: Option<(u16, u8)>,
    /// The rule that decided.
    pub rule: Option<u32>,
    /// Whether the packet was dropped.
    pub is_dropped: bool,
    /// Number of packets for which the record stands.
    pub weight: u64,
}

/// Counts of one half: of dropped or of new traffic.
#[derive(Debug, Clone)]
struct Counts {
    sources: SpaceSaving<IpAddr>,
    targets: SpaceSaving<IpAddr>,
    ports: SpaceSaving<(u16, u8)>,
    rules: SpaceSaving<u32>,
}

impl Counts {
    fn new() -> Self {
        Self {
            sources: SpaceSaving::new(KEYS),
            targets: SpaceSaving::new(KEYS),
            ports: SpaceSaving::new(KEYS),
            rules: SpaceSaving::new(KEYS),
        }
    }

    fn add(&mut self, event: &TalkerEvent) {
        if let Some((source, target)) = event.ends {
            self.sources.add(source, event.weight);
            self.targets.add(target, event.weight);
        }
        if let Some(port) = event.port {
            self.ports.add(port, event.weight);
        }
        if let Some(rule) = event.rule {
            self.rules.add(rule, event.weight);
        }
    }
}

/// Counts of one to two minutes: the present half, and the one before.
#[derive(Debug)]
pub struct Talkers {
    /// By half, then dropped and new.
    halves: [[Counts; 2]; 2],
    /// Second in which the present half began.
    began: u64,
    /// Second in which the half before began.
    began_before: u64,
}

impl Talkers {
    /// No records yet. `now`: seconds since some start.
    pub fn new(now: u64) -> Self {
        let half = || [Counts::new(), Counts::new()];
        Self {
            halves: [half(), half()],
            began: now,
            began_before: now,
        }
    }

    /// Counts a record.
    pub fn add(&mut self, event: &TalkerEvent) {
        self.halves[0][usize::from(!event.is_dropped)].add(event);
    }

    /// Forgets the older half, if the present one is complete.
    pub fn advance(&mut self, now: u64) {
        if now >= self.began + HALF_SECONDS {
            self.halves.swap(0, 1);
            self.halves[0] = [Counts::new(), Counts::new()];
            self.began_before = self.began;
            self.began = now;
        }
    }

    /// Seconds that the counts cover.
    pub fn seconds(&self, now: u64) -> u64 {
        now.saturating_sub(self.began_before).max(1)
    }

    /// The talkers of dropped (`true`) or new traffic, at most `limit` of each kind.
    pub fn lists(
        &self,
        is_dropped: bool,
        limit: usize,
        now: u64,
        rule_name: &dyn Fn(u32) -> String,
    ) -> TalkerLists {
        let [present, before] = &self.halves;
        let at = usize::from(!is_dropped);
        let (present, before) = (&present[at], &before[at]);
        let seconds = self.seconds(now);
        TalkerLists {
            sources: rows([&present.sources, &before.sources], limit, seconds, |key| {
                key.to_string()
            }),
            targets: rows([&present.targets, &before.targets], limit, seconds, |key| {
                key.to_string()
            }),
            ports: rows(
                [&present.ports, &before.ports],
                limit,
                seconds,
                |(port, protocol)| {
                    let name = match protocol {
                        6 => "TCP".to_owned(),
                        17 => "UDP".to_owned(),
                        132 => "SCTP".to_owned(),
                        other => other.to_string(),
                    };
                    format!("{port}/{name}")
                },
            ),
            rules: rows([&present.rules, &before.rules], limit, seconds, |id| {
                rule_name(*id)
            }),
        }
    }
}

/// The greatest sums of two sketches.
fn rows<K: Copy + Eq + std::hash::Hash>(
    halves: [&SpaceSaving<K>; 2],
    limit: usize,
    seconds: u64,
    name: impl Fn(&K) -> String,
) -> Vec<Talker> {
    let mut sums: FxHashMap<K, (u64, u64)> = FxHashMap::default();
    for entry in halves.iter().flat_map(|half| half.entries()) {
        let (count, error) = sums.entry(entry.key).or_default();
        *count += entry.count;
        *error += entry.error;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, (count, _))| Reverse(*count));
    let top = sums.into_iter().take(limit);
    top.map(|(key, (count, error))| Talker {
        name: name(&key),
        packets: count,
        packets_per_second: count as f64 / seconds as f64,
        error,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(source: u8, is_dropped: bool) -> TalkerEvent {
        let source = IpAddr::from([10, 0, 0, source]);
        TalkerEvent {
            ends: Some((source, IpAddr::from([10, 1, 0, 1]))),
            port: Some((80, 6)),
            rule: Some(17),
            is_dropped,
            weight: 1,
        }
    }

    #[test]
    fn talkers_are_summed_over_two_halves() {
        let mut talkers = Talkers::new(0);
        let names = |id: u32| format!("rule {id}");
        for source in [1, 1, 1, 2] {
            talkers.add(&event(source, true));
        }
        talkers.add(&event(9, false));
        talkers.advance(60);
        talkers.add(&event(2, true));
        let lists = talkers.lists(true, 10, 90, &names);
        let found: Vec<_> = lists
            .sources
            .iter()
            .map(|row| (row.name.as_str(), row.packets))
            .collect();
        assert_eq!(found, [("10.0.0.1", 3), ("10.0.0.2", 2)]);
        assert_eq!(
            (lists.ports[0].name.as_str(), lists.ports[0].packets),
            ("80/TCP", 5)
        );
        assert_eq!(lists.rules[0].name, "rule 17");
        assert_eq!(lists.sources[0].packets_per_second, 3.0 / 90.0);
        talkers.advance(120);
        let lists = talkers.lists(true, 10, 121, &names);
        assert_eq!(lists.sources.len(), 1);
        assert!(talkers.lists(false, 10, 121, &names).sources.is_empty());
    }
}
