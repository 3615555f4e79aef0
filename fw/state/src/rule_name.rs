//! One rule id with its rule, in the format of `rules.json`.

use std::sync::Arc;

use bailey_compile::RuleKey;
use bailey_policy::{Direction, NetworkPolicy, PolicyRef, RuleRef};
use serde::{Deserialize, Serialize};

/// One rule id of `rules.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleName {
    /// The id in cells, flows and counters.
    pub id: u32,
    /// The rule or default-deny of the id; absent for a retired id whose rule is unknown.
    #[serde(flatten)]
    pub key: Option<StoredKey>,
    /// Ports, peers and location of the rule, where known.
    #[serde(flatten)]
    pub text: RuleText,
}

/// Ports, peers and location of a rule of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// Ports as `8080/TCP`; empty means every port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Peers as `10.0.0.0/8`; empty means every peer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// The policy's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl RuleText {
    pub(crate) fn of(key: &RuleKey, policies: &[Arc<NetworkPolicy>]) -> Self {
        let RuleKey::Rule(rule) = key else {
            return Self::default();
        };
        let found = policies.binary_search_by(|policy| policy.id.cmp(&rule.policy));
        let Ok(policy) = found.map(|at| &policies[at]) else {
            return Self::default();
        };
        let spec = policy.rules(rule.direction).and_then(|r| r.get(rule.index));
        let location = &policy.location;
        Self {
            ports: spec.map_or_else(Vec::new, |spec| texts(&spec.ports)),
            peers: spec.map_or_else(Vec::new, |spec| texts(&spec.peers)),
            file: location
                .file
                .as_ref()
                .map(|file| file.display().to_string()),
            line: location.rule_line(rule.direction, rule.index),
        }
    }
}

/// The values as texts.
pub(crate) fn texts(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// The rule or default-deny of an id, in the format of `rules.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum StoredKey {
    /// A rule of a policy.
    Rule {
        /// `egress` or `ingress`.
        direction: StoredDirection,
        /// The policy's namespace.
        namespace: String,
        /// The policy's name.
        name: String,
        /// Index in the policy's list of this direction.
        index: usize,
    },
    /// The implicit rule of endpoints that these policies isolate.
    DefaultDeny {
        /// `egress` or `ingress`.
        direction: StoredDirection,
        /// Namespace and name.
        policies: Vec<(String, String)>,
    },
}

/// A direction, in the format of `rules.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are complete")]
pub enum StoredDirection {
    Egress,
    Ingress,
}

impl StoredDirection {
    /// `egress` or `ingress`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }
}

impl From<Direction> for StoredDirection {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Egress => Self::Egress,
            Direction::Ingress => Self::Ingress,
        }
    }
}

impl From<StoredDirection> for Direction {
    fn from(direction: StoredDirection) -> Self {
        match direction {
            StoredDirection::Egress => Self::Egress,
            StoredDirection::Ingress => Self::Ingress,
        }
    }
}

impl From<&RuleKey> for StoredKey {
    fn from(key: &RuleKey) -> Self {
        match key {
            RuleKey::Rule(rule) => Self::Rule {
                direction: rule.direction.into(),
                namespace: rule.policy.namespace.clone(),
                name: rule.policy.name.clone(),
                index: rule.index,
            },
            RuleKey::DefaultDeny {
                direction,
                policies,
            } => Self::DefaultDeny {
                direction: (*direction).into(),
                policies: policies
                    .iter()
                    .map(|policy| (policy.namespace.clone(), policy.name.clone()))
                    .collect(),
            },
        }
    }
}

impl From<StoredKey> for RuleKey {
    fn from(key: StoredKey) -> Self {
        match key {
            StoredKey::Rule {
                direction,
                namespace,
                name,
                index,
            } => Self::Rule(RuleRef {
                policy: PolicyRef { namespace, name },
                direction: direction.into(),
                index,
            }),
            StoredKey::DefaultDeny {
                direction,
                policies,
            } => Self::DefaultDeny {
                direction: direction.into(),
                policies: policies
                    .into_iter()
                    .map(|(namespace, name)| PolicyRef { namespace, name })
                    .collect(),
            },
        }
    }
}
