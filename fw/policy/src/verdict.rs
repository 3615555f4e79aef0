use std::fmt;

use crate::direction::Direction;
use crate::link_scope::OutOfScope;
use crate::network_policy::PolicyRef;

/// Names a rule; prints as `namespace/policy ingress[0]`. Sorts in the order in which the first
/// match decides: namespace, policy, direction, index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleRef {
    /// Its policy.
    pub policy: PolicyRef,
    /// The list it stands in.
    pub direction: Direction,
    /// Its place in that list, from 0.
    pub index: usize,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]", self.policy, self.direction, self.index)
    }
}

/// What decided one direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decider {
    /// Allowed: source and destination are one endpoint.
    SelfTraffic,
    /// Allowed: ingress from the pod's own node.
    OwnNode,
    /// Allowed: no policy isolates the endpoint in this direction.
    NotIsolated,
    /// Allowed: the first rule that matches.
    Rule(RuleRef),
    /// Denied: these policies isolate the endpoint, and none of their rules matches.
    DefaultDeny(Vec<PolicyRef>),
    /// Denied: the address is within a declared prefix and no endpoint's.
    UnknownAddress,
    /// Denied at the NIC, before policies are asked.
    OutOfScope(OutOfScope),
}

impl Decider {
    /// Does this direction allow the connection?
    pub fn is_allowed(&self) -> bool {
        !matches!(
            self,
            Self::DefaultDeny(_) | Self::UnknownAddress | Self::OutOfScope(_)
        )
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

/// The answer for one connection: allowed if both directions allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// At the source.
    pub egress: Decider,
    /// At the destination.
    pub ingress: Decider,
}

impl Verdict {
    /// Of a packet that does not reach policies.
    pub fn out_of_scope(reason: OutOfScope) -> Self {
        Self {
            egress: Decider::OutOfScope(reason),
            ingress: Decider::OutOfScope(reason),
        }
    }

    /// May the connection be opened?
    pub fn is_allowed(&self) -> bool {
        self.egress.is_allowed() && self.ingress.is_allowed()
    }

    /// The side's decider.
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
