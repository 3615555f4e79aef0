//! The oracle: implements each clause of the NetworkPolicy specification in a few
//! lines, without indexes or optimisations. Sources, cited as [api] and [doc]: the type comments of
//! `k8s.io/api/networking/v1/types.go`, and the Kubernetes concept page "Network Policies".

use std::net::IpAddr;

use crate::connection::Connection;
use crate::direction::Direction;
use crate::inventory::{Endpoint, EndpointKind};
use crate::network_policy::{NetworkPolicy, Peer, PolicyRef, PortMatch, PortSpec, Rule};
use crate::snapshot::{OWNERS_MAX, Snapshot};
use crate::verdict::{Decider, RuleRef, Verdict};

/// Evaluates a new connection.
///
/// [doc] "For a connection from a source pod to a destination pod to be allowed, both the egress
/// policy on the source pod and the ingress policy on the destination pod need to allow the
/// connection." Replies are not evaluated: [doc] "Reply traffic for those allowed
/// connections will also be implicitly allowed."
pub fn evaluate(snapshot: &Snapshot, connection: &Connection) -> Verdict {
    Verdict {
        egress: evaluate_direction(snapshot, connection, Direction::Egress),
        ingress: evaluate_direction(snapshot, connection, Direction::Ingress),
    }
}

/// Evaluates one direction for all owners of both addresses. Several endpoints can own one address
/// for a while, for example when a sandbox is recreated or a node restarts, and a packet does not
/// identify its owner. Isolation is the union of the owners' isolation, and a connection is allowed
/// only if every pair of owners allows it. The first pair in inventory order that denies is the
/// decider; if no pair denies, the first pair.
fn evaluate_direction(
    snapshot: &Snapshot,
    connection: &Connection,
    direction: Direction,
) -> Decider {
    let sources = find_endpoints(snapshot, connection.source);
    let destinations = find_endpoints(snapshot, connection.destination);
    let mut pairs = Vec::new();
    for &source in &sources {
        for &destination in &destinations {
            pairs.push(evaluate_pair(
                snapshot,
                connection,
                direction,
                source,
                destination,
            ));
        }
    }
    let denied = pairs.iter().position(|decider| !decider.is_allowed());
    pairs.swap_remove(denied.unwrap_or(0))
}

fn evaluate_pair(
    snapshot: &Snapshot,
    connection: &Connection,
    direction: Direction,
    source: Option<&Endpoint>,
    destination: Option<&Endpoint>,
) -> Decider {
    // [doc] lists among the things that policies cannot do: "The ability to prevent loopback [...]
    // Pods cannot currently block localhost access". A pod that connects to its own address is the
    // same endpoint on both sides.
    if let (Some(source), Some(destination)) = (source, destination)
        && source.id == destination.id
    {
        return Decider::SelfTraffic;
    }
    // [api] Ingress: traffic is allowed "if the traffic source is the pod's local node". The field
    // Egress has no such clause.
    if direction == Direction::Ingress && is_from_own_node(source, destination) {
        return Decider::OwnNode;
    }
    // The subject is the endpoint that policies isolate in this direction; the peer is the other.
    let (subject, address, peer_address, peer) = match direction {
        Direction::Egress => (
            source,
            connection.source,
            connection.destination,
            destination,
        ),
        Direction::Ingress => (
            destination,
            connection.destination,
            connection.source,
            source,
        ),
    };
    let Some(subject) = subject else {
        return evaluate_unlisted(snapshot, address);
    };
    // [doc] "a pod is isolated for egress [ingress] if there is any NetworkPolicy that both
    // selects the pod and has Egress [Ingress] in its policyTypes".
    let isolating: Vec<&NetworkPolicy> = snapshot
        .policies()
        .iter()
        .map(|policy| &**policy)
        .filter(|policy| is_selected_by(subject, policy) && policy.rules(direction).is_some())
        .collect();
    if isolating.is_empty() {
        return Decider::NotIsolated;
    }
    // [doc] "policies do not conflict; they are additive": any matching rule allows the connection.
    // The first one in the order of policy names is reported.
    for policy in &isolating {
        for (index, rule) in policy
            .rules(direction)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            if peers_match(snapshot, policy, rule, peer_address, peer)
                && ports_match(rule, connection, destination)
            {
                return Decider::Rule(RuleRef {
                    policy: policy.id.clone(),
                    direction,
                    index,
                });
            }
        }
    }
    Decider::DefaultDeny(
        isolating
            .iter()
            .map(|policy| policy.id.clone())
            .collect::<Vec<PolicyRef>>(),
    )
}

