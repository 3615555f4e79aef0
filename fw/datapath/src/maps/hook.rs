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
    /// Both, in the order in which an attached interface loses them: the XDP program admits replies by
    /// flows that the egress program has created, so it goes first.
    pub const BOTH: [Self; 2] = [Self::Xdp, Self::Tc];

    /// The word in pins and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
        }
    }

    /// The hook of this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|hook| hook.name() == name)
    }

    /// The program of the entry object that is attached there.
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
