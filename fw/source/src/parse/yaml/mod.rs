use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use crate::parse::error::{SyntaxError, duplicate_key, too_deep};
use crate::parse::limits::ReadLimits;
use crate::parse::node::{Key, Node, Pos, Value};

/// Parses a stream of YAML documents; empty ones are left out.
///
/// The parser wants what stands inside brackets indented further than the key before them, where
/// go-yaml, and so the API server, does not. Where it says so of a line, that line is indented for it,
/// and places in the line are those of the text as it was. It also wants a space between a key's colon and a
/// value on the same line; where tabs stand there, they become spaces for it.
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

enum Failure {
    /// Inside brackets.
    Indentation(SyntaxError),
    /// Between a colon and its value.
    Tabs(SyntaxError),
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
            let of = match error.info() {
                "invalid indentation" | "invalid indentation in flow construct" => {
                    Failure::Indentation
                }
                "':' must be followed by a valid YAML whitespace" => Failure::Tabs,
                _ => Failure::Other,
            };
            of(SyntaxError { pos, message })
        })?;
        builder.handle_event(event, span).map_err(Failure::Other)?;
    }
    Ok(builder.documents)
}

/// What is changed of a text for the parser.
#[derive(Default)]
struct TextRepair {
    /// Lines that are indented.
    lines: BTreeSet<u32>,
    /// By line, the columns that blanks end before in which tabs become spaces.
    tabs: BTreeMap<u32, Vec<u32>>,
}

impl TextRepair {
    /// Deeper than any key.
    const INDENT: usize = 512;
    /// Each is another reading of the whole text.
    const MAX_REPAIRS: usize = 1000;
    const MAX_TEXT_BYTES: usize = 1 << 20;

    /// Takes in a line; false if nothing is won by it.
    fn add_line(&mut self, text: &str, line: u32) -> bool {
        self.has_room(text) && self.lines.insert(line)
    }

    /// Takes in the blanks before a place; false if nothing is won by it.
    fn add_tabs_before(&mut self, text: &str, end: Pos) -> bool {
        let ends = self.tabs.get(&end.line);
        let known = ends.is_some_and(|ends| ends.contains(&end.column));
        if known || !self.has_room(text) {
            return false;
        }
        self.tabs.entry(end.line).or_default().push(end.column);
        true
    }

    fn has_room(&self, text: &str) -> bool {
        self.lines.len() + self.tabs.len() < Self::MAX_REPAIRS && text.len() <= Self::MAX_TEXT_BYTES
    }

    fn apply(&self, text: &str) -> Option<String> {
        if self.lines.is_empty() && self.tabs.is_empty() {
            return None;
        }
        let mut padded = String::with_capacity(text.len() + self.lines.len() * Self::INDENT);
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            if self.lines.contains(&number) {
                padded.extend(std::iter::repeat_n(' ', Self::INDENT));
            }
            match self.tabs.get(&number) {
                Some(ends) => padded.push_str(&replace_tabs(line, ends)),
                None => padded.push_str(line),
            }
        }
        Some(padded)
    }

    /// Where something stands in the text as it was.
    fn original_pos(&self, marker: &Marker) -> Pos {
        let line = marker.line() as u32;
        let by = if self.lines.contains(&line) {
            Self::INDENT
        } else {
            0
        };
        Pos {
            line,
            column: marker.col().saturating_sub(by) as u32 + 1,
        }
    }
}

/// A line with spaces for the tabs of the blanks that end before these columns, counted from 1.
fn replace_tabs(line: &str, ends: &[u32]) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    for &end in ends {
        let before = (end as usize).saturating_sub(1).min(chars.len());
        for c in chars[..before].iter_mut().rev() {
            match c {
                '\t' => *c = ' ',
                ' ' => {}
                _ => break,
            }
        }
    }
    chars.into_iter().collect()
}

struct Builder<'a> {
    limits: &'a ReadLimits,
    repair: &'a TextRepair,
    documents: Vec<Node>,
    open: Vec<Open>,
    /// By anchor id, of the document that is being read.
    anchors: HashMap<usize, Anchored>,
    alias_nodes: usize,
}

/// A node that aliases may stand for.
#[derive(Clone)]
struct Anchored {
    node: Node,
    size: Size,
}

/// How much a node adds to what it stands in.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    height: usize,
}

const LEAF: Size = Size {
    nodes: 1,
    height: 0,
};

