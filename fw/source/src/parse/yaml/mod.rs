//! YAML text to nodes. Typed like `sigs.k8s.io/yaml`; aliases and merge keys are expanded.

/// Changes to a text that make it acceptable to the parser.
mod repair;
/// Types of scalars.
mod scalar;

use bailey_config::ReadLimits;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, Span, Tag};

use crate::parse::error::{SyntaxError, duplicate_key, too_deep};
use crate::parse::node::{Key, Node, Pos, Value};
use crate::parse::yaml::repair::TextRepair;
use crate::parse::yaml::scalar::{resolve_scalar, unknown_tag};

/// Parses a stream of YAML documents and leaves out empty ones.
///
/// The parser is stricter than go-yaml, and thus than the API server, in two respects:
/// - The content of brackets must be indented deeper than the key before them.
/// - A key's colon must be followed by a space, not a tab, before a value on the same line.
///
/// If the parser reports one of these errors, the text is repaired at the reported position and
/// parsed again. Reported positions always refer to the original text.
pub(crate) fn parse_yaml(text: &str, limits: &ReadLimits) -> Result<Vec<Node>, SyntaxError> {
    let mut repair = TextRepair::default();
    loop {
        let padded = repair.apply(text);
        match parse_repaired(padded.as_deref().unwrap_or(text), limits, &repair) {
            Err(Failure::Indentation(error)) if repair.add_line(text, error.pos.line) => {}
            Err(Failure::Tabs(error)) if repair.add_tabs_before(text, error.pos) => {}
            Err(Failure::Indentation(error) | Failure::Tabs(error) | Failure::Other(error)) => {
                return Err(error);
            }
            Ok(documents) => return Ok(documents),
        }
    }
}

/// A syntax error, by how the text can be repaired.
enum Failure {
    /// Missing indentation inside brackets.
    Indentation(SyntaxError),
    /// Tabs between a colon and its value.
    Tabs(SyntaxError),
    /// Not repairable.
    Other(SyntaxError),
}

fn parse_repaired(
    text: &str,
    limits: &ReadLimits,
    repair: &TextRepair,
) -> Result<Vec<Node>, Failure> {
    let mut builder = Builder {
        limits,
        repair,
        documents: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        alias_nodes: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let pos = repair.original_pos(error.marker());
            let message = format!("not valid YAML: {}", error.info());
            let failure = match error.info() {
                "invalid indentation" | "invalid indentation in flow construct" => {
                    Failure::Indentation
                }
                "':' must be followed by a valid YAML whitespace" => Failure::Tabs,
                _ => Failure::Other,
            };
            failure(SyntaxError { pos, message })
        })?;
        builder.handle_event(event, span).map_err(Failure::Other)?;
    }
    Ok(builder.documents)
}

/// Builds nodes from parser events.
struct Builder<'a> {
    limits: &'a ReadLimits,
    repair: &'a TextRepair,
    documents: Vec<Node>,
    /// Collections whose end has not been read, outermost first.
    open: Vec<OpenCollection>,
    /// By anchor id; of the current document.
    anchors: HashMap<usize, Anchored>,
    /// Nodes that aliases have expanded to so far.
    alias_nodes: usize,
}

/// A node with an anchor, to which aliases can refer.
#[derive(Clone)]
struct Anchored {
    node: Node,
    size: Size,
}

/// The size of a node, to limit what aliases expand to.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    height: usize,
}

const LEAF: Size = Size {
    nodes: 1,
    height: 0,
};

/// A list or mapping whose end has not been read.
struct OpenCollection {
    pos: Pos,
    anchor: usize,
    items: Items,
    size: Size,
}

enum Items {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
        merges: Vec<Node>,
    },
}

const MERGE: &str = "<<";

