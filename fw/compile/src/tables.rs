//! The compiled tables of one generation: the contents of its maps, the constants of its programs,
//! and the meaning of its rule ids.

use std::sync::Arc;

use bailey_bpf::abi;
use bailey_policy::{IsolatedDirections, Verdict};
use bytemuck::{NoUninit, Zeroable};

use crate::rule_ids::RuleIds;

/// The tables of one generation in the layout of the maps, and the meaning of the rule ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Constants of the policy program, set at load time.
    pub params: TableParams,
    /// Address → class record.
    pub addresses: Arc<AddressTables>,
    /// Port classes of TCP, UDP and SCTP.
    pub port_classes: Vec<abi::port_chunk>,
    /// subject × peer pages → row page.
    pub subject_pages: Vec<abi::u32_chunk>,
    /// Pages of row ids.
    pub row_pages: Vec<abi::page>,
    /// row × port class → cell, if a row fits one page; else empty, and `row_index` with
    /// `cell_pages` hold the rows.
    pub cells: Vec<abi::u32_chunk>,
    /// row × port pages → cell page.
    pub row_index: Vec<abi::u32_chunk>,
    /// Pages of cells.
    pub cell_pages: Vec<abi::page>,
    /// rule id → index into `limits`; empty if no rule has a limit.
    pub rule_limits: Vec<abi::u32_chunk>,
    /// Rate limits; index 0 means "no limit".
    pub limits: Vec<abi::rule_limit>,
    /// The rule ids that cells contain.
    pub rules: RuleIds,
    /// Sizes of the compiled policy set.
    pub stats: TableStats,
}

/// Address → class record. Shared between generations that do not differ in these tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressTables {
    /// One bit per slot of the direct tables, IPv4 before IPv6: may the host table have an address
    /// of the slot?
    pub host_filter: Vec<u64>,
    /// Tag words of the host table, one per bucket.
    pub host_tags: Vec<u64>,
    /// Buckets of the host table.
    pub host_buckets: Vec<abi::host_bucket>,
    /// IPv4 prefixes.
    pub lpm4: LpmTables<abi::lpm_ranges4>,
    /// IPv6 prefixes.
    pub lpm6: LpmTables<abi::lpm_ranges6>,
    /// Class records, by class id. Class 0 is an address that no endpoint owns and no rule names.
    pub classes: Vec<abi::class_record>,
}

/// A poptrie: see `lpm/trie.rs` and `lpm_class` in `classify.h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LpmTables<R> {
    /// 2^17 entries; empty if the family has no prefix.
    pub direct: Vec<abi::u32_chunk>,
    /// Inner nodes.
    pub nodes: Vec<abi::lpm_node>,
    /// Leaf words in the format of `direct`; none of them refers to a node.
    pub leaves: Vec<abi::u32_chunk>,
    /// Ranges of classes, for slots with a few prefixes below them.
    pub ranges: Vec<R>,
    /// Classes outside and inside of a prefix that is alone below its slot (IPv4 only).
    pub pairs: Vec<abi::lpm_pair>,
}

impl<R> Default for LpmTables<R> {
    fn default() -> Self {
        Self {
            direct: Vec::new(),
            nodes: Vec::new(),
            leaves: Vec::new(),
            ranges: Vec::new(),
            pairs: Vec::new(),
        }
    }
}

/// Constants of the policy program. Each field names the program's constant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableParams {
    /// `HOST_BUCKET_BITS`.
    pub host_bucket_bits: u32,
    /// `HOST_KEYS`.
    pub host_keys: [u32; abi::HOST_NH_WORDS as usize],
    /// `LPM4`: IPv4 has prefixes other than 0.0.0.0/0.
    pub lpm4: bool,
    /// `LPM6`: IPv6 has prefixes other than ::/0.
    pub lpm6: bool,
    /// `DEFAULT_CLASS4`: the class of IPv4 addresses without a prefix.
    pub default_class4: u32,
    /// `DEFAULT_CLASS6`: the class of IPv6 addresses without a prefix.
    pub default_class6: u32,
    /// `ISOLATES`: `ISOLATES_*` bits of the generation.
    pub isolates: u32,
    /// `PEER_PAGES`: pages per subject.
    pub peer_pages: u32,
    /// `ROW_CELLS`: cells per row if a row fits one page; else 0.
    pub row_cells: u32,
    /// `PORT_PAGES`: pages per row.
    pub port_pages: u32,
}

