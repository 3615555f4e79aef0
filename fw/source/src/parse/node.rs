//! Parsed documents: values that keep their position in the text, and paths of fields.

use std::fmt;

/// A position in a text: line and column, both from 1. Columns count characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A value and its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub pos: Pos,
    /// The value.
    pub value: Value,
}

/// A JSON value. YAML scalars have the types of `sigs.k8s.io/yaml`, which is YAML 1.1.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean; in YAML `yes` and `on` are booleans too.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A number that is not an integer.
    Float(f64),
    /// A string.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the text.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where the key begins.
    pub pos: Pos,
    /// The key.
    pub text: String,
}

impl Node {
    /// The value of a key; `None` if this is not a mapping or lacks the key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => entries
                .iter()
                .find(|(k, _)| k.text == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; `None` if this is not a list.
    pub fn as_sequence(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The position of a field, or of its nearest existing ancestor. Returns the position of the
    /// field's value, or of its key if `to_key` is set or the value is null.
    pub fn locate(&self, path: &FieldPath, to_key: bool) -> Pos {
        let mut at = self;
        let mut pos = self.pos;
        for (depth, segment) in path.0.iter().enumerate() {
            let last = depth + 1 == path.0.len();
            match (segment, &at.value) {
                (Segment::Key(key), Value::Mapping(entries)) => {
                    let Some((key, node)) = entries.iter().find(|(k, _)| k.text == *key) else {
                        return pos;
                    };
                    let points_at_key = (last && to_key) || node.value == Value::Null;
                    pos = if points_at_key { key.pos } else { node.pos };
                    at = node;
                }
                (Segment::Index(index), Value::Sequence(items)) => {
                    let Some(node) = items.get(*index) else {
                        return pos;
                    };
                    pos = node.pos;
                    at = node;
                }
                _ => return pos,
            }
        }
        pos
    }

    /// Removes a field: a key with its value; a list element becomes null.
    pub(crate) fn remove(&mut self, path: &FieldPath) {
        let Some((last, parents)) = path.0.split_last() else {
            return;
        };
        let mut at = self;
        for segment in parents {
            let next = match (segment, &mut at.value) {
                (Segment::Key(key), Value::Mapping(entries)) => entries
                    .iter_mut()
                    .find(|(k, _)| k.text == *key)
                    .map(|(_, node)| node),
                (Segment::Index(index), Value::Sequence(items)) => items.get_mut(*index),
                _ => None,
            };
            let Some(next) = next else { return };
            at = next;
        }
        match (last, &mut at.value) {
            (Segment::Key(key), Value::Mapping(entries)) => entries.retain(|(k, _)| k.text != *key),
            (Segment::Index(index), Value::Sequence(items)) => {
                if let Some(item) = items.get_mut(*index) {
                    item.value = Value::Null;
                }
            }
            _ => {}
        }
    }

    /// A copy with only the fields in `paths`, written with dots between keys. A path applies to
    /// each element of a list.
    pub(crate) fn project(&self, paths: &[&str]) -> Self {
        let value = match &self.value {
            Value::Mapping(entries) => Value::Mapping(
                entries
                    .iter()
                    .filter_map(|(key, node)| project_entry(key, node, paths))
                    .collect(),
            ),
            Value::Sequence(items) => {
                Value::Sequence(items.iter().map(|item| item.project(paths)).collect())
            }
            other => other.clone(),
        };
        Self {
            pos: self.pos,
            value,
        }
    }
}

fn project_entry(key: &Key, node: &Node, paths: &[&str]) -> Option<(Key, Node)> {
    if paths.contains(&key.text.as_str()) {
        return Some((key.clone(), node.clone()));
    }
    let below: Vec<&str> = paths
        .iter()
        .filter_map(|path| path.strip_prefix(key.text.as_str())?.strip_prefix('.'))
        .collect();
    (!below.is_empty()).then(|| (key.clone(), node.project(&below)))
}

/// The path of a field, for example `spec.ingress[0].ports`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

impl FieldPath {
    /// The path of a child field.
    pub fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Key(key.to_owned()));
        path
    }

    /// The path of a list element.
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Index(index));
        path
    }

    /// The path of a chain of child fields.
    pub fn of(keys: &[&str]) -> Self {
        Self(
            keys.iter()
                .map(|&key| Segment::Key(key.to_owned()))
                .collect(),
        )
    }

    /// Whether this path is equal to `other` or an ancestor of it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if depth == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