/// The decider for an address without a known owner. Policies isolate only endpoints of the
/// inventory. An unlisted address inside a declared prefix is a pod that the inventory does not list
/// yet, or no longer: it is denied. An address with too many owners is denied too.
fn evaluate_unlisted(snapshot: &Snapshot, address: IpAddr) -> Decider {
    let mut declared = snapshot.declared_prefixes().iter();
    if declared.any(|net| net.contains(&address)) || snapshot.owners(address).next().is_some() {
        Decider::UnknownAddress
    } else {
        Decider::NotIsolated
    }
}

/// All owners of an address; a single `None` if there are none or more than [`OWNERS_MAX`].
fn find_endpoints(snapshot: &Snapshot, address: IpAddr) -> Vec<Option<&Endpoint>> {
    let all = snapshot.endpoints().iter().map(|endpoint| &**endpoint);
    let mut found: Vec<_> = all
        .filter(|endpoint| endpoint.addresses.contains(&address))
        .map(Some)
        .collect();
    if found.is_empty() || found.len() > OWNERS_MAX {
        found = vec![None];
    }
    found
}

fn is_from_own_node(source: Option<&Endpoint>, destination: Option<&Endpoint>) -> bool {
    match (source, destination) {
        (Some(source), Some(destination)) => {
            source.id.kind == EndpointKind::Node
                && destination.node.as_deref() == Some(&source.id.name)
        }
        _ => false,
    }
}

/// [api] podSelector "selects the pods to which this NetworkPolicy object applies"; a policy is
/// namespaced. Selectors ignore nodes and host-network pods: the second of the two behaviours that
/// [doc] permits for hostNetwork.
fn is_selected_by(endpoint: &Endpoint, policy: &NetworkPolicy) -> bool {
    endpoint.is_selectable()
        && endpoint.id.namespace == policy.id.namespace
        && policy.pod_selector.matches(&endpoint.labels)
}

/// [api] from/to: "Items in this list are combined using a logical OR operation. If this field is
/// empty or missing, this rule matches all sources [destinations]".
fn peers_match(
    snapshot: &Snapshot,
    policy: &NetworkPolicy,
    rule: &Rule,
    address: IpAddr,
    endpoint: Option<&Endpoint>,
) -> bool {
    rule.peers.is_empty()
        || rule
            .peers
            .iter()
            .any(|peer| peer_matches(snapshot, policy, peer, address, endpoint))
}

fn peer_matches(
    snapshot: &Snapshot,
    policy: &NetworkPolicy,
    peer: &Peer,
    address: IpAddr,
    endpoint: Option<&Endpoint>,
) -> bool {
    match peer {
        // [api] ipBlock matches by address; upstream's end-to-end tests expect this for pods too.
        Peer::IpBlock(block) => block.contains(address),
        Peer::Selected { namespaces, pods } => {
            // Selectors match endpoints only, never addresses outside the inventory.
            let Some(endpoint) = endpoint.filter(|endpoint| endpoint.is_selectable()) else {
                return false;
            };
            let namespace = &endpoint.id.namespace;
            let in_namespace = match namespaces {
                // [api] "Otherwise it selects the pods matching podSelector in the policy's own
                // namespace."
                None => *namespace == policy.id.namespace,
                Some(selector) => snapshot
                    .namespaces()
                    .get(namespace)
                    .is_some_and(|l| selector.matches(l)),
            };
            in_namespace && pods.matches(&endpoint.labels)
        }
    }
}

/// [api] ports: "If this field is empty or missing, this rule matches all ports (traffic not
/// restricted by port)", and with them every protocol.
fn ports_match(rule: &Rule, connection: &Connection, destination: Option<&Endpoint>) -> bool {
    rule.ports.is_empty()
        || rule
            .ports
            .iter()
            .any(|port| port_matches(port, connection, destination))
}

fn port_matches(port: &PortMatch, connection: &Connection, destination: Option<&Endpoint>) -> bool {
    // [api] protocol "TCP, UDP, or SCTP": other protocols match no entry.
    if port.protocol != connection.protocol {
        return false;
    }
    match &port.port {
        // [api] "If this field is not provided, this matches all port names and numbers."
        PortSpec::Any => true,
        PortSpec::Range(range) => range.contains(connection.port),
        // [api] "a numerical or named port on a pod": the pod is the destination. A name that the
        // destination does not declare matches nothing.
        PortSpec::Named(name) => destination.is_some_and(|d| {
            d.resolve_port_name(name, port.protocol)
                .any(|n| n == connection.port)
        }),
    }
}
