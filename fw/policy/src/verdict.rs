//! The result of policy evaluation: the verdict, and the decider of each direction.

use std::fmt;

use crate::direction::Direction;
use crate::link_scope::OutOfScope;
use crate::network_policy::PolicyRef;

/// Identifies a rule. Displayed as `namespace/policy ingress[0]`. Sorted in evaluation order:
/// namespace, policy, direction, index; the first matching rule decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// The policy that has the rule.
    pub policy: PolicyRef,
    /// Whether the rule is an ingress or an egress rule.
    pub direction: Direction,
    /// Index in the policy's list of that direction, from 0.
    pub index: usize,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]", self.policy, self.direction, self.index)
    }
}

/// The reason for the decision in one direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decider {
    /// Allowed: source and destination are one endpoint.
    SelfTraffic,
    /// Allowed: ingress from the node that runs the pod.
    OwnNode,
    /// Allowed: no policy isolates the endpoint in this direction.
    NotIsolated,
    /// Allowed: the first matching rule.
    Rule(RuleRef),
    /// Denied: these policies isolate the endpoint, and no rule of theirs matches.
    DefaultDeny(Vec<PolicyRef>),
    /// Denied: the address is in a declared prefix, but no endpoint owns it.
    UnknownAddress,
    /// Denied at the NIC, before policy evaluation.
    OutOfScope(OutOfScope),
}

impl Decider {
    /// Whether this direction allows the connection.
    pub fn is_allowed(&self) -> bool {
        !matches!(
            self,
            Self::DefaultDeny(_) | Self::UnknownAddress | Self::OutOfScope(_)
        )
    }

    /// For a default deny, the policies that isolate; otherwise none.
    pub fn isolated_by(&self) -> &[PolicyRef] {
        match self {
            Self::DefaultDeny(policies) => policies,
            _ => &[],
        }
    }
}

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfTraffic => f.write_str("self"),
            Self::OwnNode => f.write_str("own-node"),
            Self::NotIsolated => f.write_str("not-isolated"),
            Self::Rule(rule) => rule.fmt(f),
            Self::DefaultDeny(_) => f.write_str("default-deny"),
            Self::UnknownAddress => f.write_str("unknown-address"),
            Self::OutOfScope(reason) => f.write_str(reason.name()),
        }
    }
}

/// The result for one connection: allowed if both directions allow the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Decider at the source.
    pub egress: Decider,
    /// Decider at the destination.
    pub ingress: Decider,
}

impl Verdict {
    /// The verdict for a packet that is dropped before policy evaluation.
    pub fn out_of_scope(reason: OutOfScope) -> Self {
        Self {
            egress: Decider::OutOfScope(reason),
            ingress: Decider::OutOfScope(reason),
        }
    }

    /// Whether the connection may open.
    pub fn is_allowed(&self) -> bool {
        self.egress.is_allowed() && self.ingress.is_allowed()
    }

    /// The decider of one direction.
    pub fn decider(&self, direction: Direction) -> &Decider {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_allowed() { "allow" } else { "deny" };
        write!(
            f,
            "{word} (egress {}, ingress {})",
            self.egress, self.ingress
        )
    }
}
