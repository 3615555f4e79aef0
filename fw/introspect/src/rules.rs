use bailey_bpf::abi;
use bailey_config::nearest::nearest;
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::kernel::clock::Ticks;
use bailey_datapath::observe::counters::Counters;
use bailey_state::rule_ids::RuleNames;
use bailey_state::rule_name::{RuleName, StoredKey};

use crate::live_state::LiveState;

/// The rules that are always there.
const FIXED: [u32; 4] = [
    abi::RULE_NOT_ISOLATED,
    abi::RULE_OWN_NODE,
    abi::RULE_SELF,
    abi::RULE_UNKNOWN_ADDRESS,
];

impl LiveState {
    /// Every rule of the generation in force; and what counted and has no name any more.
    ///
    /// # Errors
    /// If what is pinned cannot be read.
    pub fn rules(&self) -> Result<api::Rules, DatapathError> {
        let counters = Counters::open(&self.pins)?;
        let stamp = self.stamp()?;
        let names = match stamp.generation {
            // Nothing has been put into force: what the file names was in force before a detach.
            0 => RuleNames::default(),
            _ => self.names(),
        };
        let ids = names.rules.iter().map(|rule| rule.id).chain(FIXED);
        let mut ids: Vec<u32> = ids.collect();
        if names.rules.is_empty() {
            let nameless = abi::RULE_FIRST..counters.rule_count();
            ids.extend(nameless.filter(|&id| counters.rule(id).packets > 0));
        }
        let rules = ids.into_iter();
        Ok(api::Rules {
            stamp,
            rules: rules.map(|id| rule(&names, &counters, id, true)).collect(),
        })
    }

    /// The rules that a name means, with all there is to say of each.
    ///
    /// # Errors
    /// If no rule has that name, with the nearest one; or what is pinned cannot be read.
    pub fn rules_named(&self, name: &str) -> Result<Result<api::Rules, String>, DatapathError> {
        let names = self.names();
        let ids = match matching(&names, name) {
            Ok(ids) => ids,
            Err(message) => return Ok(Err(message)),
        };
        let counters = Counters::open(&self.pins)?;
        let rules = ids.into_iter();
        Ok(Ok(api::Rules {
            stamp: self.stamp()?,
            rules: rules.map(|id| rule(&names, &counters, id, false)).collect(),
        }))
    }
}

/// The rules that a name means: in either form, a number, or a policy for all of its rules and for the denials
/// of whom it isolates.
///
/// # Errors
/// If it means none, with the nearest name.
pub(crate) fn matching(names: &RuleNames, wanted: &str) -> Result<Vec<u32>, String> {
    let wanted = wanted.trim();
    if let Ok(id) = wanted.parse() {
        return Ok(vec![id]);
    }
    let known = names.rules.iter().chain(&names.retired);
    let mut ids: Vec<u32> = known
        .clone()
        .filter(|rule| {
            policies_of(rule).iter().any(|policy| policy == wanted)
                || rule.long() == wanted
                || names.label(rule.id) == wanted
                || rule.short() == wanted
        })
        .map(|rule| rule.id)
        .collect();
    ids.extend(FIXED.into_iter().filter(|&id| names.label(id) == wanted));
    if !ids.is_empty() {
        return Ok(ids);
    }
    let policies = known.clone().flat_map(policies_of);
    let labels = known.map(RuleName::short).chain(policies);
    let labels = labels.chain(FIXED.map(|id| names.label(id)));
    Err(format!(
        "no rule is named {wanted:?}{}; `bailey rules` lists them",
        nearest(wanted, labels)
    ))
}

/// The policies of a rule, as `namespace/name`: its own, or those that isolate.
fn policies_of(rule: &RuleName) -> Vec<String> {
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

/// The name of a rule id in the words of the API.
pub(crate) fn name_of(names: &RuleNames, id: u32) -> api::RuleName {
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

fn rule(names: &RuleNames, counters: &Counters, id: u32, in_list: bool) -> api::Rule {
    let count = counters.rule(id);
    let named = names.find(id);
    let policies = match named.and_then(|rule| rule.key.as_ref()) {
        Some(StoredKey::DefaultDeny { policies, .. }) => Some(policies),
        _ => None,
    };
    let shown = if in_list {
        api::ISOLATED_BY
    } else {
        usize::MAX
    };
    let isolated_by = policies.into_iter().flatten().take(shown);
    let said = named.filter(|rule| matches!(rule.key, Some(StoredKey::Rule { .. })));
    let said = said
        .map(|rule| rule.text.clone())
        .filter(|text| text.line.is_some());
    let name = name_of(names, id);
    let full_name = named.filter(|_| !in_list).map(RuleName::long);
    api::Rule {
        full_name,
        name,
        isolating_policies: policies.map(Vec::len),
        isolated_by: isolated_by
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect(),
        ports: said.as_ref().map(|text| text.ports.clone()),
        peers: said.as_ref().map(|text| text.peers.clone()),
        file: said.as_ref().and_then(|text| text.file.clone()),
        line: said.and_then(|text| text.line),
        hits: count.hits,
        packets: count.packets,
        bytes: count.bytes,
        rate_limited: count.limited,
        idle_seconds: count.seen.map(|seen| Ticks::now().seconds_since(seen)),
    }
}
