//! The file and lines from which a policy was read.

use std::path::Path;
use std::sync::Arc;

use crate::direction::Direction;

/// The lines from which a policy and its rules were read. All locations compare equal, so that a
/// policy that only moved within its file stays equal to its former self.
#[derive(Debug, Clone, Default)]
pub struct SourceLocation {
    /// The file; `None` if the policy was not read from a file.
    pub file: Option<Arc<Path>>,
    /// The line of the policy's name, from 1.
    pub line: u32,
    /// The lines of the ingress rules.
    pub ingress: Box<[u32]>,
    /// The lines of the egress rules.
    pub egress: Box<[u32]>,
}

impl SourceLocation {
    /// Whether both locations name the same lines; `==` is always true.
    pub fn is_same_location(&self, other: &Self) -> bool {
        (&self.file, self.line) == (&other.file, other.line)
            && self.ingress == other.ingress
            && self.egress == other.egress
    }

    /// The line of a rule, if it is known.
    pub fn rule_line(&self, direction: Direction, index: usize) -> Option<u32> {
        let lines = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        };
        lines.get(index).copied()
    }
}

impl PartialEq for SourceLocation {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SourceLocation {}
