//! Lines of JSON, as the daemon streams them.

use serde::de::DeserializeOwned;

/// The values of lines; a line that is none of the type is left out.
pub(crate) fn parsed<T: DeserializeOwned>(lines: &[u8]) -> impl Iterator<Item = T> {
    let lines = lines.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok())
}
