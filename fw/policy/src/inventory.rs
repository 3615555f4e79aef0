use std::fmt;
use std::net::IpAddr;

use crate::connection::Protocol;
use crate::label::Labels;

/// What an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointKind {
    /// A Kubernetes Node: never selected by a policy, known by its addresses.
    Node,
    /// A Kubernetes Pod with a network namespace of its own.
    Pod,
    /// A `bailey.dev/v1` Workload: a machine that is not a pod, selected like one.
    Workload,
}

/// Names an endpoint; prints as `pod:ns/name`, `workload:ns/name` or `node:name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointRef {
    /// What it is.
    pub kind: EndpointKind,
    /// Its namespace; empty for a node.
    pub namespace: String,
    /// Its name.
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

/// A port that an endpoint gives a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPort {
    /// The name, unique per container but not per pod.
    pub name: String,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// 1 to 65535.
    pub number: u16,
}

/// Somebody with addresses: a pod, a workload or a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Who it is.
    pub id: EndpointRef,
    /// Its labels; those of a node select nothing.
    pub labels: Labels,
    /// Its addresses, in the order in which the object lists them.
    pub addresses: Vec<IpAddr>,
    /// Its named ports.
    pub ports: Vec<NamedPort>,
    /// The node that a pod runs on.
    pub node: Option<String>,
}

impl Endpoint {
    /// Can pod and namespace selectors match it?
    pub fn is_selectable(&self) -> bool {
        self.id.kind != EndpointKind::Node
    }

    /// The numbers that a port name stands for here: none if it is unknown, several if
    /// containers disagree.
    pub fn resolve_port_name(&self, name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
        let matching = move |port: &&NamedPort| port.name == name && port.protocol == protocol;
        self.ports.iter().filter(matching).map(|port| port.number)
    }
}

/// A pod in its node's network namespace: no selector sees it, its traffic is its node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPod {
    /// Its name.
    pub id: EndpointRef,
    /// Its node, if it is scheduled.
    pub node: Option<String>,
    /// The addresses that its status shows, used where the node is not in the inventory.
    pub addresses: Vec<IpAddr>,
    /// Its named ports, for tests that name one.
    pub ports: Vec<NamedPort>,
}
