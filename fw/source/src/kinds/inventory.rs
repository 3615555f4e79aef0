//! Namespace, Pod and Node, read tolerantly: only the fields that matter are decoded, so that a
//! newer object or a hand-written one with loose types elsewhere is no error.

use std::net::IpAddr;

use bailey_policy::{Endpoint, EndpointKind, EndpointRef, HostPod, Labels, NamedPort, Protocol};
use ipnet::IpNet;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::kinds::validate::{self, FieldErrors};
use crate::parse::node::FieldPath;

pub(crate) const NAMESPACE_FIELDS: &[&str] =
    &["apiVersion", "kind", "metadata.name", "metadata.labels"];

pub(crate) const NODE_FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.labels",
    "spec.podCIDR",
    "spec.podCIDRs",
    "status.addresses",
];

pub(crate) const POD_FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "spec.nodeName",
    "spec.hostNetwork",
    "spec.containers.name",
    "spec.containers.ports",
    "spec.initContainers.name",
    "spec.initContainers.ports",
    "spec.initContainers.restartPolicy",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];

/// What a Pod object turned out to be.
#[derive(Debug)]
pub(crate) enum Pod {
    /// A pod with a network namespace of its own; without addresses while it is not started.
    Endpoint(Endpoint),
    /// A pod in its node's network namespace.
    Host(HostPod),
    /// Succeeded or Failed: its addresses may already belong to another pod.
    Finished,
}

pub(crate) fn labels(metadata: &ObjectMeta) -> Labels {
    let labels = metadata.labels.iter().flatten();
    labels
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// A terminating pod (`deletionTimestamp`) is a pod like others until it is finished or gone.
pub(crate) fn pod(id: EndpointRef, object: &api::Pod, errors: &mut FieldErrors) -> Pod {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Pod::Finished;
    }
    let addresses = pod_addresses(&status, errors);
    let ports = container_ports(&spec);
    if spec.host_network == Some(true) {
        return Pod::Host(HostPod {
            id,
            node: spec.node_name,
            addresses,
            ports,
        });
    }
    let labels = labels(&object.metadata);
    Pod::Endpoint(Endpoint {
        id,
        labels,
        addresses,
        ports,
        node: spec.node_name,
    })
}

/// `podIPs`, or `podIP` where a producer filled in only that.
fn pod_addresses(status: &api::PodStatus, errors: &mut FieldErrors) -> Vec<IpAddr> {
    let path = FieldPath::of(&["status"]);
    let many = status.pod_ips.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for (index, entry) in many.iter().enumerate() {
        let path = path.key("podIPs").index(index).key("ip");
        found.extend(address(&path, &entry.ip, errors));
    }
    if many.is_empty() {
        let one = status.pod_ip.as_deref().filter(|text| !text.is_empty());
        found.extend(one.and_then(|text| address(&path.key("podIP"), text, errors)));
    }
    unique(found)
}

pub(crate) fn address(path: &FieldPath, text: &str, errors: &mut FieldErrors) -> Option<IpAddr> {
    match validate::address(text) {
        Ok(address) => Some(address),
        Err(detail) => {
            errors.invalid_text(path, text, vec![detail.to_owned()]);
            None
        }
    }
}

pub(crate) fn unique(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut seen = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen
}

/// Named ports of the containers that run beside each other: the main ones, and init containers
/// that restart always (sidecars).
fn container_ports(spec: &api::PodSpec) -> Vec<NamedPort> {
    let init = spec.init_containers.iter().flatten();
    let sidecars = init.filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let mut ports: Vec<NamedPort> = spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| {
            let protocol = protocol(port.protocol.as_deref().unwrap_or("TCP"))?;
            let number = validate::port_number(i64::from(port.container_port))?;
            Some(NamedPort {
                name: port.name.clone()?,
                protocol,
                number,
            })
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

pub(crate) fn protocol(name: &str) -> Option<Protocol> {
    match name {
        "TCP" => Some(Protocol::TCP),
        "UDP" => Some(Protocol::UDP),
        "SCTP" => Some(Protocol::SCTP),
        _ => None,
    }
}

/// The ranges that a node's pods have their addresses from; `podCIDR` where a producer filled in only
/// that.
pub(crate) fn pod_cidrs(object: &api::Node, errors: &mut FieldErrors) -> Vec<IpNet> {
    let spec = object.spec.clone().unwrap_or_default();
    let path = FieldPath::of(&["spec"]);
    let many = spec.pod_cidrs.unwrap_or_default();
    let listed = many.iter().enumerate();
    let mut texts: Vec<(FieldPath, &String)> = listed
        .map(|(index, text)| (path.key("podCIDRs").index(index), text))
        .collect();
    if texts.is_empty() {
        let one = spec.pod_cidr.iter().filter(|text| !text.is_empty());
        texts.extend(one.map(|text| (path.key("podCIDR"), text)));
    }
    let mut found = Vec::new();
    for (path, text) in texts {
        match text.parse::<IpNet>() {
            Ok(net) => found.push(net.trunc()),
            Err(_) => errors.invalid_text(
                &path,
                text,
                vec!["must be a prefix, as in 10.42.0.0/24".to_owned()],
            ),
        }
    }
    found
}

/// The addresses of a range that bridges and tunnels of its node have: its network address and the
/// first after it.
fn node_addresses_in(net: IpNet) -> impl Iterator<Item = IpAddr> {
    let hosts = net.max_prefix_len() - net.prefix_len();
    let first = match net.network() {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() | 1).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() | 1).into()),
    };
    // Of a range of four addresses or less pods have what they need.
    let some = (hosts > 2).then_some([net.network(), first]);
    some.into_iter().flatten()
}

/// A node by the addresses that its status lists, and by those that it has in its pods' ranges; host
/// names are not addresses.
pub(crate) fn node(
    name: &str,
    object: &api::Node,
    pod_cidrs: &[IpNet],
    errors: &mut FieldErrors,
) -> Endpoint {
    let status = object.status.clone().unwrap_or_default();
    let path = FieldPath::of(&["status", "addresses"]);
    let listed = status
        .addresses
        .as_deref()
        .unwrap_or_default()
        .iter()
        .enumerate();
    let addresses = listed
        .filter(|(_, entry)| matches!(entry.type_.as_str(), "InternalIP" | "ExternalIP"))
        .filter_map(|(at, entry)| address(&path.index(at).key("address"), &entry.address, errors))
        .chain(pod_cidrs.iter().copied().flat_map(node_addresses_in))
        .collect();
    let id = EndpointRef {
        kind: EndpointKind::Node,
        namespace: String::new(),
        name: name.to_owned(),
    };
    Endpoint {
        id,
        labels: labels(&object.metadata),
        addresses: unique(addresses),
        ports: Vec::new(),
        node: None,
    }
}
