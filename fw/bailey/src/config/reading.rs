use serde::{Deserialize, Serialize};

/// `[watch]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Watch {
    pub settle_ms: u64,
    pub rescan_ms: u64,
    pub write_timeout_ms: u64,
}

/// `[read]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Read {
    pub file_bytes: u64,
    pub depth: usize,
    pub alias_nodes: usize,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Limits {
    pub rules: usize,
    pub classes: usize,
    pub table_bytes: usize,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            settle_ms: 20,
            rescan_ms: 2_000,
            write_timeout_ms: 30_000,
        }
    }
}

impl Default for Read {
    fn default() -> Self {
        let limits = bailey_source::ReadLimits::default();
        Self {
            file_bytes: limits.file_bytes,
            depth: limits.depth,
            alias_nodes: limits.alias_nodes,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limits = bailey_compile::Limits::default();
        Self {
            rules: limits.rules,
            classes: limits.classes,
            table_bytes: limits.table_bytes,
        }
    }
}
