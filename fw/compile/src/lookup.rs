//! The lookup of `classify.h` and `policy.bpf.c` in Rust, step for step, over the same bytes. Damaged
//! tables return `None` where the program drops with the reason `map-error`.

use std::net::IpAddr;

use bailey_bpf::abi;
use bailey_policy::{Connection, Protocol, Verdict};

use crate::host_table::{self, address_words};
use crate::lpm::Ranges;
use crate::tables::{LpmTables, Tables};

impl Tables {
    /// Evaluates a new connection by lookup.
    ///
    /// Returns `None` if the tables are inconsistent.
    pub fn evaluate(&self, connection: &Connection) -> Option<Verdict> {
        let (egress, ingress) = self.look_up_cells(connection)?;
        let verdict = self.verdict_of_cells(egress, ingress)?;
        let denies = |cell: u32| cell & abi::CELL_DENY != 0;
        let consistent = denies(egress) != verdict.egress.is_allowed()
            && denies(ingress) != verdict.ingress.is_allowed();
        consistent.then_some(verdict)
    }

    /// The cells that decide a new connection: egress, ingress. `None` if the tables are damaged.
    pub fn look_up_cells(&self, connection: &Connection) -> Option<(u32, u32)> {
        let port = self.port_class(connection.protocol, connection.port);
        let mut decided: Option<(u32, u32)> = None;
        // Among all pairs of owners, the first that denies decides; else the first pair.
        let first_deny = |before: u32, cell: u32| {
            if before & abi::CELL_DENY != 0 {
                before
            } else if cell & abi::CELL_DENY != 0 {
                cell
            } else {
                before
            }
        };
        for source in self.owners(connection.source) {
            for destination in self.owners(connection.destination) {
                let (egress, ingress) = self.look_up_pair(source?, destination?, port)?;
                decided = Some(match decided {
                    None => (egress, ingress),
                    Some(before) => (first_deny(before.0, egress), first_deny(before.1, ingress)),
                });
            }
        }
        decided
    }

    /// The class records of an address, one per owner; `None` for a class that does not exist.
    fn owners(&self, address: IpAddr) -> impl Iterator<Item = Option<&abi::class_record>> {
        let first = self.class_record(address);
        let next = |record: &Option<&abi::class_record>| {
            let also = record.as_ref()?.flags >> abi::CLASS_ALSO_SHIFT;
            (also != 0).then(|| self.addresses.classes.get(also as usize))
        };
        std::iter::successors(Some(first), next).take(abi::CLASS_OWNERS_MAX as usize)
    }

    /// The cells for one owner of the source and one owner of the destination.
    fn look_up_pair(
        &self,
        source: &abi::class_record,
        destination: &abi::class_record,
        port: u32,
    ) -> Option<(u32, u32)> {
        const UNKNOWN: u32 = abi::RULE_UNKNOWN_ADDRESS | abi::CELL_DENY;
        let is_unknown = |record: &abi::class_record| record.flags & abi::CLASS_UNKNOWN != 0;
        if source.endpoint != 0 && source.endpoint == destination.endpoint {
            return Some((abi::RULE_SELF, abi::RULE_SELF));
        }
        let egress = match source.egress_subject {
            _ if is_unknown(source) => UNKNOWN,
            0 => abi::RULE_NOT_ISOLATED,
            subject => self.look_up_cell(subject, destination.peer, port)?,
        };
        let ingress = if source.flags & abi::CLASS_NODE != 0 && source.node == destination.node {
            abi::RULE_OWN_NODE
        } else {
            match destination.ingress_subject {
                _ if is_unknown(destination) => UNKNOWN,
                0 => abi::RULE_NOT_ISOLATED,
                subject => self.look_up_cell(subject, source.peer, port)?,
            }
        };
        Some((egress, ingress))
    }

    fn class_record(&self, address: IpAddr) -> Option<&abi::class_record> {
        let class = match self.host_class(address) {
            Some(class) => class,
            None => self.prefix_class(address)?,
        };
        self.addresses.classes.get(class as usize)
    }

    fn prefix_class(&self, address: IpAddr) -> Option<u32> {
        let params = &self.params;
        match address {
            IpAddr::V4(_) if !params.lpm4 => Some(params.default_class4),
            IpAddr::V6(_) if !params.lpm6 => Some(params.default_class6),
            IpAddr::V4(address) => {
                let bits = u128::from(address.to_bits()) << 96;
                longest_match(&self.addresses.lpm4, bits, abi::LPM_LEVELS_V4)
            }
            IpAddr::V6(address) => {
                longest_match(&self.addresses.lpm6, address.to_bits(), abi::LPM_LEVELS_V6)
            }
        }
    }

    /// Whether the host table may have this address.
    fn may_be_host(&self, address: IpAddr) -> bool {
        let (word, mask) = host_table::filter_bit(address);
        let word = self.addresses.host_filter.get(word);
        // Without a word the host table decides.
        word.is_none_or(|word| word & mask != 0)
    }

