//! Endpoints: pods, workloads and nodes with their addresses, labels and named ports.

use std::fmt;
use std::net::IpAddr;

use crate::connection::Protocol;
use crate::label::Labels;

/// The kind of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointKind {
    /// A Kubernetes Node. Policies never select nodes; they match them by address only.
    Node,
    /// A Kubernetes Pod with its own network namespace.
    Pod,
    /// A `bailey.dev/v1` Workload: a machine outside Kubernetes that policies select like a pod.
    Workload,
}

/// Identifies an endpoint. Displayed as `pod:ns/name`, `workload:ns/name` or `node:name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointRef {
    /// Kind of the endpoint.
    pub kind: EndpointKind,
    /// Namespace; empty for a node.
    pub namespace: String,
    /// Object name.
    pub name: String,
}

impl fmt::Display for EndpointRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EndpointKind::Node => write!(f, "node:{}", self.name),
            EndpointKind::Pod => write!(f, "pod:{}/{}", self.namespace, self.name),
            EndpointKind::Workload => write!(f, "workload:{}/{}", self.namespace, self.name),
        }
    }
}

/// A named port of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPort {
    /// Port name; unique per container, not per pod.
    pub name: String,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Port number, 1 to 65535.
    pub number: u16,
}

/// A pod, workload or node, with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Identity.
    pub id: EndpointRef,
    /// Labels. No selector reads the labels of a node.
    pub labels: Labels,
    /// Addresses, in the order of the object.
    pub addresses: Vec<IpAddr>,
    /// Named ports.
    pub ports: Vec<NamedPort>,
    /// The node that runs the pod; `None` for other kinds and unscheduled pods.
    pub node: Option<String>,
}

impl Endpoint {
    /// Whether pod and namespace selectors can match this endpoint.
    pub fn is_selectable(&self) -> bool {
        self.id.kind != EndpointKind::Node
    }

    /// The port numbers of a port name on this endpoint: none if the endpoint does not declare the
    /// name, several if its containers use the name for different ports.
    pub fn resolve_port_name(&self, name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
        let matching = move |port: &&NamedPort| port.name == name && port.protocol == protocol;
        self.ports.iter().filter(matching).map(|port| port.number)
    }
}

/// A pod in the network namespace of its node. No selector matches the pod, and its traffic counts
/// as traffic of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPod {
    /// Identity.
    pub id: EndpointRef,
    /// The node, if the pod is scheduled.
    pub node: Option<String>,
    /// The addresses from the pod's status, used if the inventory lacks the node.
    pub addresses: Vec<IpAddr>,
    /// Named ports, for PolicyTests that use a port name.
    pub ports: Vec<NamedPort>,
}
