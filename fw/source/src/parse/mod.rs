use crate::json;
use crate::node::Node;
use crate::syntax::SyntaxError;
use crate::yaml;
use bailey_config::ReadLimits;

/// Parses all documents of a text; empty ones are left out. A text that begins with a brace is
/// read as JSON, and as YAML if it is none, as kubectl does.
///
/// # Errors
/// The first syntax error, duplicate key or breach of a limit.
pub fn documents(text: &str, limits: &ReadLimits) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '['])
        && let Some(documents) = json::documents(text, limits)?
    {
        return Ok(documents);
    }
    yaml::documents(text, limits)
}