impl Builder<'_> {
    fn handle_event(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let pos = self.repair.original_pos(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = resolve_scalar(&text, style, tag.as_deref(), pos)?;
                self.add_node(Node { pos, value }, anchor, LEAF)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open_collection(pos, anchor, tag.as_deref(), Items::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let items = Items::Mapping {
                    entries: Vec::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open_collection(pos, anchor, tag.as_deref(), items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close_collection(),
            Event::Alias(id) => {
                let Some(Anchored { node, size }) = self.anchors.get(&id).cloned() else {
                    return Err(SyntaxError {
                        pos,
                        message: "unknown anchor".into(),
                    });
                };
                if self.open.len() + size.height > self.limits.depth {
                    return Err(too_deep(pos, self.limits));
                }
                self.alias_nodes += size.nodes;
                if self.alias_nodes > self.limits.alias_nodes {
                    return Err(SyntaxError {
                        pos,
                        message: format!(
                            "aliases expand to more than {} values; the limit is \
                             read.alias_nodes = {}",
                            self.limits.alias_nodes, self.limits.alias_nodes
                        ),
                    });
                }
                self.add_node(node, 0, size)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::DocumentStart(_) | Event::StreamStart | Event::StreamEnd | Event::Nothing => {
                Ok(())
            }
        }
    }

    fn open_collection(
        &mut self,
        pos: Pos,
        anchor: usize,
        tag: Option<&Tag>,
        items: Items,
    ) -> Result<(), SyntaxError> {
        if self.open.len() >= self.limits.depth {
            return Err(too_deep(pos, self.limits));
        }
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && matches!(tag.suffix.as_str(), "map" | "seq"))
        {
            return Err(unknown_tag(pos, tag));
        }
        self.open.push(OpenCollection {
            pos,
            anchor,
            items,
            size: Size {
                nodes: 1,
                height: 1,
            },
        });
        Ok(())
    }

    fn close_collection(&mut self) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.items {
            Items::Sequence(items) => Value::Sequence(items),
            Items::Mapping {
                entries, merges, ..
            } => Value::Mapping(merge_entries(entries, merges)?),
        };
        self.add_node(
            Node {
                pos: open.pos,
                value,
            },
            open.anchor,
            open.size,
        )
    }

    /// Adds a finished node to the innermost open collection, or to the documents.
    fn add_node(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), SyntaxError> {
        // Anchor id 0 means that the node has no anchor.
        if anchor != 0 {
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    size,
                },
            );
        }
        let Some(open) = self.open.last_mut() else {
            if node.value != Value::Null {
                self.documents.push(node);
            }
            return Ok(());
        };
        open.size.nodes += size.nodes;
        open.size.height = open.size.height.max(size.height + 1);
        match &mut open.items {
            Items::Sequence(items) => items.push(node),
            Items::Mapping {
                entries,
                key,
                merges,
            } => match key.take() {
                None => *key = Some(key_from_node(node)?),
                Some(key) if key.text == MERGE => merges.push(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }
}

/// Converts a key of any scalar type to text, as `sigs.k8s.io/yaml` does for JSON.
fn key_from_node(node: Node) -> Result<Key, SyntaxError> {
    let text = match node.value {
        Value::String(text) => text,
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::Sequence(_) | Value::Mapping(_) => {
            return Err(SyntaxError {
                pos: node.pos,
                message: "a list or mapping cannot be a key".into(),
            });
        }
    };
    Ok(Key {
        pos: node.pos,
        text,
    })
}

/// Checks for duplicate keys, then adds the entries of merge keys (`<<`). The own keys of the
/// mapping take precedence, then earlier merges.
fn merge_entries(
    mut entries: Vec<(Key, Node)>,
    merges: Vec<Node>,
) -> Result<Vec<(Key, Node)>, SyntaxError> {
    // Duplicate keys are an error.
    let mut names: Vec<(&str, Pos)> = entries
        .iter()
        .map(|(key, _)| (key.text.as_str(), key.pos))
        .collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(duplicate_key(pair[1].1, pair[1].0));
    }

    // Merged entries only fill in missing keys.
    let mut known: HashSet<String> = HashSet::new();
    if !merges.is_empty() {
        known.extend(entries.iter().map(|(key, _)| key.text.clone()));
    }
    for node in merges {
        let sources = match node.value {
            Value::Sequence(items) => items,
            _ => vec![node],
        };
        for source in sources {
            let Value::Mapping(more) = source.value else {
                return Err(SyntaxError {
                    pos: source.pos,
                    message: "map merge requires map or sequence of maps as the value".into(),
                });
            };
            for (key, node) in more {
                if known.insert(key.text.clone()) {
                    entries.push((key, node));
                }
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Node {
        let mut documents = parse_yaml(text, &ReadLimits::default()).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    #[test]
    fn plain_scalars_get_types_of_api_server() {
        let string = |s: &str| Value::String(s.to_owned());
        for (text, expected) in [
            ("80", Value::Integer(80)),
            ("0x50", Value::Integer(80)),
            ("0120", Value::Integer(80)),
            ("0o120", Value::Integer(80)),
            ("0b1010000", Value::Integer(80)),
            ("8_0", Value::Integer(80)),
            ("+80", Value::Integer(80)),
            ("-1", Value::Integer(-1)),
            ("80.0", Value::Integer(80)),
            ("08", Value::Integer(8)),
            ("1.5", Value::Float(1.5)),
            ("1e3", Value::Integer(1000)),
            ("1.", Value::Integer(1)),
            (".5", Value::Float(0.5)),
            ("1e", string("1e")),
            ("1e999", string("1e999")),
            ("12e4x", string("12e4x")),
            ("1e+3", Value::Integer(1000)),
            ("yes", Value::Bool(true)),
            ("off", Value::Bool(false)),
            ("y", Value::Bool(true)),
            ("True", Value::Bool(true)),
            ("tRue", string("tRue")),
            ("~", Value::Null),
            ("10.0.0.0", string("10.0.0.0")),
            ("1:30", string("1:30")),
            ("2024-01-01", string("2024-01-01")),
            ("'80'", string("80")),
            ("!!str 80", string("80")),
            ("!!int '80'", Value::Integer(80)),
        ] {
            assert_eq!(
                only(&format!("v: {text}")).get("v").unwrap().value,
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn merge_keys_add_only_missing_entries() {
        let node = only("a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\n");
        let b = node.get("b").unwrap();
        assert_eq!(b.get("x").unwrap().value, Value::Integer(1));
        assert_eq!(b.get("z").unwrap().value, Value::Integer(3));
    }

    #[test]
    fn alias_bomb_is_rejected() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let error = parse_yaml(&text, &ReadLimits::default()).unwrap_err();
        assert!(error.message.contains("read.alias_nodes"), "{error}");
    }

    #[test]
    fn deep_nesting_duplicate_keys_unknown_tags_are_rejected() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(
            parse_yaml(&deep, &ReadLimits::default())
                .unwrap_err()
                .message
                .contains("read.depth")
        );
        let twice = parse_yaml("a: 1\nb: 2\na: 3\n", &ReadLimits::default()).unwrap_err();
        assert_eq!(
            (twice.pos.line, twice.message.as_str()),
            (3, "key \"a\" already set in map")
        );
        assert!(parse_yaml("a: !foo x", &ReadLimits::default()).is_err());
    }

    #[test]
    fn empty_documents_are_skipped() {
        let text = "---\n---\na: 1\n---\n# nothing\n---\nb: 2\n";
        assert_eq!(parse_yaml(text, &ReadLimits::default()).unwrap().len(), 2);
    }

    #[test]
    fn tabs_between_colon_and_value_are_accepted() {
        let read = |text: &str| {
            let nodes = parse_yaml(text, &ReadLimits::default()).unwrap();
            format!("{nodes:?}")
        };
        let tabs = "a:\tone\nb: \t two\nc: {d:\t\"e:\tf\"}\n";
        let spaces = "a: one\nb:   two\nc: {d: \"e:\tf\"}\n";
        assert_eq!(read(tabs), read(spaces));
        // Tabs as block indentation stay an error.
        assert!(parse_yaml("a:\n\tb: c\n", &ReadLimits::default()).is_err());
    }
}
