//! `[limits]` and `[read]`: upper bounds for policy sets and files.

use serde::{Deserialize, Serialize};

/// `[limits]`: the most that one generation may need. A policy set beyond a limit is refused whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompileLimits {
    /// Rule ids, the implicit default-deny rules among them; sizes the counters.
    pub rules: usize,
    /// Distinct address classes: about one per endpoint address and per prefix.
    pub classes: usize,
    /// Bytes of all tables of one generation.
    pub table_bytes: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            rules: 1 << 16,
            classes: 1 << 20,
            table_bytes: 256 << 20,
        }
    }
}

impl CompileLimits {
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, value, most) in [
            ("classes", self.classes, 1 << 24),
            ("rules", self.rules, 1 << 22),
        ] {
            if value > most {
                return Err(format!("limits.{key} = {value}: must be at most {most}"));
            }
        }
        Ok(())
    }
}

/// `[read]`: the most that one policy file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Nesting depth of lists and mappings.
    pub depth: usize,
    /// Values that all aliases of one file expand to.
    pub alias_nodes: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 30,
            depth: 100,
            alias_nodes: 1_000_000,
        }
    }
}
