//! Validation of one case: endpoints, protocol, port, expected verdict. Messages have the form of the
//! Kubernetes API server.

use bailey_policy::{EndpointKind, Protocol};
use bailey_source::parse::node::FieldPath;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field_error::FieldError;
use super::raw::{RawCase, RawEndpoint, RawExpect, RawSides};
use super::{Case, Expectation, ExpectedRule, Family, Port};
use crate::endpoint::{NamedEndpoint, parse_address};

/// Deciders that are not rules.
const FIXED_DECIDERS: [&str; 7] = [
    "default-deny",
    "group",
    "link-local",
    "not-isolated",
    "own-node",
    "self",
    "unknown-address",
];

/// Validates a case. Appends every error of its fields, and returns the case if there is none.
pub(super) fn read_case(
    raw: RawCase,
    path: &FieldPath,
    errors: &mut Vec<FieldError>,
) -> Option<Case> {
    let errors_before = errors.len();
    let mut report = |field: &str, message: String| {
        errors.push(FieldError::of_value(path.key(field), message));
    };
    let default_name = describe_connection(&raw);

    // Endpoints, protocol and port. A port is valid only for a known protocol.
    let from = read_endpoint(raw.from).map_err(|m| report("from", m)).ok();
    let to = read_endpoint(raw.to).map_err(|m| report("to", m)).ok();
    let protocol = match raw.protocol {
        None => Ok(Protocol::TCP),
        Some(IntOrString::String(text)) => bailey_config::parse_protocol(&text),
        Some(IntOrString::Int(number)) => bailey_config::parse_protocol(&number.to_string()),
    };
    let protocol = protocol.map_err(|m| report("protocol", m)).ok();
    let port = protocol.and_then(|protocol| {
        read_port(raw.port, protocol)
            .map_err(|m| report("port", m))
            .ok()
    });

    // The address family, the expected verdict and the expected decider.
    let family = match raw.family.as_deref() {
        None => Ok(None),
        Some("IPv4") => Ok(Some(Family::V4)),
        Some("IPv6") => Ok(Some(Family::V6)),
        Some(other) => Err(format!(
            "Unsupported value: {other:?}: supported values: \"IPv4\", \"IPv6\""
        )),
    };
    let family = family.map_err(|m| report("family", m)).ok();
    let expect = read_expect(raw.expect)
        .map_err(|m| report("expect", m))
        .ok();
    let rule = raw
        .rule
        .map(read_rule)
        .transpose()
        .map_err(|m| report("rule", m))
        .ok();

    if errors.len() > errors_before {
        return None;
    }
    Some(Case {
        name: raw.name.unwrap_or(default_name),
        from: from?,
        to: to?,
        protocol: protocol?,
        port: port?,
        family: family?,
        expect: expect?,
        rule: rule?,
    })
}

/// Names a case without a name, as in `203.0.113.1 to ns/p TCP/80`.
fn describe_connection(raw: &RawCase) -> String {
    let side = |endpoint: &RawEndpoint| {
        let fields = [
            &endpoint.pod,
            &endpoint.workload,
            &endpoint.node,
            &endpoint.ip,
        ];
        fields
            .into_iter()
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

fn read_endpoint(raw: RawEndpoint) -> Result<NamedEndpoint, String> {
    match (raw.pod, raw.workload, raw.node, raw.ip) {
        (Some(name), None, None, None) => NamedEndpoint::parse_object(EndpointKind::Pod, &name),
        (None, Some(name), None, None) => {
            NamedEndpoint::parse_object(EndpointKind::Workload, &name)
        }
        (None, None, Some(name), None) => NamedEndpoint::parse_object(EndpointKind::Node, &name),
        (None, None, None, Some(text)) => parse_address(&text).map(NamedEndpoint::Address),
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

fn read_expect(raw: Option<RawExpect>) -> Result<Expectation, String> {
    let parse_verdict = |text: &str| match text {
        "allow" => Ok(true),
        "deny" => Ok(false),
        other => Err(format!(
            "Unsupported value: {other:?}: supported values: \"allow\", \"deny\""
        )),
    };
    match raw {
        None => Err("Required value: allow or deny".into()),
        Some(RawExpect::Verdict(text)) => parse_verdict(&text).map(Expectation::Connection),
        Some(RawExpect::Sides(RawSides {
            egress: None,
            ingress: None,
        })) => Err("Required value: egress, ingress or both".into()),
        Some(RawExpect::Sides(sides)) => Ok(Expectation::Sides {
            egress: sides.egress.as_deref().map(parse_verdict).transpose()?,
            ingress: sides.ingress.as_deref().map(parse_verdict).transpose()?,
        }),
    }
}

fn read_rule(text: String) -> Result<ExpectedRule, String> {
    if let Some(fixed) = FIXED_DECIDERS.into_iter().find(|fixed| *fixed == text) {
        return Ok(ExpectedRule::Fixed(fixed));
    }
    let named = text.split_once('/').is_some_and(|(namespace, name)| {
        !namespace.is_empty() && !name.is_empty() && !name.contains('/')
    });
    if named {
        return Ok(ExpectedRule::Policy(text));
    }
    Err(format!(
        "Invalid value: {text:?}: must be NAMESPACE/POLICY or one of {}",
        FIXED_DECIDERS.join(", ")
    ))
}
