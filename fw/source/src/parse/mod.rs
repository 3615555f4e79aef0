//! Text to documents, and documents to typed values. Knows YAML and JSON, no Kubernetes kind.

/// Documents to typed values, with the zero values of Go's JSON decoder.
pub mod decode;
/// Syntax errors and their positions.
pub mod error;
/// Parsed documents: values that keep their position in the text.
pub mod node;

/// JSON text to nodes.
mod json;
/// YAML text to nodes.
mod yaml;

use crate::parse::error::SyntaxError;
use crate::parse::node::Node;
use bailey_config::ReadLimits;

/// Parses all documents of a text and leaves out empty ones. A text that starts with `{` or `[`
/// is read as JSON; if it is not JSON, it is read as YAML, as kubectl does.
///
/// # Errors
/// The first syntax error, duplicate key or exceeded limit.
pub fn parse_documents(text: &str, limits: &ReadLimits) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '['])
        && let Some(documents) = json::parse_json(text, limits)?
    {
        return Ok(documents);
    }
    yaml::parse_yaml(text, limits)
}
