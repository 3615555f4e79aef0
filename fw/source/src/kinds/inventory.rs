//! Namespace, Pod and Node, read tolerantly: only the fields in use are decoded, so that newer
//! objects, and hand-written ones with wrong types elsewhere, are accepted.

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

/// The result of reading a Pod object.
#[derive(Debug)]
pub(crate) enum Pod {
    /// A pod with its own network namespace; has no addresses until it starts.
    Endpoint(Endpoint),
    /// A pod in the network namespace of its node.
    Host(HostPod),
    /// A pod in phase Succeeded or Failed: its addresses may already belong to another pod.
    Finished,
}

pub(crate) fn read_labels(metadata: &ObjectMeta) -> Labels {
    let labels = metadata.labels.iter().flatten();
    labels
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// Reads a Pod. A terminating pod (`deletionTimestamp`) stays an endpoint until it is finished or
/// removed.
pub(crate) fn read_pod(id: EndpointRef, object: &api::Pod, errors: &mut FieldErrors) -> Pod {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Pod::Finished;
    }
    let addresses = read_pod_addresses(&status, errors);
    let ports = read_container_ports(&spec);
    if spec.host_network == Some(true) {
        return Pod::Host(HostPod {
            id,
            node: spec.node_name,
            addresses,
            ports,
        });
    }
    let labels = read_labels(&object.metadata);
    Pod::Endpoint(Endpoint {
        id,
        labels,
        addresses,
        ports,
        node: spec.node_name,
    })
}

/// `podIPs`, or `podIP` if only that field is set.
fn read_pod_addresses(status: &api::PodStatus, errors: &mut FieldErrors) -> Vec<IpAddr> {
    let path = FieldPath::of(&["status"]);
    let many = status.pod_ips.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for (index, entry) in many.iter().enumerate() {
        let path = path.key("podIPs").index(index).key("ip");
        found.extend(parse_address(&path, &entry.ip, errors));
    }
    if many.is_empty() {
        let one = status.pod_ip.as_deref().filter(|text| !text.is_empty());
        found.extend(one.and_then(|text| parse_address(&path.key("podIP"), text, errors)));
    }
    remove_duplicates(found)
}

pub(crate) fn parse_address(
    path: &FieldPath,
    text: &str,
    errors: &mut FieldErrors,
) -> Option<IpAddr> {
    match validate::parse_address(text) {
        Ok(address) => Some(address),
        Err(detail) => {
            errors.add_invalid_text(path, text, vec![detail.to_owned()]);
            None
        }
    }
}

pub(crate) fn remove_duplicates(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut seen = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen
}

/// Named ports of all containers that run at the same time: the main containers, and init
/// containers with restart policy Always (sidecars).
fn read_container_ports(spec: &api::PodSpec) -> Vec<NamedPort> {
    let init = spec.init_containers.iter().flatten();
    let sidecars = init.filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let mut ports: Vec<NamedPort> = spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| {
            let protocol = parse_protocol(port.protocol.as_deref().unwrap_or("TCP"))?;
            let number = validate::parse_port(i64::from(port.container_port))?;
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

pub(crate) fn parse_protocol(name: &str) -> Option<Protocol> {
    match name {
        "TCP" => Some(Protocol::TCP),
        "UDP" => Some(Protocol::UDP),
        "SCTP" => Some(Protocol::SCTP),
        _ => None,
    }
}

/// The address ranges of a node's pods: `podCIDRs`, or `podCIDR` if only that field is set.
pub(crate) fn read_pod_cidrs(object: &api::Node, errors: &mut FieldErrors) -> Vec<IpNet> {
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
            Err(_) => errors.add_invalid_text(
                &path,
                text,
                vec!["must be a prefix, for example 10.42.0.0/24".to_owned()],
            ),
        }
    }
    found
}

/// The addresses in a pod range that belong to the node's bridges and tunnels: the network address
/// and the first address after it.
fn node_addresses_in(net: IpNet) -> impl Iterator<Item = IpAddr> {
    let hosts = net.max_prefix_len() - net.prefix_len();
    let first = match net.network() {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() | 1).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() | 1).into()),
    };
    // In a range of four addresses or fewer, all addresses are for pods.
    let some = (hosts > 2).then_some([net.network(), first]);
    some.into_iter().flatten()
}

/// Reads a Node. Its addresses are the IP addresses in its status, and its own addresses in the
/// ranges of its pods.
pub(crate) fn read_node(
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
        .filter_map(|(at, entry)| {
            parse_address(&path.index(at).key("address"), &entry.address, errors)
        })
        .chain(pod_cidrs.iter().copied().flat_map(node_addresses_in))
        .collect();
    let id = EndpointRef {
        kind: EndpointKind::Node,
        namespace: String::new(),
        name: name.to_owned(),
    };
    Endpoint {
        id,
        labels: read_labels(&object.metadata),
        addresses: remove_duplicates(addresses),
        ports: Vec::new(),
        node: None,
    }
}
