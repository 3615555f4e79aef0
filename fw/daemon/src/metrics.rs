//! The daemon's numbers as metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bailey_bpf::abi;
use bailey_control::MetricsFormat;
use bailey_control::api::{self, RuleName};
use bailey_introspect::{ActivePolicies, CLASS_NAMES, RuleBook, Sample, without_keys};
use bailey_policy::{Direction, Snapshot};
use bailey_telemetry::metrics::{
    Exposition, RecordClass, RuleNumbers, RuleSeries, Scrape, exposition,
};

use crate::events::Events;
use crate::flow_log::FlowLogState;
use crate::health::Health;

/// The sources of a scrape, and the choice of rules, which stays from scrape to scrape.
pub(crate) struct MetricsSource {
    health: Health,
    events: Events,
    flow_log: FlowLogState,
    policies: ActivePolicies,
    series: Mutex<RuleSeries>,
}

impl MetricsSource {
    /// At most `limit` rules have series of their own.
    pub(crate) fn new(
        health: Health,
        events: Events,
        flow_log: FlowLogState,
        policies: ActivePolicies,
        limit: usize,
    ) -> Self {
        Self {
            health,
            events,
            flow_log,
            policies,
            series: Mutex::new(RuleSeries::new(limit)),
        }
    }

    /// All metrics, in the format that the `Accept` header asks for.
    pub(crate) fn render(
        &self,
        status: &api::Status,
        sample: &Sample,
        book: &RuleBook,
        accept: &str,
    ) -> MetricsFormat {
        let format = Exposition::accepted(accept);
        let snapshot = self.policies.snapshot();
        let names = book.names();
        let is_policy = |name: &&RuleName| name.id >= abi::RULE_FIRST;
        let counters = without_keys(sample.counter_rows());
        let flow_stats = sample.flow_stats(status.stamp.clone(), status.flow_table);
        let beats = self.health.beats();
        let readers = [
            ("daemon", self.events.lost()),
            ("flow-log", self.flow_log.lost()),
        ];
        let lost = readers.iter().flat_map(|(reader, lost)| {
            lost.iter()
                .map(move |(class, lost)| (*class, *reader, *lost))
        });
        let scrape = Scrape {
            status,
            counters: &counters,
            flow_stats: &flow_stats,
            policy_rules: names.iter().filter(is_policy).count() as u64,
            policy_endpoints: snapshot.as_ref().map_or(0, |known| known.endpoints().len()) as u64,
            blocks_limit: u64::from(abi::BLOCK_HOSTS + abi::BLOCK_PREFIXES),
            records: &record_classes(sample),
            lost: &lost.collect::<Vec<_>>(),
            traffic: &self.events.traffic(),
            default_deny: &snapshot.as_deref().map(default_deny).unwrap_or_default(),
            beats: &beats
                .iter()
                .map(|(name, time)| (*name, unix_seconds(*time)))
                .collect::<Vec<_>>(),
            flow_log_last_write: self.flow_log.last_write().map(unix_seconds),
        };
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = |id: u32| numbers_of(sample, id);
        let text = exposition(
            self.health.metrics(),
            &scrape,
            &mut series,
            names,
            &numbers,
            format,
        );
        MetricsFormat {
            content_type: format.content_type(),
            text,
        }
    }
}

fn numbers_of(sample: &Sample, id: u32) -> RuleNumbers {
    let count = sample.rules.get(id);
    RuleNumbers {
        hits: count.hits,
        packets: count.packets,
        bytes: count.bytes,
        limited: count.limited,
        live: count.live,
        last_packet: sample.last_packet(id),
    }
}

fn record_classes(sample: &Sample) -> Vec<RecordClass> {
    let classes = CLASS_NAMES.into_iter().zip(&sample.records);
    classes
        .map(|(class, count)| RecordClass {
            class,
            written: count.written,
        })
        .collect()
}

/// For each namespace and direction, whether a policy selects all endpoints of the namespace and has no
/// rule.
fn default_deny(snapshot: &Snapshot) -> Vec<(String, String, bool)> {
    let mut isolated: BTreeMap<(&str, String), bool> = BTreeMap::new();
    for namespace in snapshot.namespaces().keys() {
        for direction in Direction::BOTH {
            isolated.insert((namespace, direction.to_string()), false);
        }
    }
    for policy in snapshot.policies() {
        for direction in Direction::BOTH {
            let denies = policy.rules(direction).is_some_and(<[_]>::is_empty);
            if denies && policy.pod_selector.0.is_empty() {
                isolated.insert((&policy.id.namespace, direction.to_string()), true);
            }
        }
    }
    let rows = isolated.into_iter();
    rows.map(|((namespace, direction), isolates)| (namespace.to_owned(), direction, isolates))
        .collect()
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
