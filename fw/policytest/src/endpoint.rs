//! Endpoints as operators name them on the command line and in tests, and the connections between two of
//! them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bailey_config::nearest::nearest;
use bailey_policy::{Connection, EndpointKind, EndpointRef, Protocol, Snapshot};

/// One side of a connection, named by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedEndpoint {
    /// A pod, workload or node of the inventory.
    Object(EndpointRef),
    /// An address; it means the endpoint that has this address, if there is one.
    Address(IpAddr),
}

impl NamedEndpoint {
    /// Parses `namespace/name`, or `name` for a node.
    ///
    /// # Errors
    /// If the text does not have that form.
    pub fn parse_object(kind: EndpointKind, text: &str) -> Result<Self, String> {
        let (namespace, name) = match kind {
            EndpointKind::Node => ("", text),
            _ => text
                .split_once('/')
                .ok_or_else(|| format!("{text:?} is not NAMESPACE/NAME"))?,
        };
        if name.is_empty()
            || name.contains('/')
            || (kind != EndpointKind::Node && namespace.is_empty())
        {
            return Err(format!("{text:?} must name one object"));
        }
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Self::Object(EndpointRef {
            kind,
            namespace,
            name,
        }))
    }

    /// The addresses of the endpoint. A host-network pod has the addresses of its node.
    ///
    /// # Errors
    /// If the endpoint is not in the inventory, or has no address.
    pub fn find_addresses(&self, snapshot: &Snapshot) -> Result<Vec<IpAddr>, String> {
        let id = match self {
            Self::Address(address) => return Ok(vec![*address]),
            Self::Object(id) => id,
        };
        let addresses = if let Some(endpoint) = snapshot.endpoint(id) {
            endpoint.addresses.clone()
        } else if let Some(pod) = snapshot.host_pod(id) {
            let node = pod.node.as_ref().and_then(|name| snapshot.node(name));
            node.map_or_else(|| pod.addresses.clone(), |node| node.addresses.clone())
        } else {
            return Err(format!(
                "{id} is not in the inventory{}",
                suggest_endpoint(id, snapshot)
            ));
        };
        if addresses.is_empty() {
            return Err(format!("{id} has no address"));
        }
        Ok(addresses)
    }

    /// The number of a named port of this endpoint.
    ///
    /// # Errors
    /// If no port or more than one port number has the name.
    pub fn resolve_port(
        &self,
        snapshot: &Snapshot,
        name: &str,
        protocol: Protocol,
    ) -> Result<u16, String> {
        // An unknown endpoint has no ports either; report the endpoint first.
        self.find_addresses(snapshot)?;

        // The ports of the endpoint, or of the pod on the host network.
        let endpoint = match self {
            Self::Address(address) => snapshot.endpoint_at(*address),
            Self::Object(id) => snapshot.endpoint(id),
        };
        let host_pod = match self {
            Self::Object(id) => snapshot.host_pod(id),
            Self::Address(_) => None,
        };
        let ports = endpoint
            .map(|e| &e.ports)
            .or_else(|| host_pod.map(|p| &p.ports));

        // Several containers may declare the same name; one number is unambiguous.
        let mut numbers: Vec<u16> = ports
            .into_iter()
            .flatten()
            .filter(|port| port.name == name && port.protocol == protocol)
            .map(|port| port.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        match numbers[..] {
            [number] => Ok(number),
            [] => {
                let names = ports.into_iter().flatten().map(|port| port.name.as_str());
                let suggestion = nearest(name, names);
                Err(format!(
                    "{self} has no {protocol} port named {name:?}{suggestion}"
                ))
            }
            _ => Err(format!(
                "{protocol} port name {name:?} of {self} resolves to {numbers:?}"
            )),
        }
    }
}

/// Suggests the endpoint of the same kind with the closest name.
fn suggest_endpoint(id: &EndpointRef, snapshot: &Snapshot) -> String {
    let endpoints = snapshot.endpoints().iter().map(|endpoint| &endpoint.id);
    let hosts = snapshot.host_pods().iter().map(|pod| &pod.id);
    let same_kind = endpoints.chain(hosts).filter(|other| other.kind == id.kind);
    nearest(&id.to_string(), same_kind.map(ToString::to_string))
}

impl FromStr for NamedEndpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [
            ("pod:", EndpointKind::Pod),
            ("workload:", EndpointKind::Workload),
            ("node:", EndpointKind::Node),
        ];
        for (prefix, kind) in kinds {
            if let Some(rest) = text.strip_prefix(prefix) {
                return Self::parse_object(kind, rest);
            }
        }
        if text.parse::<IpAddr>().is_err() {
            return Err(format!(
                "{text:?} must be pod:NS/NAME, workload:NS/NAME, node:NAME or an IP address"
            ));
        }
        parse_address(text).map(Self::Address)
    }
}

impl fmt::Display for NamedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Parses an address that a packet can have at policy evaluation.
///
/// # Errors
/// If the text is not an address, or is an IPv4-mapped IPv6 address: such packets are dropped before
/// policy.
pub fn parse_address(text: &str) -> Result<IpAddr, String> {
    match text.parse() {
        Ok(IpAddr::V6(six)) if six.to_ipv4_mapped().is_some() => Err(format!(
            "Invalid value: {text:?}: must not be an IPv4-mapped IPv6 address"
        )),
        Ok(address) => Ok(address),
        Err(_) => Err(format!("Invalid value: {text:?}: must be an IP address")),
    }
}

/// IPv6 next-header values that are not upper-layer protocols (IANA, IPv6 extension headers).
const EXTENSION_HEADERS: [u8; 10] = [0, 43, 44, 51, 60, 135, 139, 140, 253, 254];

/// Lists every connection between two endpoints: one per pair of addresses of the same family. Only source
/// addresses for which `is_wanted` holds are used. Of an IPv6 pair, ICMP means ICMPv6.
///
/// # Errors
/// If an endpoint is unknown, the two have no address family in common, or `protocol` is an IPv6 extension
/// header.
pub fn list_connections(
    snapshot: &Snapshot,
    from: &NamedEndpoint,
    to: &NamedEndpoint,
    protocol: Protocol,
    port: u16,
    is_wanted: impl Fn(IpAddr) -> bool,
) -> Result<Vec<Connection>, String> {
    let sources = from.find_addresses(snapshot)?;
    let destinations = to.find_addresses(snapshot)?;
    let mut connections = Vec::new();
    for &source in sources.iter().filter(|address| is_wanted(**address)) {
        for &destination in destinations
            .iter()
            .filter(|d| d.is_ipv4() == source.is_ipv4())
        {
            let protocol = match protocol {
                Protocol::ICMP if source.is_ipv6() => Protocol::ICMPV6,
                Protocol(number) if source.is_ipv6() && EXTENSION_HEADERS.contains(&number) => {
                    return Err(format!(
                        "{number} is an IPv6 extension header, not a protocol"
                    ));
                }
                other => other,
            };
            connections.push(Connection {
                source,
                destination,
                protocol,
                port,
            });
        }
    }
    if connections.is_empty() {
        return Err(format!("{from} and {to} have no address family in common"));
    }
    Ok(connections)
}
