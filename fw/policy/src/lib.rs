//! What a policy set means, and nothing else: no I/O, no file formats, no tables.
//!
//! A [`Snapshot`] is one whole, consistent view of policies and inventory. The [`oracle`] answers
//! for any [`Connection`] what the NetworkPolicy text says, slowly and plainly; everything fast
//! in this project is compared with it.
#![forbid(unsafe_code)]

/// Protocols and connections: what is judged.
pub mod connection;
/// Egress and ingress.
pub mod direction;
/// Pods, workloads and nodes: who has which address, labels and named ports.
pub mod inventory;
/// Labels and the selectors over them.
pub mod label;
/// Groups and link-local addresses, which no inventory lists.
pub mod link_scope;
/// NetworkPolicy as types that cannot be invalid.
pub mod network_policy;
/// The naive evaluator, written from the specification.
pub mod oracle;
/// What a rule lets open in a time.
pub mod rate_limit;
/// Everything that is known at one moment.
pub mod snapshot;
/// Where policies were read from.
pub mod source_location;
/// The answer, and what decided it.
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
