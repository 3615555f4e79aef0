use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

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
    /// Sorted; none within another.
    isolated: Vec<IpNet>,
}

/// Endpoints of one address that can be told apart; with more of them it has no permission.
pub const OWNERS_MAX: usize = 4;

/// Two endpoints with one address. A packet does not say which of them it means, so the address is
/// isolated where either is, and may do what both may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAddress {
    /// The address.
    pub address: IpAddr,
    /// The endpoint that sorts first.
    pub first: EndpointRef,
    /// The other one.
    pub second: EndpointRef,
}

impl fmt::Display for SharedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            first,
            second,
        } = self;
        write!(f, "address {address} belongs to both {first} and {second}")
    }
}

impl Snapshot {
    /// Puts objects together. Names must be unique per kind; the reader sees to that, where it
    /// can say in which files they are.
    pub fn new(
        namespaces: impl IntoIterator<Item = (String, Labels)>,
        endpoints: impl IntoIterator<Item: Into<Arc<Endpoint>>>,
        host_pods: Vec<HostPod>,
        policies: impl IntoIterator<Item: Into<Arc<NetworkPolicy>>>,
    ) -> Self {
        let mut snapshot = Self {
            namespaces: namespaces.into_iter().collect(),
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            host_pods,
            policies: policies.into_iter().map(Into::into).collect(),
            by_address: Vec::new(),
            isolated: Vec::new(),
        };
        snapshot.endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.host_pods.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.policies.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.complete_namespaces();
        snapshot.index_addresses();
        snapshot
    }

    /// The same with declared prefixes: an address within them that no endpoint has may neither send
    /// nor be sent anything.
    #[must_use]
    pub fn with_declared_prefixes(mut self, prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        let mut prefixes: Vec<IpNet> = prefixes.into_iter().map(|net| net.trunc()).collect();
        prefixes.sort_unstable_by_key(|net| (net.network(), net.prefix_len()));
        prefixes.dedup_by(|net, before| before.contains(&*net));
        self.isolated = prefixes;
        self
    }

    /// The same where no node reaches its own pods whatever policy says.
    #[must_use]
    pub fn without_own_nodes(mut self) -> Self {
        for endpoint in &mut self.endpoints {
            if endpoint.node.is_some() {
                Arc::make_mut(endpoint).node = None;
            }
        }
        self
    }

    /// Every namespace carries its name as a label, and a namespace that only other objects name
    /// exists with that label alone.
    fn complete_namespaces(&mut self) {
        let selectable = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.is_selectable());
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
                *labels = labels.with_label(NAMESPACE_NAME_LABEL, name);
            }
        }
    }

    fn index_addresses(&mut self) {
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
    }

    /// All addresses that several endpoints have.
    pub fn shared_addresses(&self) -> impl Iterator<Item = SharedAddress> {
        let name = |index: usize| self.endpoints[index].id.clone();
        let of_addresses = self.by_address.chunk_by(|a, b| a.0 == b.0);
        of_addresses.flat_map(move |of_address| {
            let (_, first) = of_address[0];
            of_address[1..]
                .iter()
                .map(move |&(address, other)| SharedAddress {
                    address,
                    first: name(first),
                    second: name(other),
                })
        })
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

    /// The endpoint with this address; of several the one that sorts first.
    pub fn endpoint_at(&self, address: IpAddr) -> Option<&Endpoint> {
        self.owners(address).next().map(|(_, endpoint)| endpoint)
    }

    /// All endpoints with this address, and their places in [`Self::endpoints`], ascending.
    pub fn owners(&self, address: IpAddr) -> impl Iterator<Item = (usize, &Endpoint)> {
        let from = self.by_address.partition_point(|(a, _)| *a < address);
        let owned = self.by_address[from..].iter();
        owned
            .take_while(move |(a, _)| *a == address)
            .map(|&(_, index)| (index, &*self.endpoints[index]))
    }

    /// The declared prefixes, sorted, none within another.
    pub fn declared_prefixes(&self) -> &[IpNet] {
        &self.isolated
    }

    /// Is this prefix, or an address as the longest one, within a declared prefix?
    pub fn is_declared(&self, net: IpNet) -> bool {
        let after = self
            .isolated
            .partition_point(|d| d.network() <= net.network());
        after > 0 && self.isolated[after - 1].contains(&net)
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