    fn host_class(&self, address: IpAddr) -> Option<u32> {
        if !self.may_be_host(address) {
            return None;
        }
        let address = address_words(address);
        let hash = host_table::hash_address(
            address,
            &self.params.host_keys,
            self.params.host_bucket_bits,
        );
        hash.buckets.iter().find_map(|&bucket| {
            let tags = self.addresses.host_tags.get(bucket as usize)?.to_le_bytes();
            let entries = &self.addresses.host_buckets.get(bucket as usize)?.entry;
            tags.iter()
                .zip(entries)
                .find(|(tag, entry)| **tag == hash.tag && entry.addr_be == address)
                .map(|(_, entry)| entry.class_id)
        })
    }

    fn port_class(&self, protocol: Protocol, port: u16) -> u32 {
        let which = match protocol {
            Protocol::TCP => abi::PORT_TCP,
            Protocol::UDP => abi::PORT_UDP,
            Protocol::SCTP => abi::PORT_SCTP,
            _ => return 0,
        };
        let chunk = self.port_classes.get(which as usize);
        chunk.map_or(0, |chunk| u32::from(chunk.v[usize::from(port)]))
    }

    fn look_up_cell(&self, subject: u32, peer: u32, port: u32) -> Option<u32> {
        let page = abi::PAGE_CELLS;
        let at = get_u32(
            &self.subject_pages,
            subject * self.params.peer_pages + peer / page,
        )?;
        let row = self.row_pages.get(at as usize)?.v[(peer % page) as usize];
        if self.params.row_cells > 0 {
            return get_u32(&self.cells, row * self.params.row_cells + port);
        }
        let at = get_u32(&self.row_index, row * self.params.port_pages + port / page)?;
        Some(self.cell_pages.get(at as usize)?.v[(port % page) as usize])
    }
}

/// The class of an address, given left-aligned in 128 bits. Must match `lpm_class` step for step.
pub(crate) fn longest_match<R: Ranges>(
    lpm: &LpmTables<R>,
    mut bits: u128,
    levels: u32,
) -> Option<u32> {
    // Walks the nodes down to a leaf word.
    let mut at = get_u32(&lpm.direct, (bits >> (128 - abi::LPM_DIRECT_BITS)) as u32)?;
    bits <<= abi::LPM_DIRECT_BITS;
    for _ in 0..levels {
        if at & abi::LPM_LEAF != 0 {
            break;
        }
        let node = lpm.nodes.get(at as usize)?;
        let slot = (bits >> (128 - abi::LPM_STRIDE)) as u32;
        let extend_to = u64::MAX >> (63 - slot);
        bits <<= abi::LPM_STRIDE;
        if node.children >> slot & 1 == 0 {
            let leaf = node.leaf_base + (node.leaves & extend_to).count_ones() - 1;
            at = get_u32(&lpm.leaves, leaf)?;
            break;
        }
        at = node.child_base + (node.children & extend_to).count_ones() - 1;
    }
    if at & abi::LPM_LEAF == 0 {
        return None;
    }

    // The leaf word is a class, or refers to ranges, or encodes a single prefix.
    let rest = (bits >> (128 - R::BITS)) as u64;
    if at & abi::LPM_RANGES != 0 {
        let ranges = lpm.ranges.get((at & abi::LPM_INDEX) as usize)?;
        return ranges.class(rest);
    }
    if R::INLINE_SINGLE && at & abi::LPM_ONE != 0 {
        return single_prefix_class(&lpm.pairs, at, rest as u32);
    }
    Some(at & abi::LPM_INDEX)
}

fn single_prefix_class(pairs: &[abi::lpm_pair], word: u32, rest: u32) -> Option<u32> {
    let host = word >> abi::ONE_HOST_SHIFT & abi::ONE_HOST_MASK;
    let pair = pairs.get((word >> abi::ONE_PAIR_SHIFT & (abi::ONE_PAIRS - 1)) as usize)?;
    let differs = (word ^ rest) & abi::ONE_BITS_MASK;
    Some(if differs >> host == 0 {
        pair.inside
    } else {
        pair.outside
    })
}

