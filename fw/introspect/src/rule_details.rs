//! Details in a query for one rule: the endpoints that the rule concerns, and its last packets.

use std::collections::BTreeMap;

use bailey_control::api;
use bailey_control::api_records::{PacketRecord, RecordFilter};
use bailey_policy::{Direction, NetworkPolicy, PolicyRef, Snapshot};
use bailey_state::rule_name::StoredKey;

use crate::live_state::LiveState;

impl LiveState {
    /// Adds endpoints and last packets to rules. Endpoints are known to a running daemon only.
    pub(crate) fn add_details(&self, rules: &mut [api::Rule], keys: &[Option<StoredKey>]) {
        let inventory = self.inventory();
        for (rule, key) in rules.iter_mut().zip(keys) {
            let (Some(snapshot), Some(key)) = (&inventory, key) else {
                continue;
            };
            let endpoints = endpoints(snapshot, key);
            rule.endpoints_total = Some(endpoints.len());
            rule.endpoints = endpoints.into_iter().take(api::RULE_ENDPOINTS).collect();
        }
        let mut last = self.last_packets(rules);
        for rule in rules {
            rule.last_packets = last.remove(&rule.name.id).unwrap_or_default();
        }
    }

    /// The last recorded packets that each rule decided, the oldest first.
    fn last_packets(&self, rules: &[api::Rule]) -> BTreeMap<u32, Vec<PacketRecord>> {
        let filter = RecordFilter {
            rule: rules.iter().map(|rule| rule.name.id.to_string()).collect(),
            ..RecordFilter::default()
        };
        let Ok(Ok(mut source)) = self.records(filter, false, self.inventory()) else {
            return BTreeMap::new();
        };
        let mut last = BTreeMap::<u32, Vec<PacketRecord>>::new();
        for (_, record) in source.read().records.into_iter().rev() {
            let deciders = [&record.egress_rule, &record.ingress_rule];
            for decider in deciders.into_iter().flatten() {
                let packets = last.entry(decider.name.id).or_default();
                if packets.len() < api::RULE_PACKETS {
                    packets.push(record.clone());
                }
            }
        }
        last.values_mut().for_each(|packets| packets.reverse());
        last
    }
}

/// Names of the endpoints that the policy of a rule selects, or that a default deny isolates.
fn endpoints(snapshot: &Snapshot, key: &StoredKey) -> Vec<String> {
    let find = |namespace: &str, name: &str| {
        let mut policies = snapshot.policies().iter();
        policies.find(|p| p.id.namespace == namespace && p.id.name == name)
    };
    match key {
        StoredKey::Rule {
            namespace, name, ..
        } => {
            let selected = find(namespace, name).map(|policy| snapshot.selected_by(policy));
            let selected = selected.into_iter().flatten();
            selected.map(|endpoint| endpoint.id.to_string()).collect()
        }
        StoredKey::DefaultDeny {
            direction,
            policies,
        } => {
            let Some((namespace, name)) = policies.first() else {
                return Vec::new();
            };
            let Some(first) = find(namespace, name) else {
                return Vec::new();
            };
            let all: Vec<PolicyRef> = policies
                .iter()
                .map(|(namespace, name)| PolicyRef {
                    namespace: namespace.clone(),
                    name: name.clone(),
                })
                .collect();
            let selected = snapshot.selected_by(first);
            let isolated = selected.filter(|endpoint| {
                let others = snapshot.policies().iter();
                let isolating = others.filter(|policy| {
                    isolates(policy, (*direction).into())
                        && policy.id.namespace == endpoint.id.namespace
                        && policy.pod_selector.matches(&endpoint.labels)
                });
                isolating.map(|policy| &policy.id).eq(all.iter())
            });
            isolated.map(|endpoint| endpoint.id.to_string()).collect()
        }
    }
}

fn isolates(policy: &NetworkPolicy, direction: Direction) -> bool {
    policy.rules(direction).is_some()
}
