use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bailey_policy::{EndpointKind, Protocol};
use bailey_source::files;
use bailey_source::parse::decode::decode;
use bailey_source::parse::node::{FieldPath, Node};
use bailey_source::parse::parse_documents;
use bailey_source::{Diagnostic, ReadLimits, Severity};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::endpoint::{self, Target};

/// A PolicyTest that can be run.
#[derive(Debug, Clone)]
pub struct PolicyTest {
    /// The file it stands in.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// Files and directories of objects, relative to the file's directory.
    pub objects: Vec<PathBuf>,
    /// Objects in the test itself.
    pub inline: Vec<Node>,
    /// The cases; at least one.
    pub cases: Vec<Case>,
}

/// One expected verdict.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name given, or one made of what is asked.
    pub name: String,
    /// Who connects.
    pub from: Target,
    /// To whom.
    pub to: Target,
    /// With what.
    pub protocol: Protocol,
    /// To which port.
    pub port: Port,
    /// Only this family, if one is named.
    pub family: Option<Family>,
    /// What is expected.
    pub expect: Expect,
    /// The side's decider that must be among those that decided.
    pub rule: Option<RuleName>,
}

/// A destination port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// The protocol has none.
    None,
    /// A number.
    Number(u16),
    /// A name, to be resolved at the destination.
    Named(String),
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Is the address of this family?
    pub fn holds(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}

/// An expected verdict: of the connection, or of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Of the connection.
    Verdict(bool),
    /// Of the sides, those that are given.
    Sides {
        /// At the source.
        egress: Option<bool>,
        /// At the destination.
        ingress: Option<bool>,
    },
}

/// What a case names as deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleName {
    /// Any rule of the policy `ns/name`.
    Policy(String),
    /// `default-deny`, `not-isolated`, `own-node`, `self` or `unknown-address`.
    Fixed(&'static str),
}

