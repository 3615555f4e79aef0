/// How many connections may be opened in a time, and at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateLimit {
    /// Connections; not 0.
    pub connections: u32,
    /// Seconds in which there may be so many; not 0.
    pub seconds: u32,
    /// How many at once after a pause; not 0.
    pub burst: u32,
}

/// The limits of one rule. A connection that the rule decides and that exceeds one of them is not
/// opened; those that are open are not touched. No part of what Kubernetes means by a policy: the
/// verdict is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateLimits {
    /// Everybody together.
    pub all: Option<RateLimit>,
    /// Each source: an IPv4 address, an IPv6 /64.
    pub per_source: Option<RateLimit>,
}

impl RateLimits {
    /// Is nothing limited?
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}