/// Sizes of a compiled policy set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Policies.
    pub policies: usize,
    /// Rules of policies, both directions.
    pub rules: usize,
    /// Endpoints: pods, workloads and nodes.
    pub endpoints: usize,
    /// Distinct class records.
    pub classes: usize,
    /// IPv4 prefixes of ipBlocks, `except` included.
    pub prefixes4: usize,
    /// IPv6 prefixes of ipBlocks.
    pub prefixes6: usize,
    /// Distinct sets of isolating policies, both directions.
    pub subjects: usize,
    /// Distinct peer classes.
    pub peers: usize,
    /// Distinct port classes.
    pub port_classes: usize,
    /// Distinct rows.
    pub rows: usize,
    /// Total size of all tables, in bytes.
    pub bytes: usize,
}

impl Tables {
    /// The directions in which the generation isolates at least one endpoint or declared prefix.
    pub fn isolated_directions(&self) -> IsolatedDirections {
        let any = |bit| self.params.isolates & bit != 0;
        IsolatedDirections {
            ingress: any(abi::ISOLATES_INGRESS),
            egress: any(abi::ISOLATES_EGRESS),
        }
    }

    /// All tables as map images.
    pub fn images(&self) -> Vec<TableImage<'_>> {
        let addresses = &self.addresses;
        vec![
            TableImage::new("host_filter", &addresses.host_filter),
            TableImage::new("host_tags", &addresses.host_tags),
            TableImage::new("host_buckets", &addresses.host_buckets),
            TableImage::new("lpm4_direct", &addresses.lpm4.direct),
            TableImage::new("lpm4_nodes", &addresses.lpm4.nodes),
            TableImage::new("lpm4_leaves", &addresses.lpm4.leaves),
            TableImage::new("lpm4_ranges", &addresses.lpm4.ranges),
            TableImage::new("lpm4_pairs", &addresses.lpm4.pairs),
            TableImage::new("lpm6_direct", &addresses.lpm6.direct),
            TableImage::new("lpm6_nodes", &addresses.lpm6.nodes),
            TableImage::new("lpm6_leaves", &addresses.lpm6.leaves),
            TableImage::new("lpm6_ranges", &addresses.lpm6.ranges),
            TableImage::new("classes", &addresses.classes),
            TableImage::new("port_classes", &self.port_classes),
            TableImage::new("subject_pages", &self.subject_pages),
            TableImage::new("row_pages", &self.row_pages),
            TableImage::new("cells", &self.cells),
            TableImage::new("row_index", &self.row_index),
            TableImage::new("cell_pages", &self.cell_pages),
            TableImage::new("rule_limits", &self.rule_limits),
            TableImage::new("limits", &self.limits),
        ]
    }

    /// The verdict that two cells encode.
    ///
    /// Returns `None` if a cell contains a rule id that this generation does not use.
    pub fn verdict_of_cells(&self, egress: u32, ingress: u32) -> Option<Verdict> {
        Some(Verdict {
            egress: self.rules.decider(egress & abi::CELL_RULE_MASK)?,
            ingress: self.rules.decider(ingress & abi::CELL_RULE_MASK)?,
        })
    }
}

/// The contents of one map.
#[derive(Debug, Clone, Copy)]
pub struct TableImage<'a> {
    /// Name of the map.
    pub name: &'static str,
    /// The elements as bytes. Empty for an empty table; the map then has one element of zeros.
    pub bytes: &'a [u8],
    /// Number of elements.
    pub elements: usize,
}

impl<'a> TableImage<'a> {
    fn new<T: NoUninit>(name: &'static str, table: &'a [T]) -> Self {
        Self {
            name,
            bytes: bytemuck::cast_slice(table),
            elements: table.len(),
        }
    }
}

/// Values in chunks of 16; the last chunk is padded with zeros.
pub(crate) fn into_chunks(values: &[u32]) -> Vec<abi::u32_chunk> {
    values
        .chunks(abi::U32_CHUNK as usize)
        .map(|part| {
            let mut chunk = abi::u32_chunk::zeroed();
            chunk.v[..part.len()].copy_from_slice(part);
            chunk
        })
        .collect()
}