fn get_u32(chunks: &[abi::u32_chunk], index: u32) -> Option<u32> {
    let chunk = chunks.get((index / abi::U32_CHUNK) as usize)?;
    Some(chunk.v[(index % abi::U32_CHUNK) as usize])
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::Arc;

    use bailey_config::CompileLimits;
    use bailey_policy::{
        Endpoint, EndpointKind, EndpointRef, IpBlock, Labels, NetworkPolicy, Peer, PolicyRef, Rule,
        Selector, Snapshot, SourceLocation,
    };
    use ipnet::IpNet;

    use super::*;
    use crate::{RuleIds, compile};

    /// One of few slots of the direct table, so that hosts and strangers share slots.
    fn random_address(random: &mut fastrand::Rng) -> IpAddr {
        let slot = random.u32(..64) * 0x7ff;
        if random.bool() {
            let below = random.u32(..4) * 0x1fff;
            Ipv4Addr::from_bits(slot << 15 | below).into()
        } else {
            let below = random.u128(..4) << random.u32(..109);
            Ipv6Addr::from_bits(u128::from(slot) << 111 | below).into()
        }
    }

    /// Pods, some with common addresses, and a policy with blocks of one address and of more.
    fn random_snapshot(random: &mut fastrand::Rng) -> (Snapshot, Vec<IpAddr>) {
        let pods: Vec<Endpoint> = (0..random.usize(..40))
            .map(|number| Endpoint {
                id: EndpointRef {
                    kind: EndpointKind::Pod,
                    namespace: "ns".into(),
                    name: format!("p{number}"),
                },
                labels: Labels::default(),
                addresses: (0..2).map(|_| random_address(random)).collect(),
                ports: Vec::new(),
                node: None,
            })
            .collect();
        let blocks: Vec<IpAddr> = (0..random.usize(..40))
            .map(|_| random_address(random))
            .collect();
        let peers = blocks.iter().enumerate().map(|(number, &address)| {
            let host = IpNet::from(address);
            let shorter = host.max_prefix_len() - random.u8(1..16);
            let cidr = match number % 2 {
                0 => host,
                _ => IpNet::new(address, shorter).unwrap().trunc(),
            };
            Peer::IpBlock(IpBlock {
                cidr,
                except: Vec::new(),
            })
        });
        let policy = NetworkPolicy {
            id: PolicyRef {
                namespace: "ns".into(),
                name: "web".into(),
            },
            pod_selector: Selector::default(),
            ingress: Some(vec![Rule {
                peers: peers.collect(),
                ..Rule::default()
            }]),
            egress: None,
            location: SourceLocation::default(),
        };
        let single = blocks.iter().step_by(2);
        let owned = pods.iter().flat_map(|pod| &pod.addresses);
        let hosts = owned.chain(single).copied().collect();
        (Snapshot::new([], pods, Vec::new(), vec![policy]), hosts)
    }

    fn compiled(snapshot: &Snapshot) -> Tables {
        compile(snapshot, &RuleIds::default(), &CompileLimits::default()).unwrap()
    }

    /// The same tables with every bit of the filter set: the host table is always searched.
    fn without_filter(tables: &Tables) -> Tables {
        let mut tables = tables.clone();
        Arc::make_mut(&mut tables.addresses)
            .host_filter
            .fill(u64::MAX);
        tables
    }

    #[test]
    fn filter_changes_no_answer() {
        let (mut passed, mut skipped) = (0, 0);
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (snapshot, hosts) = random_snapshot(&mut random);
            let tables = compiled(&snapshot);
            let searched = without_filter(&tables);
            for &host in &hosts {
                assert!(tables.host_class(host).is_some(), "{host}, seed {seed}");
            }
            let others = (0..200).map(|_| random_address(&mut random));
            for address in hosts.iter().copied().chain(others) {
                let class = tables.class_record(address);
                assert!(class.is_some(), "{address}, seed {seed}");
                let expected = searched.class_record(address);
                assert_eq!(class, expected, "{address}, seed {seed}");
                match tables.may_be_host(address) {
                    true => passed += 1,
                    false => skipped += 1,
                }
            }
        }
        assert!(passed > 1000 && skipped > 1000, "{passed}, {skipped}");
    }

    #[test]
    fn bit_of_zero_keeps_hosts_out() {
        let mut random = fastrand::Rng::with_seed(1);
        let (snapshot, hosts) = random_snapshot(&mut random);
        let tables = compiled(&snapshot);
        for &host in &hosts {
            let mut cleared = tables.clone();
            let (word, mask) = host_table::filter_bit(host);
            Arc::make_mut(&mut cleared.addresses).host_filter[word] &= !mask;
            assert_eq!(cleared.host_class(host), None, "{host}");
            for &other in &hosts {
                let has_same_bit = host_table::filter_bit(other) == (word, mask);
                let found = cleared.host_class(other).is_some();
                assert_eq!(found, !has_same_bit, "{other} without the bit of {host}");
            }
        }
    }

    #[test]
    fn filter_has_leading_bits_of_address() {
        let bit = |address: &str| {
            let (word, mask) = host_table::filter_bit(address.parse().unwrap());
            (word, mask.trailing_zeros())
        };
        assert_eq!(bit("0.0.127.255"), (0, 0));
        assert_eq!(bit("0.0.128.0"), (0, 1));
        assert_eq!(bit("10.0.0.1"), (80, 0));
        assert_eq!(bit("255.255.255.255"), (2047, 63));
        assert_eq!(bit("::1"), (2048, 0));
        assert_eq!(bit("0:8000::"), (2048, 1));
        assert_eq!(bit("fd00::1"), (2048 + 2024, 0));
        assert_eq!(bit("ffff:ffff::"), (4095, 63));
    }

    #[test]
    fn damaged_filter_leaves_decision_to_host_table() {
        let mut random = fastrand::Rng::with_seed(2);
        let (snapshot, hosts) = random_snapshot(&mut random);
        let mut tables = compiled(&snapshot);
        Arc::make_mut(&mut tables.addresses).host_filter.clear();
        for host in hosts {
            assert!(tables.host_class(host).is_some(), "{host}");
        }
    }
}
