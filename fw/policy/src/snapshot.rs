//! The snapshot: one consistent view of policies and inventory, indexed by name and address.

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

/// One consistent view of policies and inventory. Canonical: the same objects in any order make
/// equal snapshots. Objects are reference-counted: two snapshots that differ in one policy share
/// all other objects, and a comparison reads only the objects that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    namespaces: BTreeMap<String, Labels>,
    endpoints: Vec<Arc<Endpoint>>,
    host_pods: Vec<HostPod>,
    policies: Vec<Arc<NetworkPolicy>>,
    /// (address, index of the owner in `endpoints`), sorted by address.
    by_address: Vec<(IpAddr, usize)>,
    /// Sorted and disjoint.
    declared_prefixes: Vec<IpNet>,
}

/// The most endpoints that may own one address. An address with more owners is denied everything.
pub const OWNERS_MAX: usize = 4;

/// Two endpoints that own the same address. A packet does not identify its owner, so the address is
/// isolated if either owner is, and is allowed only what both owners are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAddress {
    /// The shared address.
    pub address: IpAddr,
    /// The owner that sorts first.
    pub first: EndpointRef,
    /// The other owner.
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
    /// Builds a snapshot. Names must be unique per kind. The source crate checks this, because only
    /// that crate can report the files of a duplicate.
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
            declared_prefixes: Vec::new(),
        };
        snapshot.endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.host_pods.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.policies.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.complete_namespaces();
        snapshot.index_addresses();
        snapshot
    }

    /// Adds declared prefixes. An address inside a declared prefix that no endpoint owns is denied
    /// in both directions.
    #[must_use]
    pub fn with_declared_prefixes(mut self, prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        let mut prefixes: Vec<IpNet> = prefixes.into_iter().map(|net| net.trunc()).collect();
        prefixes.sort_unstable_by_key(|net| (net.network(), net.prefix_len()));
        prefixes.dedup_by(|net, before| before.contains(&*net));
        self.declared_prefixes = prefixes;
        self
    }

    /// Removes the exemption for ingress from a pod's own node, by forgetting each pod's node.
    #[must_use]
    pub fn without_own_nodes(mut self) -> Self {
        for endpoint in &mut self.endpoints {
            if endpoint.node.is_some() {
                Arc::make_mut(endpoint).node = None;
            }
        }
        self
    }

    /// Adds the name label to every namespace. A namespace without an object of its own, which only
    /// endpoints or policies name, gets that label alone.
    fn complete_namespaces(&mut self) {
        let selectable = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.is_selectable());
        let named = selectable
            .map(|endpoint| &endpoint.id.namespace)
            .chain(self.policies.iter().map(|policy| &policy.id.namespace));
        // Objects of one namespace are adjacent, so comparing with the last name saves lookups.
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
        // Sorted per family: each list is mostly in order already, and integers compare faster.
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
        // An endpoint may list an address more than once.
        self.by_address.dedup();
    }

    /// All addresses with more than one owner, as pairs of the first owner and each other owner.
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

    /// The policies, sorted by namespace and name.
    pub fn policies(&self) -> &[Arc<NetworkPolicy>] {
        &self.policies
    }

    /// The endpoints: nodes, then pods, then workloads, each sorted by namespace and name.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The host-network pods.
    pub fn host_pods(&self) -> &[HostPod] {
        &self.host_pods
    }

    /// The namespaces and their labels.
    pub fn namespaces(&self) -> &BTreeMap<String, Labels> {
        &self.namespaces
    }

    /// The owner of an address; the owner that sorts first if there are several.
    pub fn endpoint_at(&self, address: IpAddr) -> Option<&Endpoint> {
        self.owners(address).next().map(|(_, endpoint)| endpoint)
    }

    /// All owners of an address, each with its index in [`Self::endpoints`], ascending.
    pub fn owners(&self, address: IpAddr) -> impl Iterator<Item = (usize, &Endpoint)> {
        let from = self.by_address.partition_point(|(a, _)| *a < address);
        let owned = self.by_address[from..].iter();
        owned
            .take_while(move |(a, _)| *a == address)
            .map(|&(_, index)| (index, &*self.endpoints[index]))
    }

    /// The declared prefixes, sorted and disjoint.
    pub fn declared_prefixes(&self) -> &[IpNet] {
        &self.declared_prefixes
    }

    /// Whether a declared prefix contains this prefix; an address is a prefix of full length.
    pub fn is_declared(&self, net: IpNet) -> bool {
        let declared = &self.declared_prefixes;
        let after = declared.partition_point(|d| d.network() <= net.network());
        after > 0 && declared[after - 1].contains(&net)
    }

    /// Looks up an endpoint by identity.
    pub fn endpoint(&self, id: &EndpointRef) -> Option<&Endpoint> {
        let found = self
            .endpoints
            .binary_search_by(|endpoint| endpoint.id.cmp(id));
        found.ok().map(|index| &*self.endpoints[index])
    }

    /// Looks up a host-network pod by identity.
    pub fn host_pod(&self, id: &EndpointRef) -> Option<&HostPod> {
        let found = self.host_pods.binary_search_by(|pod| pod.id.cmp(id));
        found.ok().map(|index| &self.host_pods[index])
    }

    /// Looks up a node by name.
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

    /// The endpoints of one kind and namespace, which are adjacent in the sorted list.
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
