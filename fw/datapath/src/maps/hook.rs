//! The hooks that programs are attached to.

use std::fmt;

/// A hook of the kernel at which a program filters packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Ingress: XDP.
    Xdp,
    /// Egress: tcx, or a filter of the clsact qdisc.
    Tc,
}

impl Hook {
    /// Both hooks, in the order of detaching. XDP is detached first, because it admits replies by
    /// flows that the egress program creates.
    pub const BOTH: [Self; 2] = [Self::Xdp, Self::Tc];

    /// Name in pins and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
        }
    }

    /// The hook with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|hook| hook.name() == name)
    }

    /// The program of the entry object that is attached to this hook.
    pub(crate) fn entry_program(self) -> &'static str {
        match self {
            Self::Xdp => "entry_xdp",
            Self::Tc => "entry_tc",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
