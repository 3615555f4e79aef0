//! The name of a rule in an answer.

use serde::{Deserialize, Serialize};

/// Identifies a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RuleName {
    /// Rule id, as in cells, flows and counters.
    pub id: u32,
    /// Display name, at most 64 characters.
    pub rule: String,
    /// `rule`, `default-deny`, or a built-in rule: `not-isolated`, `own-node`, `self`,
    /// `unknown-address`. `none` if no rule decided; `removed` if the rule is no longer known.
    pub kind: String,
    /// `allow` or `deny`; absent for the kinds `none` and `removed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// `egress` or `ingress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Namespace of the policy, or of the isolated endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Index in the policy's list of rules, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Whether the rule was removed from its policy. Flows and counters can still refer to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}
