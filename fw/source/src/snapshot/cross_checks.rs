//! What can only be seen in the whole set: legal, and perhaps not what was meant.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bailey_policy::{
    Direction, Endpoint, EndpointKind, IpBlock, Labels, NetworkPolicy, Peer, PortSpec,
};
use ipnet::IpNet;

use crate::diagnostic::Diagnostics;

/// Everything that was read.
pub(crate) struct CrossChecks<'a> {
    pub(crate) namespaces: &'a BTreeMap<String, Labels>,
    pub(crate) endpoints: &'a [Arc<Endpoint>],
    pub(crate) policies: &'a [Arc<NetworkPolicy>],
    pub(crate) isolated: &'a [IpNet],
    pub(crate) diagnostics: &'a mut Diagnostics,
}

impl CrossChecks<'_> {
    pub(crate) fn warn(mut self) {
        self.warn_about_gaps();
        self.warn_about_ambiguous_ports();
        self.warn_about_blocks_over_endpoints();
        self.warn_about_undeclared();
    }

    /// Endpoints that a policy isolates, and no declared prefix around them: who is beside them and not
    /// in the inventory, or not yet, is not isolated.
    fn warn_about_undeclared(&mut self) {
        let mut declared: Vec<IpNet> = self.isolated.to_vec();
        declared.sort_unstable_by_key(|net| (net.network(), net.prefix_len()));
        declared.dedup_by(|net, before| before.contains(&*net));
        let is_declared = |address: &IpAddr| {
            let after = declared.partition_point(|net| net.network() <= *address);
            after > 0 && declared[after - 1].contains(address)
        };
        let mut open: Vec<&Endpoint> = self
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
        // One is enough, and of 100 000 not all need be asked about.
        let Some(first) = open.iter().position(isolated) else {
            return;
        };
        let example = open.swap_remove(first);
        self.diagnostics.add_warning(format!(
            "no declared prefix has the addresses of {}, which a policy isolates: an address beside it \
             that the inventory does not know (a pod that is new, a second address) is not isolated; \
             declare the prefixes that endpoints have, as in [inventory] isolated = \
             [\"10.42.0.0/16\"], or add the output of `kubectl get nodes -o yaml` with podCIDRs",
            example.id
        ));
    }

    /// Objects that others refer to and that are not here.
    fn warn_about_gaps(&mut self) {
        let nodes: BTreeSet<&str> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.id.kind == EndpointKind::Node)
            .map(|node| node.id.name.as_str())
            .collect();
        let lost = self
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.node.as_deref());
        let lost = lost.filter(|node| !nodes.contains(node)).count();
        if lost > 0 {
            self.diagnostics.add_warning(format!(
                "{lost} pods run on nodes that are not in the inventory: traffic from their own \
                 node (kubelet probes) is judged as from outside; add the output of \
                 `kubectl get nodes -o yaml`"
            ));
        }
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
        // Those of one namespace mostly stand together.
        unknown.dedup();
        unknown.retain(|namespace| !self.namespaces.contains_key(*namespace));
        unknown.sort_unstable();
        unknown.dedup();
        if selects_namespaces && !unknown.is_empty() {
            self.diagnostics.add_warning(format!(
                "no Namespace object for {}: a namespaceSelector sees only the name label of {}; \
                 add the output of `kubectl get namespaces -o yaml`",
                unknown.join(", "),
                if unknown.len() == 1 { "it" } else { "them" },
            ));
        }
    }

    /// An ipBlock matches by address, whoever has it. Other implementations leave pods out, so
    /// people may mean either.
    fn warn_about_blocks_over_endpoints(&mut self) {
        let taken: Vec<IpAddr> = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.is_selectable())
            .flat_map(|endpoint| endpoint.addresses.iter().copied())
            .collect();
        // Each family is mostly in order already.
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
                Peer::IpBlock(block) => first_inside(block, &taken).is_some(),
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
            "ipBlocks of {}{more} contain addresses of pods or workloads; they are matched by \
             address, so those are meant too",
            names[..names.len().min(SHOWN)].join(", ")
        ));
    }

    /// One name with two numbers on one endpoint; a rule that uses it allows both.
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
                    "{}: port name {name:?} stands for {protocol} {}; rules that use it allow \
                     all of them",
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

/// The first of these addresses, ascending, that a block contains; whole exceptions are skipped at once.
fn first_inside(block: &IpBlock, addresses: &[IpAddr]) -> Option<IpAddr> {
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
