//! Decodes a [`Node`] with serde, with the zero values of Go's JSON decoder: `null` is an absent
//! option, an empty string, list or map, or a struct of zero values. `ingress: [null]` therefore
//! has the same meaning as in the API server.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::parse::node::{FieldPath, Key, Node, Value};

/// The decoded value of a document, and all decoding errors.
#[derive(Debug)]
pub struct Decoded<T> {
    /// The value without the fields in `wrong`; `None` if it could not be decoded at all.
    pub value: Option<T>,
    /// Fields with a value of the wrong type, each with an error message.
    pub wrong: Vec<(FieldPath, String)>,
    /// Fields that the type does not have.
    pub unknown: Vec<FieldPath>,
}

/// Most wrong values reported per document. A document with more is in another format.
const MAX_WRONG: usize = 20;

/// Decodes a document. Removes a value of the wrong type and decodes again, so that one run finds
/// all such values.
pub fn decode<T: for<'de> Deserialize<'de>>(document: &Node) -> Decoded<T> {
    let mut wrong = Vec::new();
    let mut rest = document.clone();
    loop {
        // Decodes, tracking the path of an error and the unknown fields.
        let mut unknown = Vec::new();
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(NodeDeserializer(&rest), &mut track);
        let result = serde_ignored::deserialize(tracked, |path| unknown.push(ignored_path(&path)));
        let error = match result {
            Ok(value) => {
                return Decoded {
                    value: Some(value),
                    wrong,
                    unknown,
                };
            }
            Err(error) => error,
        };

        // Removes the wrong value and repeats. A path seen before means no progress.
        let path = error_path(&track.path());
        let seen = wrong.iter().any(|(known, _)| *known == path);
        if seen || wrong.len() == MAX_WRONG {
            return Decoded {
                value: None,
                wrong,
                unknown,
            };
        }
        rest.remove(&path);
        wrong.push((path, error.to_string()));
    }
}

fn ignored_path(path: &serde_ignored::Path<'_>) -> FieldPath {
    use serde_ignored::Path;
    match path {
        Path::Root => FieldPath::default(),
        Path::Seq { parent, index } => ignored_path(parent).index(*index),
        Path::Map { parent, key } => ignored_path(parent).key(key),
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => ignored_path(parent),
    }
}

fn error_path(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(FieldPath::default(), |at, segment| match segment {
            Segment::Seq { index } => at.index(*index),
            Segment::Map { key } => at.key(key),
            Segment::Enum { .. } | Segment::Unknown => at,
        })
}

/// Why a value has the wrong type; the message continues the path of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(format!("Invalid value: {message}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let value = match unexpected {
            Unexpected::Signed(value) => value.to_string(),
            Unexpected::Unsigned(value) => value.to_string(),
            Unexpected::Str(value) => format!("{value:?}"),
            other => other.to_string(),
        };
        Self(format!("Invalid value: {value}: must be {expected}"))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let (value, kind) = match unexpected {
            Unexpected::Bool(value) => (value.to_string(), "a boolean"),
            Unexpected::Signed(value) => (value.to_string(), "an integer"),
            Unexpected::Unsigned(value) => (value.to_string(), "an integer"),
            Unexpected::Float(value) => (value.to_string(), "a number"),
            Unexpected::Str(value) => (format!("{value:?}"), "a string"),
            Unexpected::Seq => ("[…]".to_owned(), "a list"),
            Unexpected::Map => ("{…}".to_owned(), "a mapping"),
            other => return Self::custom(format!("{other}, expected {expected}")),
        };
        let expected = expected.to_string();
        let scalar = !matches!(
            unexpected,
            Unexpected::Seq | Unexpected::Map | Unexpected::Str(_)
        );
        let hint = if expected == "a string" && scalar {
            "; put it in quotes"
        } else {
            ""
        };
        Self(format!(
            "Invalid value: {value}: must be {}, not {kind}{hint}",
            describe_type(&expected)
        ))
    }
}

/// Translates a Rust type name into a term that authors of YAML know.
fn describe_type(expected: &str) -> &str {
    match expected {
        _ if expected.starts_with("struct ") => "a mapping",
        "i32" | "i64" | "u16" | "u32" => "an integer",
        "IntOrString" => "an integer or a string",
        "a string" | "a boolean" | "a sequence" | "a map" => match expected {
            "a sequence" => "a list",
            "a map" => "a mapping",
            other => other,
        },
        other if other.chars().next().is_some_and(char::is_uppercase) => "a mapping",
        other => other,
    }
}

struct NodeDeserializer<'a>(&'a Node);

impl<'a> IntoDeserializer<'a, DecodeError> for NodeDeserializer<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            Value::Mapping(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.value {
            Value::Null => visitor.visit_borrowed_str(""),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.value {
            Value::Null => visitor.visit_seq(Items([].iter())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.value {
            Value::Null => visitor.visit_map(Entries {
                rest: [].iter(),
                value: None,
            }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if let Value::Sequence(_) = self.0.value {
            // Derived visitors would read the elements as fields, by position.
            return Err(de::Error::invalid_type(Unexpected::Seq, &"a mapping"));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::String(text) => {
                let text: StringDeserializer<DecodeError> = text.clone().into_deserializer();
                visitor.visit_enum(text)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct identifier
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        self.0
            .next()
            .map(|node| seed.deserialize(NodeDeserializer(node)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, node)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(node);
        seed.deserialize(de::value::BorrowedStrDeserializer::new(&key.text))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let node = self
            .value
            .take()
            .ok_or_else(|| de::Error::custom("value before key"))?;
        seed.deserialize(NodeDeserializer(node))
    }
}
