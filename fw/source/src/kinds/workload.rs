//! The `bailey.dev/v1` Workload: a machine outside Kubernetes that policies select like a pod.

use bailey_policy::{Endpoint, EndpointRef, NamedPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::kinds::inventory::{parse_address, parse_protocol, read_labels, remove_duplicates};
use crate::kinds::validate::{self, FieldErrors, PORT_RANGE};
use crate::parse::node::FieldPath;

/// The object as decoded.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Workload {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub(crate) metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    addresses: Vec<String>,
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    name: String,
    protocol: Option<String>,
    port: i64,
}

pub(crate) fn read(id: EndpointRef, object: &Workload, errors: &mut FieldErrors) -> Endpoint {
    let spec = FieldPath::of(&["spec"]);
    let labels = read_labels(&object.metadata);
    validate::check_labels(&labels, errors);
    let path = spec.key("addresses");
    if object.spec.addresses.is_empty() {
        errors.add_required(&path, "a workload needs at least one address");
    }
    let listed = object.spec.addresses.iter().enumerate();
    let addresses = listed
        .filter_map(|(at, text)| parse_address(&path.index(at), text, errors))
        .collect();
    let ports = object.spec.ports.iter().enumerate();
    let ports =
        ports.filter_map(|(at, port)| read_port(&spec.key("ports").index(at), port, errors));
    let ports = ports.collect();
    Endpoint {
        id,
        labels,
        addresses: remove_duplicates(addresses),
        ports,
        node: None,
    }
}

fn read_port(path: &FieldPath, port: &Port, errors: &mut FieldErrors) -> Option<NamedPort> {
    let before = errors.0.len();
    errors.add_invalid_text(
        &path.key("name"),
        &port.name,
        validate::check_port_name(&port.name),
    );
    let name = port.protocol.as_deref().unwrap_or("TCP");
    let protocol = parse_protocol(name);
    if protocol.is_none() {
        errors.add_unsupported(&path.key("protocol"), name, &["TCP", "UDP", "SCTP"]);
    }
    let number = validate::parse_port(port.port);
    if number.is_none() {
        errors.add_invalid(&path.key("port"), port.port, PORT_RANGE);
    }
    if errors.0.len() > before {
        return None;
    }
    Some(NamedPort {
        name: port.name.clone(),
        protocol: protocol?,
        number: number?,
    })
}
