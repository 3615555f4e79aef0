//! Policy semantics: the types of a policy set and a reference evaluator. No I/O, no file formats,
//! no tables.
//!
//! A [`Snapshot`] is one consistent view of policies and inventory. The [`oracle`] evaluates a
//! [`Connection`] directly by the clauses of the NetworkPolicy specification. All faster
//! implementations in this project are tested against the oracle.
#![forbid(unsafe_code)]

/// Protocols and connections: the input of evaluation.
pub mod connection;
/// Egress and ingress.
pub mod direction;
/// Pods, workloads and nodes with addresses, labels and named ports.
pub mod inventory;
/// Labels and label selectors.
pub mod label;
/// Multicast, broadcast and link-local addresses, which no inventory lists.
pub mod link_scope;
/// NetworkPolicy as types that cannot hold an invalid policy.
pub mod network_policy;
/// The oracle, written from the specification.
pub mod oracle;
/// Rate limits of rules.
pub mod rate_limit;
/// One consistent view of policies and inventory.
pub mod snapshot;
/// The file and lines from which a policy was read.
pub mod source_location;
/// The result of evaluation, and its reason.
pub mod verdict;

pub use connection::{Connection, Protocol};
pub use direction::Direction;
pub use inventory::{Endpoint, EndpointKind, EndpointRef, HostPod, NamedPort};
pub use label::{LabelPool, Labels, Requirement, Selector};
pub use link_scope::{IsolatedDirections, LinkScope, OutOfScope};
pub use network_policy::{
    IpBlock, NetworkPolicy, Peer, PolicyRef, PortMatch, PortRange, PortSpec, Rule,
};
pub use rate_limit::{RateLimit, RateLimits};
pub use snapshot::{OWNERS_MAX, SharedAddress, Snapshot};
pub use source_location::SourceLocation;
pub use verdict::{Decider, RuleRef, Verdict};
