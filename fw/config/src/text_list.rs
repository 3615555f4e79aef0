//! serde form of a list whose elements are texts with a parser of their own.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a list of strings and parses each; the parser's message becomes the error.
pub(crate) fn parse_list<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts
        .iter()
        .map(|text| parse(text).map_err(Error::custom))
        .collect()
}
