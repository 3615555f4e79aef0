use crate::node::Pos;

/// What a file may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Nesting of lists and mappings.
    pub depth: usize,
    /// Values that the aliases of one file stand for, all together.
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

/// Why a text is not a sequence of documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Where.
    pub pos: Pos,
    /// What, and which limit if it is one.
    pub message: String,
}

pub(crate) fn too_deep(pos: Pos, limits: &ReadLimits) -> SyntaxError {
    SyntaxError {
        pos,
        message: format!(
            "nested more than {} levels deep; the limit is read.depth = {}",
            limits.depth, limits.depth
        ),
    }
}

pub(crate) fn duplicate_key(pos: Pos, key: &str) -> SyntaxError {
    SyntaxError {
        pos,
        message: format!("key {key:?} already set in map"),
    }
}
