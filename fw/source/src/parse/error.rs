use bailey_config::ReadLimits;

use crate::node::Pos;

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
