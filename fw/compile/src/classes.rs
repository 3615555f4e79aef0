//! Addresses to class records: one record per distinct combination of subjects, peer class, node
//! and endpoint. Full-length addresses go to the host table, shorter prefixes to the tries.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use bailey_bpf::abi;
use bailey_policy::{Direction, Endpoint, EndpointKind, OWNERS_MAX, Snapshot};
use ipnet::IpNet;

use crate::host_table::HostTable;
use crate::intern::Interner;
use crate::lpm::{self, Prefix, Ranges};
use crate::peers::Peers;
use crate::prefixes::PrefixTree;
use crate::subjects::Subjects;
use crate::tables::{AddressTables, LpmTables, TableParams};

/// The address tables, and the program constants that belong to them.
#[derive(Debug)]
pub(crate) struct CompiledAddresses {
    pub(crate) tables: Arc<AddressTables>,
    pub(crate) params: TableParams,
}

/// Collects the class of every address and prefix before the tables are built.
pub(crate) struct ClassBuilder {
    records: Interner<abi::class_record>,
    hosts: Vec<(IpAddr, u32)>,
    /// IPv4, IPv6; likewise `defaults`.
    prefixes: [Vec<(Prefix, u32)>; 2],
    /// The class of addresses without a prefix.
    defaults: [u32; 2],
    /// `ISOLATES_*` bits.
    isolates: u32,
}

/// Class 0: an address that no endpoint owns and no rule names.
const NO_CLASS: abi::class_record = abi::class_record {
    egress_subject: 0,
    ingress_subject: 0,
    peer: 0,
    node: 0,
    endpoint: 0,
    flags: 0,
};

/// An address inside a declared prefix that no endpoint owns. The programs deny it without reading
/// a cell, because `SUBJECT_UNKNOWN` has no row.
const UNKNOWN: abi::class_record = abi::class_record {
    egress_subject: abi::SUBJECT_UNKNOWN,
    ingress_subject: abi::SUBJECT_UNKNOWN,
    flags: abi::CLASS_UNKNOWN,
    ..NO_CLASS
};

impl ClassBuilder {
    pub(crate) fn new(
        snapshot: &Snapshot,
        subjects: &Subjects,
        peers: &Peers,
        trees: &[PrefixTree; 2],
    ) -> Self {
        let mut builder = Self {
            records: Interner::new(),
            hosts: Vec::new(),
            prefixes: [Vec::new(), Vec::new()],
            defaults: [0; 2],
            isolates: isolation_bits(snapshot, subjects),
        };
        builder.records.intern(NO_CLASS);
        builder.add_endpoints(snapshot, subjects, peers, trees);
        for (family, tree) in trees.iter().enumerate() {
            for (net, set) in tree.iter() {
                let peer = peers.class_of_blocks(set);
                let record = if snapshot.is_declared(net) {
                    abi::class_record { peer, ..UNKNOWN }
                } else {
                    abi::class_record { peer, ..NO_CLASS }
                };
                builder.add_prefix(snapshot, family, net, record);
            }
        }
        builder
    }

