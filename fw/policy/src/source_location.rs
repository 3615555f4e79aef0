use std::path::Path;
use std::sync::Arc;

use crate::direction::Direction;

/// The lines that a policy and its rules were read from. A place means nothing: any two are equal, so
/// that a policy that only moved within its file is the policy that it was.
#[derive(Debug, Clone, Default)]
pub struct SourceLocation {
    /// The file; absent of a policy that no file has.
    pub file: Option<Arc<Path>>,
    /// The line of the policy's name, from 1.
    pub line: u32,
    /// The lines of its ingress rules.
    pub ingress: Box<[u32]>,
    /// The lines of its egress rules.
    pub egress: Box<[u32]>,
}

impl SourceLocation {
    /// Is it the same place? Unlike `==`, which says that no two places mean different policies.
    pub fn is_same_location(&self, other: &Self) -> bool {
        (&self.file, self.line) == (&other.file, other.line)
            && self.ingress == other.ingress
            && self.egress == other.egress
    }

    /// The line of a rule.
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
