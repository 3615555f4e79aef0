use std::sync::Arc;

use bailey_bpf::abi;
use bailey_policy::{IsolatedDirections, Verdict};
use bytemuck::{NoUninit, Zeroable};

use crate::rule_ids::RuleIds;

/// The tables of one generation, as the maps hold them, and the meaning of their rule ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// What the programs are told when they are loaded.
    pub params: TableParams,
    /// Address → class record.
    pub addresses: Arc<AddressTables>,
    /// Port classes of TCP, UDP and SCTP.
    pub port_classes: Vec<abi::port_chunk>,
    /// subject × peer pages → row page.
    pub subject_pages: Vec<abi::u32_chunk>,
    /// Pages of row ids.
    pub row_pages: Vec<abi::page>,
    /// row × port class → cell, if rows are whole; else the next two are.
    pub cells: Vec<abi::u32_chunk>,
    /// row × port pages → cell page.
    pub row_index: Vec<abi::u32_chunk>,
    /// Pages of cells.
    pub cell_pages: Vec<abi::page>,
    /// rule → limit; empty if no rule has one.
    pub rule_limits: Vec<abi::u32_chunk>,
    /// Limits; the first is nobody's.
    pub limits: Vec<abi::rule_limit>,
    /// Rule ids in cells.
    pub rules: RuleIds,
    /// How big everything became.
    pub stats: TableStats,
}

/// Address → class record. Shared by the generations between which nothing of it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressTables {
    /// Tag words of the exact table, one per bucket.
    pub host_tags: Vec<u64>,
    /// Buckets of the exact table.
    pub host_buckets: Vec<abi::host_bucket>,
    /// IPv4 prefixes.
    pub lpm4: LpmTables<abi::lpm_ranges4>,
    /// IPv6 prefixes.
    pub lpm6: LpmTables<abi::lpm_ranges6>,
    /// Class records, by class id; 0 is an address that nothing names.
    pub classes: Vec<abi::class_record>,
}

/// A poptrie: see `poptrie.rs` and `lpm_class` in `class.h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LpmTables<R> {
    /// 2^17 entries, or none if the family has no prefix.
    pub direct: Vec<abi::u32_chunk>,
    /// Inner nodes.
    pub nodes: Vec<abi::lpm_node>,
    /// Words as those of `direct`, none of them a node.
    pub leaves: Vec<abi::u32_chunk>,
    /// What is below slots with few prefixes.
    pub ranges: Vec<R>,
    /// Classes outside and inside of prefixes that are alone below a slot (IPv4).
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

/// Constants of the policy program, by their names there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableParams {
    /// `HOST_BUCKET_BITS`.
    pub host_bucket_bits: u32,
    /// `HOST_KEYS`.
    pub host_keys: [u32; abi::HOST_NH_WORDS as usize],
    /// `LPM4`: IPv4 has prefixes other than 0.0.0.0/0.
    pub lpm4: bool,
    /// `LPM6`: likewise.
    pub lpm6: bool,
    /// `DEFAULT_CLASS4`: the class of IPv4 addresses without a prefix.
    pub default_class4: u32,
    /// `DEFAULT_CLASS6`.
    pub default_class6: u32,
    /// `ISOLATES`: whom the generation isolates.
    pub isolates: u32,
    /// `PEER_PAGES`: pages per subject.
    pub peer_pages: u32,
    /// `ROW_CELLS`: cells per row, if rows are whole; else 0.
    pub row_cells: u32,
    /// `PORT_PAGES`: pages per row, if they are not.
    pub port_pages: u32,
}

/// Sizes of a compiled policy set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Policies.
    pub policies: usize,
    /// Rules of policies, both directions.
    pub rules: usize,
    /// Endpoints: pods, workloads, nodes.
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
    /// Bytes of all tables.
    pub bytes: usize,
}

impl Tables {
    /// In which directions the generation isolates anybody.
    pub fn has_isolated_endpoint(&self) -> IsolatedDirections {
        let any = |bit| self.params.isolates & bit != 0;
        IsolatedDirections {
            ingress: any(abi::ISOLATES_INGRESS),
            egress: any(abi::ISOLATES_EGRESS),
        }
    }

    /// Every table as the image of a map.
    pub fn images(&self) -> Vec<TableImage<'_>> {
        let addresses = &self.addresses;
        vec![
            TableImage::of("host_tags", &addresses.host_tags),
            TableImage::of("host_buckets", &addresses.host_buckets),
            TableImage::of("lpm4_direct", &addresses.lpm4.direct),
            TableImage::of("lpm4_nodes", &addresses.lpm4.nodes),
            TableImage::of("lpm4_leaves", &addresses.lpm4.leaves),
            TableImage::of("lpm4_ranges", &addresses.lpm4.ranges),
            TableImage::of("lpm4_pairs", &addresses.lpm4.pairs),
            TableImage::of("lpm6_direct", &addresses.lpm6.direct),
            TableImage::of("lpm6_nodes", &addresses.lpm6.nodes),
            TableImage::of("lpm6_leaves", &addresses.lpm6.leaves),
            TableImage::of("lpm6_ranges", &addresses.lpm6.ranges),
            TableImage::of("classes", &addresses.classes),
            TableImage::of("port_classes", &self.port_classes),
            TableImage::of("subject_pages", &self.subject_pages),
            TableImage::of("row_pages", &self.row_pages),
            TableImage::of("cells", &self.cells),
            TableImage::of("row_index", &self.row_index),
            TableImage::of("cell_pages", &self.cell_pages),
            TableImage::of("rule_limits", &self.rule_limits),
            TableImage::of("limits", &self.limits),
        ]
    }

    /// The deciders of two cells.
    ///
    /// Returns `None` if a cell names a rule that is not of this generation.
    pub fn verdict_of_cells(&self, egress: u32, ingress: u32) -> Option<Verdict> {
        Some(Verdict {
            egress: self.rules.decider(egress & abi::CELL_RULE_MASK)?,
            ingress: self.rules.decider(ingress & abi::CELL_RULE_MASK)?,
        })
    }
}

/// A table as a map has it.
#[derive(Debug, Clone, Copy)]
pub struct TableImage<'a> {
    /// The name of the map.
    pub name: &'static str,
    /// Its elements, one after the other; of an empty table none, whose map has one of zeros.
    pub bytes: &'a [u8],
    /// How many there are.
    pub elements: usize,
}

impl<'a> TableImage<'a> {
    fn of<T: NoUninit>(name: &'static str, table: &'a [T]) -> Self {
        Self {
            name,
            bytes: bytemuck::cast_slice(table),
            elements: table.len(),
        }
    }
}

/// Values in chunks of 16, the last one filled up with zeros.
pub(crate) fn chunked(values: &[u32]) -> Vec<abi::u32_chunk> {
    values
        .chunks(abi::U32_CHUNK as usize)
        .map(|part| {
            let mut chunk = abi::u32_chunk::zeroed();
            chunk.v[..part.len()].copy_from_slice(part);
            chunk
        })
        .collect()
}