    fn add_endpoints(
        &mut self,
        snapshot: &Snapshot,
        subjects: &Subjects,
        peers: &Peers,
        trees: &[PrefixTree; 2],
    ) {
        let nodes: Vec<&str> = snapshot
            .endpoints()
            .iter()
            .filter(|endpoint| endpoint.id.kind == EndpointKind::Node)
            .map(|node| node.id.name.as_str())
            .collect();
        let node_id = |name: &str| nodes.binary_search(&name).map_or(0, |at| at as u32 + 1);
        let record = |index: usize, endpoint: &Endpoint, nth_address: usize| {
            let is_node = endpoint.id.kind == EndpointKind::Node;
            let node = if is_node {
                Some(&endpoint.id.name)
            } else {
                endpoint.node.as_ref()
            };
            let [egress_subject, ingress_subject] = subjects.of_endpoint[index];
            abi::class_record {
                egress_subject,
                ingress_subject,
                peer: peers.class_of_address(index, nth_address),
                node: node.map_or(0, |name| node_id(name)),
                endpoint: index as u32 + 1,
                flags: if is_node { abi::CLASS_NODE } else { 0 },
            }
        };

        // Addresses with one owner.
        let shared: BTreeSet<IpAddr> = snapshot.shared_addresses().map(|s| s.address).collect();
        for (index, endpoint) in snapshot.endpoints().iter().enumerate() {
            for (nth, &address) in endpoint.addresses.iter().enumerate() {
                if endpoint.addresses[..nth].contains(&address) || shared.contains(&address) {
                    continue;
                }
                let class = self.records.intern(record(index, endpoint, nth));
                self.hosts.push((address, class));
            }
        }

        // Addresses with several owners: a chain of records, one per owner.
        for address in shared {
            let owners: Vec<_> = snapshot.owners(address).collect();
            let mut class = 0;
            // Built backwards, because each record names the class of the next owner.
            for &(index, endpoint) in owners.iter().rev() {
                let nth = endpoint.addresses.iter().position(|a| *a == address);
                let mut record = record(index, endpoint, nth.expect("it owns the address"));
                record.flags |= class << abi::CLASS_ALSO_SHIFT;
                class = self.records.intern(record);
            }
            if owners.len() > OWNERS_MAX {
                let blocks = trees[usize::from(address.is_ipv6())].find_set(address);
                let peer = peers.class_of_blocks(blocks);
                class = self.records.intern(abi::class_record { peer, ..UNKNOWN });
            }
            self.hosts.push((address, class));
        }
    }

    fn add_prefix(
        &mut self,
        snapshot: &Snapshot,
        family: usize,
        net: IpNet,
        record: abi::class_record,
    ) {
        if net.prefix_len() == net.max_prefix_len() {
            // The class of an endpoint's address already includes the blocks that contain it.
            if snapshot.endpoint_at(net.addr()).is_none() {
                let class = self.records.intern(record);
                self.hosts.push((net.addr(), class));
            }
            return;
        }
        let class = self.records.intern(record);
        if net.prefix_len() == 0 {
            self.defaults[family] = class;
        }
        let bits = match net.network() {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        self.prefixes[family].push((
            Prefix {
                bits,
                len: net.prefix_len(),
            },
            class,
        ));
    }

    pub(crate) fn into_tables(self) -> CompiledAddresses {
        let hosts = HostTable::build(&self.hosts);
        let tables = AddressTables {
            host_filter: hosts.filter,
            host_tags: hosts.tags,
            host_buckets: hosts.buckets,
            lpm4: self.build_lpm(0),
            lpm6: self.build_lpm(1),
            classes: self.records.values().to_vec(),
        };
        let params = TableParams {
            host_bucket_bits: hosts.bucket_bits,
            host_keys: hosts.keys,
            lpm4: !tables.lpm4.direct.is_empty(),
            lpm6: !tables.lpm6.direct.is_empty(),
            default_class4: self.defaults[0],
            default_class6: self.defaults[1],
            isolates: self.isolates,
            ..TableParams::default()
        };
        CompiledAddresses {
            tables: tables.into(),
            params,
        }
    }

    /// No trie if the family has no prefix but the default route.
    fn build_lpm<R: Ranges>(&self, family: usize) -> LpmTables<R> {
        if self.prefixes[family]
            .iter()
            .all(|(prefix, _)| prefix.len == 0)
        {
            return LpmTables::default();
        }
        lpm::build(&self.prefixes[family], self.defaults[family])
    }
}

fn isolation_bits(snapshot: &Snapshot, subjects: &Subjects) -> u32 {
    let mut bits = 0;
    for subject in subjects.subjects.values() {
        bits |= match subject.direction {
            Direction::Egress => abi::ISOLATES_EGRESS,
            Direction::Ingress => abi::ISOLATES_INGRESS,
        };
    }
    if !snapshot.declared_prefixes().is_empty() {
        bits |= abi::ISOLATES_EGRESS | abi::ISOLATES_INGRESS | abi::ISOLATES_UNKNOWN;
    }
    bits
}