/// A list or mapping whose end is still to come.
struct Open {
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
                            "aliases stand for more than {} values; the limit is \
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
        self.open.push(Open {
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

    /// Puts a finished node where it belongs.
    fn add_node(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), SyntaxError> {
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
                None => *key = Some(key_of(node)?),
                Some(key) if key.text == MERGE => merges.push(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }
}

/// Keys of every scalar type become text, as `sigs.k8s.io/yaml` makes JSON of them.
fn key_of(node: Node) -> Result<Key, SyntaxError> {
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

/// Checks for duplicate keys and adds what `<<` brings in: own keys win, then earlier merges.
fn merge_entries(
    mut entries: Vec<(Key, Node)>,
    merges: Vec<Node>,
) -> Result<Vec<(Key, Node)>, SyntaxError> {
    let mut names: Vec<(&str, Pos)> = entries
        .iter()
        .map(|(key, _)| (key.text.as_str(), key.pos))
        .collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(duplicate_key(pair[1].1, pair[1].0));
    }
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

fn unknown_tag(pos: Pos, tag: &Tag) -> SyntaxError {
    SyntaxError {
        pos,
        message: format!("unknown tag {tag}"),
    }
}

fn resolve_scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    pos: Pos,
) -> Result<Value, SyntaxError> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => resolve_plain(text),
            _ => Value::String(text.to_owned()),
        });
    };
    if !tag.is_yaml_core_schema() {
        return Err(unknown_tag(pos, tag));
    }
    let value = match tag.suffix.as_str() {
        "str" | "binary" | "timestamp" => return Ok(Value::String(text.to_owned())),
        "null" | "bool" | "int" | "float" => resolve_plain(text),
        _ => return Err(unknown_tag(pos, tag)),
    };
    let fits = matches!(
        (tag.suffix.as_str(), &value),
        ("null", Value::Null)
            | ("bool", Value::Bool(_))
            | ("int", Value::Integer(_))
            | ("float", Value::Float(_) | Value::Integer(_))
    );
    if fits {
        return Ok(value);
    }
    Err(SyntaxError {
        pos,
        message: format!("cannot read {text:?} as {tag}"),
    })
}

/// The type of a plain scalar: the rules of go-yaml v2 `resolve.go`, which `sigs.k8s.io/yaml` and
/// so the API server and kubectl go by.
fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::String(text.to_owned());
    }
    let digits = text.replace('_', "");
    if let Some(value) = parse_integer(&digits) {
        return Value::Integer(value);
    }
    match parse_float(&digits) {
        // JSON has no other way to write a whole number.
        Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => Value::Integer(value as i64),
        Some(value) => Value::Float(value),
        None => Value::String(text.to_owned()),
    }
}

/// Go's `strconv.ParseInt` with base 0.
fn parse_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i64::from_str_radix(digits, base).ok()?;
    Some(if negative { -value } else { value })
}

/// `sigs.k8s.io/yaml` (goyaml.v2 `resolve.go`):
/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and no overflow.
fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !digits(exponent) {
            return None;
        }
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
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
    fn plain_scalars_are_typed_as_the_api_server_types_them() {
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
    fn merge_keys_bring_in_what_is_not_set() {
        let node = only("a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\n");
        let b = node.get("b").unwrap();
        assert_eq!(b.get("x").unwrap().value, Value::Integer(1));
        assert_eq!(b.get("z").unwrap().value, Value::Integer(3));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let error = parse_yaml(&text, &ReadLimits::default()).unwrap_err();
        assert!(error.message.contains("read.alias_nodes"), "{error}");
    }

    #[test]
    fn depth_duplicate_keys_and_unknown_tags_are_refused() {
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
    fn empty_documents_are_left_out() {
        let text = "---\n---\na: 1\n---\n# nothing\n---\nb: 2\n";
        assert_eq!(parse_yaml(text, &ReadLimits::default()).unwrap().len(), 2);
    }

    #[test]
    fn tabs_between_a_colon_and_its_value_are_blanks() {
        let read = |text: &str| {
            let nodes = parse_yaml(text, &ReadLimits::default()).unwrap();
            format!("{nodes:?}")
        };
        let tabs = "a:\tone\nb: \t two\nc: {d:\t\"e:\tf\"}\n";
        let spaces = "a: one\nb:   two\nc: {d: \"e:\tf\"}\n";
        assert_eq!(read(tabs), read(spaces));
        // Where a block begins they stay an error.
        assert!(parse_yaml("a:\n\tb: c\n", &ReadLimits::default()).is_err());
    }
}
