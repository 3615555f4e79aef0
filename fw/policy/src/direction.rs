//! Egress and ingress.

use std::fmt;

/// The side of a connection at which a policy applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// At the source.
    Egress,
    /// At the destination.
    Ingress,
}

impl Direction {
    /// Both, in the order in which a packet passes them.
    pub const BOTH: [Self; 2] = [Self::Egress, Self::Ingress];
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        })
    }
}
