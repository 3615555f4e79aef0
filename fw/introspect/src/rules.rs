//! Rules with their counters, and the search for rules by name.

use bailey_bpf::abi;
use bailey_config::nearest::nearest;
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::kernel::clock::Ticks;
use bailey_datapath::observe::counters::Counters;
use bailey_datapath::observe::rule_counts::RuleCounts;
use bailey_state::rule_ids::RuleNames;
use bailey_state::rule_name::{RuleName, StoredKey};

use crate::live_state::LiveState;

/// Implicit rules, which exist without any policy.
pub(crate) const IMPLICIT: [u32; 4] = [
    abi::RULE_NOT_ISOLATED,
    abi::RULE_OWN_NODE,
    abi::RULE_SELF,
    abi::RULE_UNKNOWN_ADDRESS,
];

impl LiveState {
    /// The rules that match a name, with all details.
    ///
    /// # Errors
    /// If a pinned map cannot be read. The inner error: no rule matches; the text suggests the
    /// nearest name.
    pub fn rules_named(&self, name: &str) -> Result<Result<api::Rules, String>, DatapathError> {
        let names = self.names();
        let ids = match find_rule_ids(&names, name) {
            Ok(ids) => ids,
            Err(message) => return Ok(Err(message)),
        };
        let counts = Counters::open(&self.pins)?.rules();
        let key = |id: &u32| names.find(*id).and_then(|rule| rule.key.clone());
        let keys: Vec<Option<StoredKey>> = ids.iter().map(key).collect();
        let rules = ids.into_iter();
        let rules = rules.map(|id| rule_to_api(&names, &counts, id, false));
        let mut rules: Vec<api::Rule> = rules.collect();
        self.add_details(&mut rules, &keys);
        Ok(Ok(api::Rules {
            stamp: self.stamp()?,
            rules,
        }))
    }
}

/// Ids of the rules that match a name: a short or long rule name, a rule id, or a policy. A policy
/// matches all of its rules and the default-denies of endpoints that it isolates.
///
/// # Errors
/// If no rule matches; the text suggests the nearest name.
pub(crate) fn find_rule_ids(names: &RuleNames, wanted: &str) -> Result<Vec<u32>, String> {
    let wanted = wanted.trim();
    if let Ok(id) = wanted.parse() {
        return Ok(vec![id]);
    }

    // Active rules, retired rules, implicit rules.
    let known = names.rules.iter().chain(&names.retired);
    let mut ids: Vec<u32> = known
        .clone()
        .filter(|rule| {
            policy_names(rule).iter().any(|policy| policy == wanted)
                || rule.long() == wanted
                || names.label(rule.id) == wanted
                || rule.short() == wanted
        })
        .map(|rule| rule.id)
        .collect();
    ids.extend(IMPLICIT.into_iter().filter(|&id| names.label(id) == wanted));
    if !ids.is_empty() {
        return Ok(ids);
    }

    // Suggest the nearest name.
    let policies = known.clone().flat_map(policy_names);
    let labels = known.map(RuleName::short).chain(policies);
    let labels = labels.chain(IMPLICIT.map(|id| names.label(id)));
    Err(format!(
        "no rule is named {wanted:?}{}; `bailey rules` lists them",
        nearest(wanted, labels)
    ))
}

/// Policies of a rule as `namespace/name`: the policy with the rule, or the policies that isolate.
fn policy_names(rule: &RuleName) -> Vec<String> {
    match &rule.key {
        Some(StoredKey::Rule {
            namespace, name, ..
        }) => vec![format!("{namespace}/{name}")],
        Some(StoredKey::DefaultDeny { policies, .. }) => policies
            .iter()
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect(),
        None => Vec::new(),
    }
}

/// The name of a rule id as an API value.
pub(crate) fn name_to_api(names: &RuleNames, id: u32) -> api::RuleName {
    let mut name = api::RuleName {
        id,
        rule: names.label(id),
        kind: String::new(),
        verdict: None,
        direction: None,
        namespace: None,
        policy: None,
        index: None,
        removed: false,
    };

    // Implicit rules have neither policy nor direction.
    let (kind, verdict) = match id {
        abi::RULE_NONE => ("none", None),
        abi::RULE_UNKNOWN_ADDRESS => ("unknown-address", Some("deny")),
        abi::RULE_NOT_ISOLATED => ("not-isolated", Some("allow")),
        abi::RULE_OWN_NODE => ("own-node", Some("allow")),
        abi::RULE_SELF => ("self", Some("allow")),
        _ => {
            name.removed = !names.is_in_use(id);
            match names.find(id).and_then(|rule| rule.key.as_ref()) {
                None => ("removed", None),
                Some(StoredKey::Rule {
                    direction,
                    namespace,
                    name: policy,
                    index,
                }) => {
                    name.direction = Some(direction.name().to_owned());
                    name.namespace = Some(namespace.clone());
                    name.policy = Some(policy.clone());
                    name.index = Some(*index);
                    ("rule", Some("allow"))
                }
                Some(StoredKey::DefaultDeny {
                    direction,
                    policies,
                }) => {
                    name.direction = Some(direction.name().to_owned());
                    name.namespace = policies.first().map(|(namespace, _)| namespace.clone());
                    ("default-deny", Some("deny"))
                }
            }
        }
    };
    name.kind = kind.to_owned();
    name.verdict = verdict.map(ToOwned::to_owned);
    name
}

/// A rule with its counters. A list has no long names, and only some of the isolating policies.
pub(crate) fn rule_to_api(
    names: &RuleNames,
    counts: &RuleCounts,
    id: u32,
    in_list: bool,
) -> api::Rule {
    let count = counts.get(id);
    let named = names.find(id);
    let policies = match named.and_then(|rule| rule.key.as_ref()) {
        Some(StoredKey::DefaultDeny { policies, .. }) => Some(policies),
        _ => None,
    };

    // Policies of a default-deny.
    let shown = if in_list {
        api::ISOLATED_BY
    } else {
        usize::MAX
    };
    let isolated_by = policies.into_iter().flatten().take(shown);

    // Ports, peers and location of a rule; absent if they are not known.
    let text = named.filter(|rule| matches!(rule.key, Some(StoredKey::Rule { .. })));
    let text = text
        .map(|rule| rule.text.clone())
        .filter(|text| text.line.is_some());
    let name = name_to_api(names, id);
    let full_name = named.filter(|_| !in_list).map(RuleName::long);
    api::Rule {
        full_name,
        name,
        isolating_policies: policies.map(Vec::len),
        isolated_by: isolated_by
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect(),
        ports: text.as_ref().map(|text| text.ports.clone()),
        peers: text.as_ref().map(|text| text.peers.clone()),
        file: text.as_ref().and_then(|text| text.file.clone()),
        line: text.and_then(|text| text.line),
        endpoints: Vec::new(),
        endpoints_total: None,
        last_packets: Vec::new(),
        hits: count.hits,
        packets: count.packets,
        bytes: count.bytes,
        rate_limited: count.limited,
        live_flows: count.live,
        idle_seconds: count.seen.map(|seen| Ticks::now().seconds_since(seen)),
        rates: None,
        recent: Vec::new(),
    }
}
