use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bailey_config::nearest::nearest;
use bailey_policy::{Connection, EndpointKind, EndpointRef, Protocol, Snapshot};

/// One side of a connection, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A pod, workload or node of the inventory.
    Endpoint(EndpointRef),
    /// An address; if an endpoint has it, that endpoint is meant.
    Address(IpAddr),
}

impl Target {
    /// A target of a kind from its `ns/name`, or `name` for a node.
    ///
    /// # Errors
    /// If the text is not of that form.
    pub fn of(kind: EndpointKind, text: &str) -> Result<Self, String> {
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
            return Err(format!("{text:?} does not name one object"));
        }
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Self::Endpoint(EndpointRef {
            kind,
            namespace,
            name,
        }))
    }

    /// The addresses that the target stands for. A host-network pod is its node.
    ///
    /// # Errors
    /// If the inventory does not have it, or it has no address.
    pub fn addresses(&self, snapshot: &Snapshot) -> Result<Vec<IpAddr>, String> {
        let id = match self {
            Self::Address(address) => return Ok(vec![*address]),
            Self::Endpoint(id) => id,
        };
        let addresses = if let Some(endpoint) = snapshot.endpoint(id) {
            endpoint.addresses.clone()
        } else if let Some(pod) = snapshot.host_pod(id) {
            let node = pod.node.as_ref().and_then(|name| snapshot.node(name));
            node.map_or_else(|| pod.addresses.clone(), |node| node.addresses.clone())
        } else {
            return Err(format!(
                "{id} is not in the inventory{}",
                like(id, snapshot)
            ));
        };
        if addresses.is_empty() {
            return Err(format!("{id} has no address"));
        }
        Ok(addresses)
    }

    /// The number that a port name stands for at this target.
    ///
    /// # Errors
    /// If it stands for none or several.
    pub fn named_port(
        &self,
        snapshot: &Snapshot,
        name: &str,
        protocol: Protocol,
    ) -> Result<u16, String> {
        // One that there is not has no ports either; that is the worse mistake.
        self.addresses(snapshot)?;
        let endpoint = match self {
            Self::Address(address) => snapshot.endpoint_at(*address),
            Self::Endpoint(id) => snapshot.endpoint(id),
        };
        let host_pod = match self {
            Self::Endpoint(id) => snapshot.host_pod(id),
            Self::Address(_) => None,
        };
        let ports = endpoint
            .map(|e| &e.ports)
            .or_else(|| host_pod.map(|p| &p.ports));
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
                let near = nearest(name, names);
                Err(format!(
                    "{self} has no {protocol} port named {name:?}{near}"
                ))
            }
            _ => Err(format!(
                "{protocol} port name {name:?} of {self} stands for {numbers:?}"
            )),
        }
    }
}

/// The endpoint of the same kind that may be meant.
fn like(id: &EndpointRef, snapshot: &Snapshot) -> String {
    let endpoints = snapshot.endpoints().iter().map(|endpoint| &endpoint.id);
    let hosts = snapshot.host_pods().iter().map(|pod| &pod.id);
    let same = endpoints.chain(hosts).filter(|other| other.kind == id.kind);
    nearest(&id.to_string(), same.map(ToString::to_string))
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [
            ("pod:", EndpointKind::Pod),
            ("workload:", EndpointKind::Workload),
            ("node:", EndpointKind::Node),
        ];
        for (prefix, kind) in kinds {
            if let Some(rest) = text.strip_prefix(prefix) {
                return Self::of(kind, rest);
            }
        }
        if text.parse::<IpAddr>().is_err() {
            return Err(format!(
                "{text:?} is not pod:NS/NAME, workload:NS/NAME, node:NAME or an address"
            ));
        }
        address(text).map(Self::Address)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(id) => id.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// An address as it can stand in a packet.
///
/// # Errors
/// If it is none, or an IPv4-mapped IPv6 address: such packets are dropped before policy.
pub fn address(text: &str) -> Result<IpAddr, String> {
    match text.parse() {
        Ok(IpAddr::V6(six)) if six.to_ipv4_mapped().is_some() => Err(format!(
            "Invalid value: {text:?}: an IPv4-mapped IPv6 address"
        )),
        Ok(address) => Ok(address),
        Err(_) => Err(format!("Invalid value: {text:?}: not an address")),
    }
}

/// IPv6 next-header values that are not upper-layer protocols (IANA, IPv6 extension headers).
const EXTENSION_HEADERS: [u8; 10] = [0, 43, 44, 51, 60, 135, 139, 140, 253, 254];

/// Every connection between two targets: one per pair of addresses of one family.
///
/// # Errors
/// If a target is not known, or the two have no family in common.
pub fn connections(
    snapshot: &Snapshot,
    from: &Target,
    to: &Target,
    protocol: Protocol,
    port: u16,
    family: impl Fn(IpAddr) -> bool,
) -> Result<Vec<Connection>, String> {
    let sources = from.addresses(snapshot)?;
    let destinations = to.addresses(snapshot)?;
    let mut connections = Vec::new();
    for &source in sources.iter().filter(|address| family(**address)) {
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
