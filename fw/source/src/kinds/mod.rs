//! One file per Kubernetes kind: validates an object and turns it into policy types.

/// Namespace, Pod and Node.
pub(crate) mod inventory;
/// NetworkPolicy.
pub(crate) mod network_policy;
/// Rate limits of rules, from annotations.
pub(crate) mod rate_limit;
/// Kinds that are not read: which are skipped, which are errors.
pub(crate) mod unread;
/// Kubernetes' rules for names, labels, ports and addresses, with its error texts.
pub(crate) mod validate;
/// The `bailey.dev/v1` Workload.
pub(crate) mod workload;