const FIXED_RULES: [&str; 7] = [
    "default-deny",
    "group",
    "link-local",
    "not-isolated",
    "own-node",
    "self",
    "unknown-address",
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    objects: Vec<String>,
    #[serde(rename = "inline")]
    _inline: Vec<IgnoredAny>,
    cases: Vec<RawCase>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawCase {
    name: Option<String>,
    from: RawTarget,
    to: RawTarget,
    protocol: Option<IntOrString>,
    port: Option<IntOrString>,
    family: Option<String>,
    expect: Option<RawExpect>,
    rule: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawTarget {
    pod: Option<String>,
    workload: Option<String>,
    node: Option<String>,
    ip: Option<String>,
}

#[derive(Debug)]
enum RawExpect {
    Word(String),
    Sides(RawSides),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawSides {
    egress: Option<String>,
    ingress: Option<String>,
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
                Ok(RawExpect::Word(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawExpect, A::Error> {
                RawSides::deserialize(MapAccessDeserializer::new(map)).map(RawExpect::Sides)
            }
        }

        deserializer.deserialize_any(ExpectVisitor)
    }
}

/// Reads the PolicyTests of a file; other objects in it are left out.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read(file: &Path) -> Result<Vec<PolicyTest>, Vec<Diagnostic>> {
    let error = |message: String, pos| Diagnostic {
        severity: Severity::Error,
        file: Some(file.to_owned()),
        pos,
        object: None,
        message,
    };
    let limits = ReadLimits::default();
    let text = files::read_text(file, limits.file_bytes).map_err(|m| vec![error(m, None)])?;
    let documents =
        parse_documents(&text, &limits).map_err(|e| vec![error(e.message, Some(e.pos))])?;
    let mut tests = Vec::new();
    let mut errors = Vec::new();
    for document in documents.iter().flat_map(items) {
        match kind_of(document) {
            Kind::Other => continue,
            Kind::Unknown(text) => {
                let message = format!("no matches for kind {text:?} in bailey.dev");
                errors.push(error(message, Some(document.pos)));
                continue;
            }
            Kind::PolicyTest => {}
        }
        match read_test(file, document) {
            Ok(test) => tests.push(test),
            Err(found) => errors.extend(found.into_iter().map(
                |Wrong {
                     path,
                     message,
                     at_key,
                 }| {
                    let pos = document.locate(&path, at_key);
                    error(format!("PolicyTest: {path}: {message}"), Some(pos))
                },
            )),
        }
    }
    errors.sort_by_key(|error| error.pos);
    if errors.is_empty() {
        Ok(tests)
    } else {
        Err(errors)
    }
}

/// The objects of a list, or the one object.
fn items(document: &Node) -> Vec<&Node> {
    let is_list = document
        .get("kind")
        .and_then(Node::as_str)
        .is_some_and(|k| k.ends_with("List"));
    match document.get("items").and_then(Node::as_sequence) {
        Some(items) if is_list => items.iter().collect(),
        _ => vec![document],
    }
}

enum Kind<'a> {
    PolicyTest,
    /// Of bailey.dev, and nothing that is known there.
    Unknown(&'a str),
    Other,
}

fn kind_of(document: &Node) -> Kind<'_> {
    let text = |key| document.get(key).and_then(Node::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        (_, "PolicyTest") => Kind::PolicyTest,
        ("bailey.dev/v1", "Workload") => Kind::Other,
        (version, kind) if version.starts_with("bailey.dev/") => Kind::Unknown(kind),
        _ => Kind::Other,
    }
}

/// Something wrong with a field.
#[derive(Debug)]
struct Wrong {
    path: FieldPath,
    message: String,
    /// It is about the field's name, not its value.
    at_key: bool,
}

impl Wrong {
    fn value(path: FieldPath, message: String) -> Self {
        Self {
            path,
            message,
            at_key: false,
        }
    }
}

type FieldErrors = Vec<Wrong>;

fn read_test(file: &Path, document: &Node) -> Result<PolicyTest, FieldErrors> {
    let mut errors = FieldErrors::new();
    let version = document
        .get("apiVersion")
        .and_then(Node::as_str)
        .unwrap_or_default();
    if version != "bailey.dev/v1" {
        let message =
            format!("Unsupported value: {version:?}: supported values: \"bailey.dev/v1\"");
        errors.push(Wrong::value(FieldPath::of(&["apiVersion"]), message));
    }
    let decoded = decode::<File>(document);
    let wrong: Vec<FieldPath> = decoded.wrong.iter().map(|(path, _)| path.clone()).collect();
    errors.extend(
        decoded
            .wrong
            .into_iter()
            .map(|(path, message)| Wrong::value(path, message)),
    );
    // Objects are read, strictly or not, by the reader of objects.
    let inline = FieldPath::of(&["spec", "inline"]);
    let unknown = decoded
        .unknown
        .into_iter()
        .filter(|path| !inline.contains(path));
    errors.extend(unknown.map(|path| Wrong {
        path,
        message: "unknown field".to_owned(),
        at_key: true,
    }));
    let Some(read) = decoded.value else {
        return Err(errors);
    };
    let spec = FieldPath::of(&["spec"]);
    if read.spec.cases.is_empty() {
        let message = "Required value: a test without cases tests nothing".to_owned();
        errors.push(Wrong::value(spec.key("cases"), message));
    }
    let mut cases = Vec::with_capacity(read.spec.cases.len());
    for (index, raw) in read.spec.cases.into_iter().enumerate() {
        cases.extend(read_case(raw, &spec.key("cases").index(index), &mut errors));
    }
    // What only follows from a wrong type is not said again.
    let follows = |error: &Wrong| {
        !wrong.contains(&error.path) && wrong.iter().any(|path| error.path.contains(path))
    };
    let spoken: Vec<FieldPath> = errors.iter().map(|error| error.path.clone()).collect();
    let mut at = 0;
    errors.retain(|error| {
        at += 1;
        let again = wrong.contains(&error.path) && spoken[..at - 1].contains(&error.path);
        !again && !follows(error)
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let directory = file.parent().unwrap_or_else(|| Path::new(""));
    let inline = document.get("spec").and_then(|spec| spec.get("inline"));
    Ok(PolicyTest {
        file: file.to_owned(),
        name: read
            .metadata
            .name
            .unwrap_or_else(|| file.display().to_string()),
        objects: read
            .spec
            .objects
            .iter()
            .map(|path| directory.join(path))
            .collect(),
        inline: inline
            .and_then(Node::as_sequence)
            .unwrap_or_default()
            .to_vec(),
        cases,
    })
}

fn read_case(raw: RawCase, path: &FieldPath, errors: &mut FieldErrors) -> Option<Case> {
    let before = errors.len();
    let mut note = |field: &str, result: Result<(), String>| {
        if let Err(message) = result {
            errors.push(Wrong::value(path.key(field), message));
        }
    };
    let shown = display_name(&raw);
    let from = read_target(raw.from).map_err(|m| note("from", Err(m))).ok();
    let to = read_target(raw.to).map_err(|m| note("to", Err(m))).ok();
    let protocol = match raw.protocol {
        None => Ok(Protocol::TCP),
        Some(IntOrString::String(text)) => bailey_config::parse_protocol(&text),
        Some(IntOrString::Int(number)) => bailey_config::parse_protocol(&number.to_string()),
    };
    let protocol = protocol.map_err(|m| note("protocol", Err(m))).ok();
    let port = protocol.and_then(|protocol| {
        read_port(raw.port, protocol)
            .map_err(|m| note("port", Err(m)))
            .ok()
    });
    let family = match raw.family.as_deref() {
        None => Ok(None),
        Some("IPv4") => Ok(Some(Family::V4)),
        Some("IPv6") => Ok(Some(Family::V6)),
        Some(other) => Err(format!(
            "Unsupported value: {other:?}: supported values: \"IPv4\", \"IPv6\""
        )),
    };
    let family = family.map_err(|m| note("family", Err(m))).ok();
    let expect = read_expect(raw.expect)
        .map_err(|m| note("expect", Err(m)))
        .ok();
    let rule = raw
        .rule
        .map(read_rule)
        .transpose()
        .map_err(|m| note("rule", Err(m)))
        .ok();
    if errors.len() > before {
        return None;
    }
    let name = raw.name.unwrap_or(shown);
    Some(Case {
        name,
        from: from?,
        to: to?,
        protocol: protocol?,
        port: port?,
        family: family?,
        expect: expect?,
        rule: rule?,
    })
}

fn display_name(raw: &RawCase) -> String {
    let side = |target: &RawTarget| {
        let all = [&target.pod, &target.workload, &target.node, &target.ip];
        all.into_iter()
            .flatten()
            .next()
            .cloned()
            .unwrap_or_else(|| "?".into())
    };
    let text = |value: &Option<IntOrString>, default: &str| match value {
        None => default.to_owned(),
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(text)) => text.clone(),
    };
    let port = text(&raw.port, "");
    let slash = if port.is_empty() { "" } else { "/" };
    let protocol = text(&raw.protocol, "TCP");
    format!(
        "{} to {} {protocol}{slash}{port}",
        side(&raw.from),
        side(&raw.to)
    )
}

fn read_target(raw: RawTarget) -> Result<Target, String> {
    match (raw.pod, raw.workload, raw.node, raw.ip) {
        (Some(name), None, None, None) => Target::of(EndpointKind::Pod, &name),
        (None, Some(name), None, None) => Target::of(EndpointKind::Workload, &name),
        (None, None, Some(name), None) => Target::of(EndpointKind::Node, &name),
        (None, None, None, Some(text)) => endpoint::address(&text).map(Target::Address),
        _ => Err("Required value: exactly one of pod, workload, node, ip".into()),
    }
}

fn read_port(raw: Option<IntOrString>, protocol: Protocol) -> Result<Port, String> {
    if !protocol.has_ports() {
        return match raw {
            None => Ok(Port::None),
            Some(_) => Err(format!("Forbidden: protocol {protocol} has no ports")),
        };
    }
    match raw {
        None => Err(format!("Required value: protocol {protocol} has ports")),
        Some(IntOrString::String(name)) => Ok(Port::Named(name)),
        Some(IntOrString::Int(number)) => u16::try_from(number)
            .ok()
            .filter(|&port| port != 0)
            .map(Port::Number)
            .ok_or_else(|| {
                format!("Invalid value: {number}: must be between 1 and 65535, inclusive")
            }),
    }
}

fn read_expect(raw: Option<RawExpect>) -> Result<Expect, String> {
    let word = |text: &str| match text {
        "allow" => Ok(true),
        "deny" => Ok(false),
        other => Err(format!(
            "Unsupported value: {other:?}: supported values: \"allow\", \"deny\""
        )),
    };
    match raw {
        None => Err("Required value: allow or deny".into()),
        Some(RawExpect::Word(text)) => word(&text).map(Expect::Verdict),
        Some(RawExpect::Sides(RawSides {
            egress: None,
            ingress: None,
        })) => Err("Required value: egress, ingress or both".into()),
        Some(RawExpect::Sides(sides)) => Ok(Expect::Sides {
            egress: sides.egress.as_deref().map(word).transpose()?,
            ingress: sides.ingress.as_deref().map(word).transpose()?,
        }),
    }
}

fn read_rule(text: String) -> Result<RuleName, String> {
    if let Some(fixed) = FIXED_RULES.into_iter().find(|fixed| *fixed == text) {
        return Ok(RuleName::Fixed(fixed));
    }
    let named = text.split_once('/').is_some_and(|(namespace, name)| {
        !namespace.is_empty() && !name.is_empty() && !name.contains('/')
    });
    if named {
        return Ok(RuleName::Policy(text));
    }
    Err(format!(
        "Invalid value: {text:?}: must be NAMESPACE/POLICY or one of {}",
        FIXED_RULES.join(", ")
    ))
}
