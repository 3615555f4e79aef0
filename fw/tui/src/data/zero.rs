//! Counters since a moment: what was counted before is subtracted on the screen only.

use std::collections::HashMap;
use std::sync::Arc;

use crate::data::Data;

/// The counters at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Zero {
    /// Time of the day.
    pub time: String,
    /// Hits, packets and bytes by the id of the rule.
    rules: HashMap<u32, [u64; 3]>,
    /// Packets by reason and interface.
    drops: HashMap<(String, String), u64>,
}

impl Zero {
    /// The counters of this data.
    pub fn at(data: &Data, time: &str) -> Self {
        let rules = data.rules.iter();
        let drops = data.drops.iter();
        Self {
            time: time.to_owned(),
            rules: rules
                .map(|rule| (rule.id, [rule.hits, rule.packets, rule.bytes]))
                .collect(),
            drops: drops
                .map(|drop| ((drop.reason.clone(), drop.interface.clone()), drop.count))
                .collect(),
        }
    }

    /// Subtracts the counters. One that went back since, counts from its own start.
    pub fn subtract_from(&self, data: &mut Data) {
        let less =
            |value: &mut u64, before: u64| *value = value.checked_sub(before).unwrap_or(*value);
        for rule in &mut data.rules {
            let rule = Arc::make_mut(rule);
            let [hits, packets, bytes] = self.rules.get(&rule.id).copied().unwrap_or_default();
            less(&mut rule.hits, hits);
            less(&mut rule.packets, packets);
            less(&mut rule.bytes, bytes);
        }
        for drop in &mut data.drops {
            let key = (drop.reason.clone(), drop.interface.clone());
            less(
                &mut drop.count,
                self.drops.get(&key).copied().unwrap_or_default(),
            );
        }
        data.counts_since = Some(format!("{}Z", self.time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Drop, Rule};

    #[test]
    fn counters_begin_at_zero() {
        let mut data = Data {
            rules: vec![Arc::new(Rule {
                id: 7,
                hits: 5,
                packets: 9,
                bytes: 900,
                ..Rule::default()
            })],
            drops: vec![Drop {
                reason: "policy".into(),
                count: 3,
                ..Drop::default()
            }],
            ..Data::default()
        };
        let zero = Zero::at(&data, "03:12:07");
        Arc::make_mut(&mut data.rules[0]).packets = 11;
        // Lost with a restart.
        Arc::make_mut(&mut data.rules[0]).hits = 2;
        data.rules.push(Arc::new(Rule {
            id: 8,
            hits: 4,
            ..Rule::default()
        }));
        data.drops[0].count = 4;
        zero.subtract_from(&mut data);
        let rule = &data.rules[0];
        assert_eq!((rule.hits, rule.packets, rule.bytes), (2, 2, 0));
        assert_eq!((data.rules[1].hits, data.drops[0].count), (4, 1));
        assert_eq!(data.counts_since.as_deref(), Some("03:12:07Z"));
    }
}
