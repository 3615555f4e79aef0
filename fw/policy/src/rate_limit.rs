//! Rate limits of rules, set by annotations. Not part of Kubernetes' policy semantics.

/// A limit on new connections: a rate and a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateLimit {
    /// Connections per interval; at least 1.
    pub connections: u32,
    /// Length of the interval in seconds; at least 1.
    pub seconds: u32,
    /// Connections that may open at once after a pause; at least 1.
    pub burst: u32,
}

/// The rate limits of one rule. A new connection that the rule allows is dropped if it exceeds a
/// limit; established connections are not affected. The verdict of the policy does not change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateLimits {
    /// Limit on all sources together.
    pub all: Option<RateLimit>,
    /// Limit on each source: an IPv4 address or an IPv6 /64.
    pub per_source: Option<RateLimit>,
}

impl RateLimits {
    /// Whether neither limit is set.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}
