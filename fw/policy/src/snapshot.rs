use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::inventory::{Endpoint, EndpointKind, EndpointRef, HostPod};
use crate::label::Labels;
use crate::network_policy::NetworkPolicy;

/// The label that the control plane sets on every namespace.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// One whole view of policies and inventory. Canonical: the same objects in any order make equal
/// snapshots. Objects are shared: of two snapshots that differ in a policy the rest is there once,
/// and comparing them looks at the difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    namespaces: BTreeMap<String, Labels>,
    endpoints: Vec<Arc<Endpoint>>,
    host_pods: Vec<HostPod>,
    policies: Vec<Arc<NetworkPolicy>>,
    /// Sorted by address; which endpoint has it.
    by_address: Vec<(IpAddr, usize)>,
}

/// Why objects do not make a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two endpoints with one address: the datapath could not tell them apart.
    #[error("address {address} belongs to both {first} and {second}")]
    Address {
        /// The address.
        address: IpAddr,
        /// The endpoint that sorts first.
        first: EndpointRef,
        /// The other one.
        second: EndpointRef,
    },
}

impl Snapshot {
    /// Puts objects together. Names must be unique per kind; the reader sees to that, where it
    /// can say in which files they are.
    ///
    /// # Errors
    /// All conflicts between the objects.
    pub fn new(
        namespaces: impl IntoIterator<Item = (String, Labels)>,
        endpoints: impl IntoIterator<Item: Into<Arc<Endpoint>>>,
        host_pods: Vec<HostPod>,
        policies: impl IntoIterator<Item: Into<Arc<NetworkPolicy>>>,
    ) -> Result<Self, Vec<Conflict>> {
        let mut snapshot = Self {
            namespaces: namespaces.into_iter().collect(),
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            host_pods,
            policies: policies.into_iter().map(Into::into).collect(),
            by_address: Vec::new(),
        };
        snapshot.endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.host_pods.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.policies.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.complete_namespaces();
        let conflicts = snapshot.index_addresses();
        if conflicts.is_empty() {
            Ok(snapshot)
        } else {
            Err(conflicts)
        }
    }

    /// Every namespace carries its name as a label, and a namespace that only other objects name
    /// exists with that label alone.
    fn complete_namespaces(&mut self) {
        let selectable = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.selectable());
        let named = selectable
            .map(|endpoint| &endpoint.id.namespace)
            .chain(self.policies.iter().map(|policy| &policy.id.namespace));
        // Those of one namespace stand together.
        let mut last = None;
        for name in named {
            if last != Some(name) && !self.namespaces.contains_key(name) {
                self.namespaces.insert(name.clone(), Labels::default());
            }
            last = Some(name);
        }
        for (name, labels) in &mut self.namespaces {
            if labels.get(NAMESPACE_NAME_LABEL) != Some(name) {
                *labels = labels.with(NAMESPACE_NAME_LABEL, name);
            }
        }
    }

    fn index_addresses(&mut self) -> Vec<Conflict> {
        // By family: each is mostly in order already, and numbers are compared faster.
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            for address in &endpoint.addresses {
                match address {
                    IpAddr::V4(address) => v4.push((address.to_bits(), index)),
                    IpAddr::V6(address) => v6.push((address.to_bits(), index)),
                }
            }
        }
        v4.sort_unstable();
        v6.sort_unstable();
        let v4 = v4
            .into_iter()
            .map(|(bits, index)| (Ipv4Addr::from_bits(bits).into(), index));
        let v6 = v6
            .into_iter()
            .map(|(bits, index)| (Ipv6Addr::from_bits(bits).into(), index));
        self.by_address = v4.chain(v6).collect();
        // An endpoint may name an address twice.
        self.by_address.dedup();
        let name = |index: usize| self.endpoints[index].id.clone();
        let mut conflicts = Vec::new();
        for of_address in self.by_address.chunk_by(|a, b| a.0 == b.0) {
            let [(address, first), others @ ..] = of_address else {
                continue;
            };
            conflicts.extend(others.iter().map(|(_, other)| Conflict::Address {
                address: *address,
                first: name(*first),
                second: name(*other),
            }));
        }
        conflicts
    }

    /// The policies, by namespace and name.
    pub fn policies(&self) -> &[Arc<NetworkPolicy>] {
        &self.policies
    }

    /// The endpoints: nodes, then pods, then workloads, each by namespace and name.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The pods in their nodes' network namespaces.
    pub fn host_pods(&self) -> &[HostPod] {
        &self.host_pods
    }

    /// The namespaces and their labels.
    pub fn namespaces(&self) -> &BTreeMap<String, Labels> {
        &self.namespaces
    }

    /// The endpoint with this address.
    pub fn endpoint_at(&self, address: IpAddr) -> Option<&Endpoint> {
        let found = self.by_address.binary_search_by_key(&address, |(a, _)| *a);
        found.ok().map(|at| &*self.endpoints[self.by_address[at].1])
    }

    /// The endpoint of this name.
    pub fn endpoint(&self, id: &EndpointRef) -> Option<&Endpoint> {
        let found = self
            .endpoints
            .binary_search_by(|endpoint| endpoint.id.cmp(id));
        found.ok().map(|index| &*self.endpoints[index])
    }

    /// The host-network pod of this name.
    pub fn host_pod(&self, id: &EndpointRef) -> Option<&HostPod> {
        let found = self.host_pods.binary_search_by(|pod| pod.id.cmp(id));
        found.ok().map(|index| &self.host_pods[index])
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Endpoint> {
        self.endpoint(&EndpointRef {
            kind: EndpointKind::Node,
            namespace: String::new(),
            name: name.to_owned(),
        })
    }

    /// The endpoints that a policy selects, in the order of [`Self::endpoints`].
    pub fn selected_by<'a>(
        &'a self,
        policy: &'a NetworkPolicy,
    ) -> impl Iterator<Item = &'a Endpoint> {
        [EndpointKind::Pod, EndpointKind::Workload]
            .into_iter()
            .flat_map(|kind| self.in_namespace(kind, &policy.id.namespace))
            .map(|endpoint| &**endpoint)
            .filter(|endpoint| policy.pod_selector.matches(&endpoint.labels))
    }

    /// Endpoints of a kind and namespace stand together.
    fn in_namespace(&self, kind: EndpointKind, namespace: &str) -> &[Arc<Endpoint>] {
        let key = |endpoint: &Endpoint| {
            (endpoint.id.kind, endpoint.id.namespace.as_str()).cmp(&(kind, namespace))
        };
        let first = self
            .endpoints
            .partition_point(|endpoint| key(endpoint).is_lt());
        let len = self.endpoints[first..].partition_point(|endpoint| key(endpoint).is_eq());
        &self.endpoints[first..first + len]
    }
}
