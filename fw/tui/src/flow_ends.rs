//! Flows and bytes of addresses and ports, as the daemon counts them every few seconds; rates from two counts.

use std::collections::HashMap;
use std::time::Instant;

use bailey_control::api_talkers::FlowTalker;

use crate::data::{Data, Talker};
use crate::text::escape;

/// Flows, bytes, and bytes per second since the count before.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    flows: u64,
    bytes: u64,
    rate: Option<f64>,
}

/// The last counts: by source, target, port.
#[derive(Debug, Default)]
pub(crate) struct FlowEnds {
    lists: [HashMap<String, Counted>; 3],
    at: Option<Instant>,
}

impl FlowEnds {
    /// Takes counts of this moment.
    pub(crate) fn count(&mut self, lists: [Vec<FlowTalker>; 3], at: Instant) {
        let seconds = self.at.map(|before| (at - before).as_secs_f64());
        for (known, rows) in self.lists.iter_mut().zip(lists) {
            let before = std::mem::take(known);
            for row in rows {
                let name = escape(&row.name);
                let last = before
                    .get(&name)
                    .zip(seconds.filter(|seconds| *seconds > 0.0));
                // A flow that has ended takes its bytes along.
                let rate = last
                    .map(|(last, seconds)| row.bytes.saturating_sub(last.bytes) as f64 / seconds);
                let counted = Counted {
                    flows: row.flows,
                    bytes: row.bytes,
                    rate,
                };
                known.insert(name, counted);
            }
        }
        self.at = Some(at);
    }

    /// Adds the counts to the talkers, and rows for those that are no talkers yet.
    pub(crate) fn add_to(&self, data: &mut Data, at: Instant) {
        let Some(counted_at) = self.at else {
            return;
        };
        data.flows_counted = Some((at - counted_at).as_secs());
        for (talkers, counted) in data.talkers.lists.iter_mut().zip(&self.lists) {
            let mut left = counted.clone();
            for talker in talkers.iter_mut() {
                let counted = left.remove(&talker.name);
                talker.flows = counted.map(|counted| counted.flows);
                talker.byte_rate = counted.and_then(|counted| counted.rate);
            }
            talkers.extend(left.into_iter().map(|(name, counted)| Talker {
                name,
                flows: Some(counted.flows),
                byte_rate: counted.rate,
                ..Talker::default()
            }));
        }
        let mut sources: Vec<(String, u64)> = self.lists[0]
            .iter()
            .map(|(name, counted)| (name.clone(), counted.flows))
            .collect();
        sources.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        data.flow_sources = sources;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(name: &str, flows: u64, bytes: u64) -> FlowTalker {
        FlowTalker {
            name: name.into(),
            flows,
            bytes,
        }
    }

    #[test]
    fn rates_need_two_counts() {
        let begun = bailey_clock::now();
        let mut ends = FlowEnds::default();
        ends.count([vec![row("a", 2, 1000)], vec![], vec![]], begun);
        let later = begun + Duration::from_secs(4);
        let rows = vec![row("a", 3, 9000), row("b", 9, 50)];
        ends.count([rows, vec![], vec![]], later);
        let mut data = Data::default();
        data.talkers.lists[0].push(Talker {
            name: "a".into(),
            drops: 1.0,
            ..Talker::default()
        });
        ends.add_to(&mut data, later + Duration::from_secs(2));
        let [sources, ..] = &data.talkers.lists;
        assert_eq!(
            (sources[0].flows, sources[0].byte_rate),
            (Some(3), Some(2000.0))
        );
        assert_eq!((sources[1].flows, sources[1].byte_rate), (Some(9), None));
        assert_eq!(data.flow_sources[0], ("b".to_owned(), 9));
        assert_eq!(data.flows_counted, Some(2));
    }
}
