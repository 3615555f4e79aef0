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
        let class = match self.host_class(address_words(address)) {
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

    fn host_class(&self, address: [u64; 2]) -> Option<u32> {
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
