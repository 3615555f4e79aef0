//! A PolicyTest as serde reads it: every field optional or defaulted, no value checked.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A PolicyTest object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawTest {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub metadata: ObjectMeta,
    pub spec: RawSpec,
}

/// `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSpec {
    pub objects: Vec<String>,
    /// Decoded by the reader of objects, from the document itself.
    #[serde(rename = "inline")]
    _inline: Vec<IgnoredAny>,
    pub cases: Vec<RawCase>,
}

/// An element of `spec.cases`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawCase {
    pub name: Option<String>,
    pub from: RawEndpoint,
    pub to: RawEndpoint,
    pub protocol: Option<IntOrString>,
    pub port: Option<IntOrString>,
    pub family: Option<String>,
    pub expect: Option<RawExpect>,
    pub rule: Option<String>,
}

/// `from` or `to`: exactly one field is valid.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawEndpoint {
    pub pod: Option<String>,
    pub workload: Option<String>,
    pub node: Option<String>,
    pub ip: Option<String>,
}

/// `expect`: `allow`, `deny`, or a mapping of the sides.
#[derive(Debug)]
pub(super) enum RawExpect {
    Verdict(String),
    Sides(RawSides),
}

/// `expect` as a mapping.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSides {
    pub egress: Option<String>,
    pub ingress: Option<String>,
}

impl<'de> Deserialize<'de> for RawExpect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExpectVisitor;

        impl<'de> Visitor<'de> for ExpectVisitor {
            type Value = RawExpect;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("allow, deny, or a mapping of egress and ingress")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawExpect, E> {
                Ok(RawExpect::Verdict(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawExpect, A::Error> {
                RawSides::deserialize(MapAccessDeserializer::new(map)).map(RawExpect::Sides)
            }
        }

        deserializer.deserialize_any(ExpectVisitor)
    }
}
