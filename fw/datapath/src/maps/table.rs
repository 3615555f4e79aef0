use aya::maps::MapType;
use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::kernel::cpu::cpus;
use crate::maps::shape::{bucket_bits, rule_stride};

/// Maps of one build of the programs, pinned under a name that ends with the build's number.
pub(crate) const BUILD_MAPS: [&str; 5] = [
    "policies_xdp",
    "policies_tc",
    "policies_probe",
    "scratch",
    "headers",
];

/// Maps of `maps.h` that outlive builds and generations.
pub(crate) const SHARED_MAPS: [&str; 24] = [
    "control",
    "probe_control",
    "flow_tags",
    "flows",
    "flow_keys",
    "flow_events",
    "source_flows",
    "reason_counters",
    "rule_counters",
    "interfaces",
    "interface_names",
    "bridge_lost",
    "bridge_ports",
    "fragments",
    "block_hosts",
    "block_prefixes",
    "flood_cpus",
    "source_rates",
    "syn_records",
    "proven",
    "limit_states",
    "limit_sources",
    "own_filter",
    "own_addresses",
];

/// What earlier layouts pinned and this one does not: to be removed with the rest.
pub(crate) const FORMER_MAPS: [&str; 2] = ["flow_counts_low", "flow_counts_high"];

/// What a pinned map must be like.
pub(crate) struct MapShape {
    pub(crate) name: &'static str,
    pub(crate) kind: MapType,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) entries: u32,
    /// The setting that its size comes from.
    pub(crate) setting: Option<&'static str>,
}

/// [`SHARED_MAPS`] as these settings want them.
pub(crate) fn map_shapes(settings: &Settings) -> Result<Vec<MapShape>, DatapathError> {
    let cpus = cpus()?;
    let buckets = 1 << bucket_bits(settings);
    let array = |name, value_size: usize, entries, setting| MapShape {
        name,
        kind: MapType::Array,
        key_size: 4,
        value_size: value_size as u32,
        entries,
        setting,
    };
    let keyed = |name, kind, [key_size, value_size]: [usize; 2], entries| MapShape {
        name,
        kind,
        key_size: key_size as u32,
        value_size: value_size as u32,
        entries,
        setting: None,
    };
    let flows = Some("flow_table.flows");
    let regions = cpus * abi::INTERFACE_SLOTS * abi::HOOKS;
    let rules = cpus * rule_stride(settings);
    Ok(vec![
        array("control", size_of::<abi::control>(), 1, None),
        array("probe_control", size_of::<abi::control>(), 1, None),
        array("flow_tags", 8, buckets, flows),
        array("flows", size_of::<abi::flow_bucket>(), buckets, flows),
        array("flow_keys", size_of::<abi::flow_keys>(), 1, None),
        array("flow_events", size_of::<abi::flow_events>(), cpus + 1, None),
        array("source_flows", 8, 1 << abi::SOURCE_BITS, None),
        array(
            "reason_counters",
            size_of::<abi::reason_counters>(),
            regions,
            None,
        ),
        array(
            "rule_counters",
            size_of::<abi::rule_counter>(),
            rules,
            Some("limits.rules"),
        ),
        array("flood_cpus", size_of::<abi::flood_cpu>(), cpus, None),
        array("source_rates", 8, 1 << abi::SOURCE_BITS, None),
        array("syn_records", 8, 1 << abi::SYN_RECORD_BITS, None),
        array(
            "limit_states",
            size_of::<abi::limit_state>(),
            rule_stride(settings),
            Some("limits.rules"),
        ),
        array("limit_sources", 8, 1 << abi::SOURCE_BITS, None),
        keyed(
            "proven",
            MapType::LruHash,
            [size_of::<abi::client>(), size_of::<abi::proof>()],
            abi::PROVEN_CLIENTS,
        ),
        array("interfaces", 8, abi::IFINDEX_MAX, None),
        array(
            "interface_names",
            size_of::<abi::interface_name>(),
            abi::INTERFACE_SLOTS,
            None,
        ),
        array("bridge_lost", 8, abi::INTERFACE_SLOTS, None),
        keyed(
            "bridge_ports",
            MapType::DevMapHash,
            [4, 8],
            abi::INTERFACE_SLOTS,
        ),
        keyed(
            "block_hosts",
            MapType::Hash,
            [size_of::<abi::block_host>(), size_of::<abi::block>()],
            abi::BLOCK_HOSTS,
        ),
        keyed(
            "block_prefixes",
            MapType::LpmTrie,
            [size_of::<abi::block_prefix>(), size_of::<abi::block>()],
            abi::BLOCK_PREFIXES,
        ),
        array("own_filter", size_of::<abi::own_filter>(), 1, None),
        keyed(
            "own_addresses",
            MapType::Hash,
            [size_of::<abi::own_address>(), 4],
            abi::OWN_ADDRESSES,
        ),
        keyed(
            "fragments",
            MapType::LruHash,
            [
                size_of::<abi::fragment_key>(),
                size_of::<abi::fragment_record>(),
            ],
            abi::FRAGMENT_RECORDS,
        ),
    ])
}

/// The pin of a map that belongs to one build.
pub(crate) fn build_pin(name: &str, build: u64) -> String {
    format!("{name}-{build:016x}")
}
