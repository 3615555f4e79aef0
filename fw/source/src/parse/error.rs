//! Syntax errors of YAML and JSON, with their position.

use crate::parse::node::Pos;
use bailey_config::ReadLimits;

/// Why a text cannot be parsed into documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// Where the error is.
    pub pos: Pos,
    /// What is wrong; names the limit if the text exceeds one.
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
