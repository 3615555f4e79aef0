//! `bailey.dev/v1` Workload: a machine that is not a pod and is selected like one.

use bailey_policy::{Endpoint, EndpointRef, NamedPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::kinds::inventory::{address, labels, protocol, unique};
use crate::kinds::validate::{self, FieldErrors, PORT_RANGE};
use crate::parse::node::FieldPath;

/// The object as it is written.
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
    let labels = labels(&object.metadata);
    validate::labels(&labels, errors);
    let path = spec.key("addresses");
    if object.spec.addresses.is_empty() {
        errors.required(&path, "a workload is known by its addresses");
    }
    let listed = object.spec.addresses.iter().enumerate();
    let addresses = listed
        .filter_map(|(at, text)| address(&path.index(at), text, errors))
        .collect();
    let ports = object.spec.ports.iter().enumerate();
    let ports =
        ports.filter_map(|(at, port)| read_port(&spec.key("ports").index(at), port, errors));
    let ports = ports.collect();
    Endpoint {
        id,
        labels,
        addresses: unique(addresses),
        ports,
        node: None,
    }
}

fn read_port(path: &FieldPath, port: &Port, errors: &mut FieldErrors) -> Option<NamedPort> {
    let before = errors.0.len();
    errors.invalid_text(
        &path.key("name"),
        &port.name,
        validate::port_name(&port.name),
    );
    let name = port.protocol.as_deref().unwrap_or("TCP");
    let protocol = protocol(name);
    if protocol.is_none() {
        errors.unsupported(&path.key("protocol"), name, &["TCP", "UDP", "SCTP"]);
    }
    let number = validate::port_number(port.port);
    if number.is_none() {
        errors.invalid(&path.key("port"), port.port, PORT_RANGE);
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
