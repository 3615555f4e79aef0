//! Series of rules: a limited number, so that a large policy set does not overload the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailey_control::api::RuleName;

use super::family::{Family, Labels, Values};

/// Numbers of one rule.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RuleNumbers {
    /// New flows, or denied openings.
    pub hits: u64,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Packets beyond the rule's rate limit.
    pub limited: u64,
    /// Live flows.
    pub live: u64,
    /// Time of the last packet, in seconds since 1970; `None` without packets.
    pub last_packet: Option<f64>,
}

impl RuleNumbers {
    fn counters(&self) -> [u64; 4] {
        [self.hits, self.packets, self.bytes, self.limited]
    }
}

/// Chooses the rules that have series of their own, and sums up the others.
#[derive(Debug)]
pub struct RuleSeries {
    limit: usize,
    /// Rules with series of their own, by id. A rule stays as long as it exists.
    shown: BTreeMap<u32, (RuleName, Labels)>,
    /// Last counters of the other rules.
    others: BTreeMap<u32, [u64; 4]>,
    /// Sums of the other rules. They grow only.
    other: [u64; 4],
}

impl RuleSeries {
    /// At most `limit` rules have series of their own.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            shown: BTreeMap::new(),
            others: BTreeMap::new(),
            other: [0; 4],
        }
    }

    /// The families of all rules.
    pub(crate) fn families(
        &mut self,
        names: &[RuleName],
        numbers: &dyn Fn(u32) -> RuleNumbers,
    ) -> Vec<Family> {
        self.choose(names, numbers);
        let mut counters: [Vec<(Labels, u64)>; 4] = Default::default();
        let (mut live, mut last) = (Vec::new(), Vec::new());
        for (id, (_, labels)) in &self.shown {
            let numbers = numbers(*id);
            for (values, number) in counters.iter_mut().zip(numbers.counters()) {
                values.push((Arc::clone(labels), number));
            }
            live.push((Arc::clone(labels), numbers.live as f64));
            last.extend(numbers.last_packet.map(|time| (Arc::clone(labels), time)));
        }
        if names.len() > self.shown.len() {
            let labels = labels_of(["", "", "", "other", ""]);
            let mut live_of_others = 0;
            for name in names
                .iter()
                .filter(|name| !self.shown.contains_key(&name.id))
            {
                let numbers = numbers(name.id);
                live_of_others += numbers.live;
                let known = self.others.entry(name.id).or_default();
                for (sum, (now, before)) in self
                    .other
                    .iter_mut()
                    .zip(numbers.counters().iter().zip(*known))
                {
                    *sum += now.saturating_sub(before);
                }
                *known = numbers.counters();
            }
            for (values, sum) in counters.iter_mut().zip(self.other) {
                values.push((Arc::clone(&labels), sum));
            }
            live.push((labels, live_of_others as f64));
        }
        let [hits, packets, bytes, limited] = counters.map(Values::Counters);
        let family = |name, help, values| Family { name, help, values };
        vec![
            family(
                "rule_hits",
                "New flows that the rule allowed, or connections that it denied",
                hits,
            ),
            family("rule_packets", "Packets of all flows of the rule", packets),
            family("rule_bytes", "Bytes of these packets at layer 2", bytes),
            family(
                "rule_limited",
                "Packets of new connections beyond the rule's rate limit",
                limited,
            ),
            family(
                "rule_live_flows",
                "Flows of the rule that both ends have sent packets of",
                Values::Gauges(live),
            ),
            family(
                "rule_last_packet_timestamp_seconds",
                "Time of the rule's last packet",
                Values::Gauges(last),
            ),
        ]
    }

    /// Forgets rules that no longer exist; free places go to the rules with most packets.
    fn choose(&mut self, names: &[RuleName], numbers: &dyn Fn(u32) -> RuleNumbers) {
        let by_id: BTreeMap<u32, &RuleName> = names.iter().map(|name| (name.id, name)).collect();
        self.shown
            .retain(|id, (name, _)| by_id.get(id).is_some_and(|now| **now == *name));
        self.others.retain(|id, _| by_id.contains_key(id));
        let free = self.limit.saturating_sub(self.shown.len());
        if free == 0 || self.shown.len() == names.len() {
            return;
        }
        let mut candidates: Vec<&RuleName> = names
            .iter()
            .filter(|name| !self.shown.contains_key(&name.id))
            .collect();
        if candidates.len() > free {
            candidates
                .sort_by_cached_key(|name| (std::cmp::Reverse(numbers(name.id).packets), name.id));
            candidates.truncate(free);
        }
        for name in candidates {
            self.others.remove(&name.id);
            let entry = (name.clone(), labels_of_rule(name));
            self.shown.insert(name.id, entry);
        }
    }
}

fn labels_of_rule(name: &RuleName) -> Labels {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let direction = text(&name.direction);
    let rule = match name.index {
        Some(index) => format!("{direction}[{index}]"),
        None => name.kind.clone(),
    };
    labels_of([
        &text(&name.namespace),
        &text(&name.policy),
        &direction,
        &rule,
        &text(&name.verdict),
    ])
}

fn labels_of(values: [&str; 5]) -> Labels {
    let names = ["namespace", "policy", "direction", "rule", "action"];
    let labels = names.into_iter().zip(values.map(ToOwned::to_owned));
    labels.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: u32) -> RuleName {
        RuleName {
            id,
            rule: format!("rule {id}"),
            kind: "rule".into(),
            verdict: Some("allow".into()),
            direction: Some("ingress".into()),
            namespace: Some("shop".into()),
            policy: Some("web".into()),
            index: Some(id as usize),
            removed: false,
        }
    }

    /// Packets by the label `rule`.
    fn packets(
        series: &mut RuleSeries,
        names: &[RuleName],
        packets: &[u64],
    ) -> BTreeMap<String, u64> {
        let numbers = |id: u32| RuleNumbers {
            packets: packets[id as usize],
            ..RuleNumbers::default()
        };
        let families = series.families(names, &numbers);
        let Values::Counters(values) = &families[1].values else {
            panic!("{families:?}")
        };
        values
            .iter()
            .map(|(labels, value)| (labels[3].1.clone(), *value))
            .collect()
    }

    #[test]
    fn busiest_rules_have_series_and_keep_them() {
        let mut series = RuleSeries::new(2);
        let names: Vec<RuleName> = (0..4).map(rule).collect();
        let expected = |rows: &[(&str, u64)]| -> BTreeMap<String, u64> {
            rows.iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect()
        };
        assert_eq!(
            packets(&mut series, &names, &[5, 1, 2, 9]),
            expected(&[("ingress[0]", 5), ("ingress[3]", 9), ("other", 3)])
        );
        // Rule 1 becomes the busiest: it stays among the others.
        assert_eq!(
            packets(&mut series, &names, &[5, 100, 2, 9]),
            expected(&[("ingress[0]", 5), ("ingress[3]", 9), ("other", 102)])
        );
        // Rule 0 is removed: rule 1 takes its place, and the sum of the others does not go down.
        assert_eq!(
            packets(&mut series, &names[1..], &[0, 101, 4, 9]),
            expected(&[("ingress[1]", 101), ("ingress[3]", 9), ("other", 104)])
        );
    }
}
