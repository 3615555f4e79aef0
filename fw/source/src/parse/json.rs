//! JSON text to nodes with positions.

use bailey_config::ReadLimits;
use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::parse::error::{SyntaxError, duplicate_key, too_deep};
use crate::parse::node::{Key, Node, Pos, Value};

/// Parses a stream of JSON documents; `None` if the text is not JSON (it may still be YAML).
///
/// serde_json does not report positions of values. Its raw values are slices of the text, so the
/// offset of the slice gives the position.
pub(crate) fn parse_json(
    text: &str,
    limits: &ReadLimits,
) -> Result<Option<Vec<Node>>, SyntaxError> {
    let reader = Reader {
        text,
        lines: line_starts(text),
        last: Cell::new((0, 0)),
        limits,
    };
    let mut documents = Vec::new();
    for raw in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let Ok(raw) = raw else { return Ok(None) };
        let Some(node) = reader.read_node(raw, 0)? else {
            return Ok(None);
        };
        if node.value != Value::Null {
            documents.push(node);
        }
    }
    Ok(Some(documents))
}

struct Reader<'a> {
    text: &'a str,
    lines: Vec<usize>,
    /// Offset and column of the last computed position.
    last: Cell<(usize, usize)>,
    limits: &'a ReadLimits,
}

fn line_starts(text: &str) -> Vec<usize> {
    let after_breaks = text
        .bytes()
        .enumerate()
        .filter(|&(_, b)| b == b'\n')
        .map(|(at, _)| at + 1);
    std::iter::once(0).chain(after_breaks).collect()
}

impl<'a> Reader<'a> {
    /// The position of a slice in the text. Counts columns from the last computed position, which
    /// is near; counting from the start of the line is quadratic if the whole text is one line.
    fn position_of(&self, part: &str) -> Pos {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let line = self.lines.partition_point(|&start| start <= offset) - 1;
        let start = self.lines[line];
        let (last_offset, last_column) = self.last.get();
        let column = if last_offset < start {
            self.text[start..offset].chars().count()
        } else if last_offset <= offset {
            last_column + self.text[last_offset..offset].chars().count()
        } else if offset - start < last_offset - offset {
            self.text[start..offset].chars().count()
        } else {
            // A line break in between means another line: count from its start.
            let between = &self.text[offset..last_offset];
            match between.contains('\n') {
                true => self.text[start..offset].chars().count(),
                false => last_column - between.chars().count(),
            }
        };
        self.last.set((offset, column));
        Pos {
            line: line as u32 + 1,
            column: column as u32 + 1,
        }
    }

    /// Reads one value; `None` if the text is not valid JSON.
    fn read_node(&self, raw: &'a RawValue, depth: usize) -> Result<Option<Node>, SyntaxError> {
        let text = raw.get();
        let pos = self.position_of(text);
        if depth > self.limits.depth {
            return Err(too_deep(pos, self.limits));
        }
        let value = match text.as_bytes().first() {
            Some(b'{') => self.read_mapping(text, depth)?,
            Some(b'[') => self.read_sequence(text, depth)?,
            _ => read_scalar(text),
        };
        Ok(value.map(|value| Node { pos, value }))
    }

    fn read_mapping(&self, text: &'a str, depth: usize) -> Result<Option<Value>, SyntaxError> {
        let Ok(Entries(entries)) = serde_json::from_str(text) else {
            return Ok(None);
        };
        let mut mapping = Vec::with_capacity(entries.len());
        for (key, raw) in entries {
            let key = Key {
                pos: self.position_of_key(raw),
                text: key,
            };
            let Some(node) = self.read_node(raw, depth + 1)? else {
                return Ok(None);
            };
            mapping.push((key, node));
        }
        match find_duplicate(&mapping) {
            Some((key, _)) => Err(duplicate_key(key.pos, &key.text)),
            None => Ok(Some(Value::Mapping(mapping))),
        }
    }

    fn read_sequence(&self, text: &'a str, depth: usize) -> Result<Option<Value>, SyntaxError> {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else {
            return Ok(None);
        };
        let mut sequence = Vec::with_capacity(items.len());
        for raw in items {
            let Some(node) = self.read_node(raw, depth + 1)? else {
                return Ok(None);
            };
            sequence.push(node);
        }
        Ok(Some(Value::Sequence(sequence)))
    }

    /// The position of the key before a value: its opening quote is the second quote backwards.
    fn position_of_key(&self, value: &RawValue) -> Pos {
        let at = (value.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = &self.text[..at];
        let opening = before
            .rfind('"')
            .and_then(|close| self.text[..close].rfind('"'));
        self.position_of(&self.text[opening.unwrap_or(at)..])
    }
}

fn read_scalar(text: &str) -> Option<Value> {
    Some(match serde_json::from_str(text).ok()? {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::String(value) => Value::String(value),
        serde_json::Value::Number(value) => match value.as_i64() {
            Some(value) => Value::Integer(value),
            None => Value::Float(value.as_f64().unwrap_or(f64::NAN)),
        },
        _ => return None,
    })
}

fn find_duplicate(mapping: &[(Key, Node)]) -> Option<&(Key, Node)> {
    let mut keys: Vec<&(Key, Node)> = mapping.iter().collect();
    keys.sort_by(|a, b| a.0.text.cmp(&b.0.text));
    keys.windows(2)
        .find(|pair| pair[0].0.text == pair[1].0.text)
        .map(|pair| pair[1])
}

/// The entries of an object, including duplicate keys.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_positions() {
        let text =
            "{\n\t\"a\": [1, \"\\ud83d\\ude00\"],\n  \"é\": {\"x\": null}, \"b\": 7}\n{\"c\":1.5}";
        let documents = parse_json(text, &ReadLimits::default()).unwrap().unwrap();
        assert_eq!(documents.len(), 2);
        let a = documents[0].get("a").unwrap().as_sequence().unwrap();
        assert_eq!(a[0].pos, Pos { line: 2, column: 8 });
        assert_eq!(a[1].as_str(), Some("😀"));
        assert_eq!(
            documents[0].get("b").unwrap().pos,
            Pos {
                line: 3,
                column: 26
            }
        );
        let Value::Mapping(entries) = &documents[0].value else {
            panic!()
        };
        assert_eq!(
            entries[2].0.pos,
            Pos {
                line: 3,
                column: 21
            }
        );
        assert_eq!(documents[1].get("c").unwrap().value, Value::Float(1.5));
    }

    #[test]
    fn duplicate_keys_and_deep_nesting_are_rejected() {
        let limits = ReadLimits::default();
        let twice = parse_json("{\"a\": 1,\n \"a\": 2}", &limits).unwrap_err();
        assert_eq!(twice.pos, Pos { line: 2, column: 2 });
        let deep = format!("{}{}", "[".repeat(110), "]".repeat(110));
        assert!(
            parse_json(&deep, &limits)
                .unwrap_err()
                .message
                .contains("read.depth")
        );
        assert_eq!(parse_json("{a: b}", &limits).unwrap(), None);
    }
}
