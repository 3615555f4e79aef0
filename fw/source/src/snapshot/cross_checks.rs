//! Warnings that need the whole set of objects: valid input that probably does not mean what its
//! author intended.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bailey_policy::{
    Direction, Endpoint, EndpointKind, IpBlock, Labels, NetworkPolicy, Peer, PortSpec,
};
use ipnet::IpNet;

use crate::diagnostic::Diagnostics;

/// All objects, and the place for warnings.
pub(crate) struct CrossChecks<'a> {
    pub(crate) namespaces: &'a BTreeMap<String, Labels>,
    pub(crate) endpoints: &'a [Arc<Endpoint>],
    pub(crate) policies: &'a [Arc<NetworkPolicy>],
    pub(crate) declared_prefixes: &'a [IpNet],
    pub(crate) diagnostics: &'a mut Diagnostics,
}

impl CrossChecks<'_> {
    /// Runs all checks.
    pub(crate) fn run(mut self) {
        self.warn_about_unlisted_nodes();
        self.warn_about_unlisted_namespaces();
        self.warn_about_ambiguous_ports();
        self.warn_about_blocks_over_endpoints();
        self.warn_about_undeclared();
    }

    /// Warns if a policy isolates an endpoint outside all declared prefixes: neighbouring addresses
    /// that the inventory does not list, or not yet, are not isolated.
    fn warn_about_undeclared(&mut self) {
        let mut declared: Vec<IpNet> = self.declared_prefixes.to_vec();
        declared.sort_unstable_by_key(|net| (net.network(), net.prefix_len()));
        declared.dedup_by(|net, before| before.contains(&*net));
        let is_declared = |address: &IpAddr| {
            let after = declared.partition_point(|net| net.network() <= *address);
            after > 0 && declared[after - 1].contains(address)
        };
        let mut undeclared: Vec<&Endpoint> = self
            .endpoints
            .iter()
            .map(|endpoint| &**endpoint)
            .filter(|endpoint| endpoint.is_selectable())
            .filter(|endpoint| !endpoint.addresses.iter().all(is_declared))
            .collect();
        let isolated = |endpoint: &&Endpoint| {
            self.policies.iter().any(|policy| {
                policy.id.namespace == endpoint.id.namespace
                    && policy.pod_selector.matches(&endpoint.labels)
            })
        };
        // Stops at the first match, because a cluster can have 100 000 endpoints.
        let Some(first) = undeclared.iter().position(isolated) else {
            return;
        };
        let example = undeclared.swap_remove(first);
        self.diagnostics.add_warning(format!(
            "a policy isolates {}, but no declared prefix contains its addresses: unlisted addresses \
             of the same network (a new pod, a second address) are not isolated; declare the \
             prefixes of your endpoints, for example [inventory] isolated = [\"10.42.0.0/16\"], or \
             add the output of `kubectl get nodes -o yaml` with podCIDRs",
            example.id
        ));
    }

    /// Warns if pods run on nodes that have no Node object.
    fn warn_about_unlisted_nodes(&mut self) {
        let nodes: BTreeSet<&str> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.id.kind == EndpointKind::Node)
            .map(|node| node.id.name.as_str())
            .collect();
        let pod_nodes = self
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.node.as_deref());
        let pods = pod_nodes.filter(|node| !nodes.contains(node)).count();
        if pods > 0 {
            self.diagnostics.add_warning(format!(
                "{pods} pods run on nodes that are not in the inventory: traffic from their own \
                 node (kubelet probes) is evaluated like external traffic; add the output of \
                 `kubectl get nodes -o yaml`"
            ));
        }
    }

    /// Warns if namespaceSelectors are used and a namespace has no Namespace object.
    fn warn_about_unlisted_namespaces(&mut self) {
        let selects_namespaces = self.policies.iter().any(|policy| {
            Direction::BOTH
                .into_iter()
                .filter_map(|d| policy.rules(d))
                .flatten()
                .any(|rule| {
                    rule.peers.iter().any(|peer| {
                        matches!(
                            peer,
                            Peer::Selected {
                                namespaces: Some(_),
                                ..
                            }
                        )
                    })
                })
        });
        let mut unknown: Vec<&str> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.is_selectable())
            .map(|endpoint| endpoint.id.namespace.as_str())
            .collect();
        // Endpoints of one namespace are mostly adjacent, so this removes most duplicates.
        unknown.dedup();
        unknown.retain(|namespace| !self.namespaces.contains_key(*namespace));
        unknown.sort_unstable();
        unknown.dedup();
        if selects_namespaces && !unknown.is_empty() {
            self.diagnostics.add_warning(format!(
                "no Namespace object for {}: a namespaceSelector can match only the name label \
                 there; add the output of `kubectl get namespaces -o yaml`",
                unknown.join(", "),
            ));
        }
    }

    /// Warns if ipBlocks contain addresses of pods or workloads. Bailey matches ipBlocks by
    /// address; some other implementations exclude pods, so the author may expect either.
    fn warn_about_blocks_over_endpoints(&mut self) {
        let taken: Vec<IpAddr> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.is_selectable())
            .flat_map(|endpoint| endpoint.addresses.iter().copied())
            .collect();
        // Sorted per family, because each list is mostly in order already.
        let (mut taken, mut v6): (Vec<IpAddr>, Vec<IpAddr>) =
            taken.into_iter().partition(IpAddr::is_ipv4);
        taken.sort_unstable();
        v6.sort_unstable();
        taken.append(&mut v6);
        let over = |policy: &&Arc<NetworkPolicy>| {
            let rules = Direction::BOTH
                .into_iter()
                .filter_map(|d| policy.rules(d))
                .flatten();
            rules.flat_map(|rule| &rule.peers).any(|peer| match peer {
                Peer::IpBlock(block) => find_first_inside(block, &taken).is_some(),
                Peer::Selected { .. } => false,
            })
        };
        let names: Vec<String> = self
            .policies
            .iter()
            .filter(over)
            .map(|policy| policy.id.to_string())
            .collect();
        if names.is_empty() {
            return;
        }
        const SHOWN: usize = 5;
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        self.diagnostics.add_warning(format!(
            "ipBlocks of {}{more} contain addresses of pods or workloads; ipBlocks match by \
             address, so they match these endpoints too",
            names[..names.len().min(SHOWN)].join(", ")
        ));
    }

    /// Warns if an endpoint uses one port name for several ports; a rule with the name allows all
    /// of them.
    fn warn_about_ambiguous_ports(&mut self) {
        let mut used: Vec<_> = self
            .policies
            .iter()
            .flat_map(|policy| Direction::BOTH.into_iter().filter_map(|d| policy.rules(d)))
            .flatten()
            .flat_map(|rule| &rule.ports)
            .filter_map(|port| match &port.port {
                PortSpec::Named(name) => Some((name.as_str(), port.protocol)),
                PortSpec::Any | PortSpec::Range(_) => None,
            })
            .collect();
        used.sort_unstable();
        used.dedup();
        let mut warnings = Vec::new();
        for endpoint in self.endpoints {
            for &(name, protocol) in &used {
                let numbers = || endpoint.resolve_port_name(name, protocol);
                if numbers().nth(1).is_none() {
                    continue;
                }
                let numbers: Vec<String> = numbers().map(|number| number.to_string()).collect();
                warnings.push(format!(
                    "{}: port name {name:?} resolves to {protocol} {}; rules with this name allow \
                     all of these ports",
                    endpoint.id,
                    numbers.join(", ")
                ));
            }
        }
        warnings
            .into_iter()
            .for_each(|warning| self.diagnostics.add_warning(warning));
    }
}

/// The first of these ascending addresses that a block contains. Skips each `except` prefix as a
/// whole.
fn find_first_inside(block: &IpBlock, addresses: &[IpAddr]) -> Option<IpAddr> {
    let (first, last) = (block.cidr.network(), block.cidr.broadcast());
    let mut at = addresses.partition_point(|address| *address < first);
    loop {
        let address = *addresses.get(at).filter(|address| **address <= last)?;
        match block.except.iter().find(|net| net.contains(&address)) {
            None => return Some(address),
            Some(net) => {
                let rest = &addresses[at..];
                at += rest.partition_point(|address| *address <= net.broadcast());
            }
        }
    }
}
