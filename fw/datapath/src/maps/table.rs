//! The list of maps: names, kinds, and the sizes that settings give them.

use aya::maps::MapType;
use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::kernel::cpu::cpus;
use crate::maps::shape::{bucket_bits, rule_stride};

/// Maps that belong to one build of the programs. The build's number ends the name of the pin.
pub(crate) const BUILD_MAPS: [&str; 6] = [
    "policies_xdp",
    "policies_tc",
    "policies_probe",
    "scratch",
    "handovers",
    "headers",
];

/// Maps that earlier ABI versions pinned and this one does not; removed together with the others.
pub(crate) const FORMER_MAPS: [&str; 2] = ["flow_counts_low", "flow_counts_high"];

/// Which number of entries a map has.
#[derive(Debug, Clone, Copy)]
enum Entries {
    /// One, which programs address directly.
    Value,
    /// A constant of abi.h.
    Fixed(u32),
    /// One per CPU.
    PerCpu,
    /// One per CPU, and one more for user space.
    PerCpuAndUser,
    /// One per CPU, interface slot and hook.
    PerCounterRegion,
    /// One per bucket of the flow table.
    Buckets,
    /// One per rule id.
    Rules,
    /// One per CPU and rule id.
    RulesPerCpu,
}

/// A map of `maps.h` that outlives builds and generations.
struct SharedMap {
    name: &'static str,
    kind: MapType,
    key_size: usize,
    value_size: usize,
    entries: Entries,
}

const fn array(name: &'static str, value_size: usize, entries: Entries) -> SharedMap {
    keyed(name, MapType::Array, [4, value_size], entries)
}

const fn value(name: &'static str, size: usize) -> SharedMap {
    array(name, size, Entries::Value)
}

const fn keyed(
    name: &'static str,
    kind: MapType,
    [key_size, value_size]: [usize; 2],
    entries: Entries,
) -> SharedMap {
    SharedMap {
        name,
        kind,
        key_size,
        value_size,
        entries,
    }
}

const SHARED_MAPS: [SharedMap; 24] = {
    use Entries::{Buckets, Fixed, PerCounterRegion, PerCpu, PerCpuAndUser, Rules, RulesPerCpu};
    use MapType::{DevMapHash, Hash, LpmTrie, LruHash};
    const SOURCES: Entries = Fixed(1 << abi::SOURCE_BITS);
    const SLOTS: Entries = Fixed(abi::INTERFACE_SLOTS);
    let block = size_of::<abi::block>();
    [
        value("control", size_of::<abi::control>()),
        value("probe_control", size_of::<abi::control>()),
        array("flow_tags", 8, Buckets),
        array("flows", size_of::<abi::flow_bucket>(), Buckets),
        value("flow_keys", size_of::<abi::flow_keys>()),
        array("flow_events", size_of::<abi::flow_events>(), PerCpuAndUser),
        array("source_flows", 8, SOURCES),
        array(
            "reason_counters",
            size_of::<abi::reason_counters>(),
            PerCounterRegion,
        ),
        array("rule_counters", size_of::<abi::rule_counter>(), RulesPerCpu),
        array("flood_cpus", size_of::<abi::flood_cpu>(), PerCpu),
        array("source_rates", 8, SOURCES),
        array("syn_records", 8, Fixed(1 << abi::SYN_RECORD_BITS)),
        array("limit_states", size_of::<abi::limit_state>(), Rules),
        array("limit_sources", 8, SOURCES),
        keyed(
            "proven",
            LruHash,
            [size_of::<abi::client>(), size_of::<abi::proof>()],
            Fixed(abi::PROVEN_CLIENTS),
        ),
        array("interfaces", 8, Fixed(abi::IFINDEX_MAX)),
        array("interface_names", size_of::<abi::interface_name>(), SLOTS),
        array("bridge_lost", 8, SLOTS),
        keyed("bridge_ports", DevMapHash, [4, 8], SLOTS),
        keyed(
            "block_hosts",
            Hash,
            [size_of::<abi::block_host>(), block],
            Fixed(abi::BLOCK_HOSTS),
        ),
        keyed(
            "block_prefixes",
            LpmTrie,
            [size_of::<abi::block_prefix>(), block],
            Fixed(abi::BLOCK_PREFIXES),
        ),
        value("own_filter", size_of::<abi::own_filter>()),
        keyed(
            "own_addresses",
            Hash,
            [size_of::<abi::own_address>(), 4],
            Fixed(abi::OWN_ADDRESSES),
        ),
        keyed(
            "fragments",
            LruHash,
            [
                size_of::<abi::fragment_key>(),
                size_of::<abi::fragment_record>(),
            ],
            Fixed(abi::FRAGMENT_RECORDS),
        ),
    ]
};

/// Names and sizes of the values that programs address directly.
pub(crate) fn direct_values() -> impl Iterator<Item = (&'static str, usize)> {
    let direct = SHARED_MAPS
        .iter()
        .filter(|map| matches!(map.entries, Entries::Value));
    direct.map(|map| (map.name, map.value_size))
}

/// Names of the maps that outlive builds and generations.
pub(crate) fn shared_map_names() -> impl Iterator<Item = &'static str> {
    SHARED_MAPS.iter().map(|map| map.name)
}

/// The shape that a pinned map must have.
pub(crate) struct MapShape {
    pub(crate) name: &'static str,
    pub(crate) kind: MapType,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) entries: u32,
    /// The setting that determines the number of entries.
    pub(crate) setting: Option<&'static str>,
}

/// Shapes of the shared maps under these settings.
///
/// # Errors
/// If the number of CPUs cannot be read.
pub(crate) fn map_shapes(settings: &Settings) -> Result<Vec<MapShape>, DatapathError> {
    const FLOWS: Option<&str> = Some("flow_table.flows");
    const RULES: Option<&str> = Some("limits.rules");
    let cpus = cpus()?;
    let shape = |map: &SharedMap| {
        let (entries, setting) = match map.entries {
            Entries::Value => (1, None),
            Entries::Fixed(entries) => (entries, None),
            Entries::PerCpu => (cpus, None),
            Entries::PerCpuAndUser => (cpus + 1, None),
            Entries::PerCounterRegion => (cpus * abi::INTERFACE_SLOTS * abi::HOOKS, None),
            Entries::Buckets => (1 << bucket_bits(settings), FLOWS),
            Entries::Rules => (rule_stride(settings), RULES),
            Entries::RulesPerCpu => (cpus * rule_stride(settings), RULES),
        };
        MapShape {
            name: map.name,
            kind: map.kind,
            key_size: map.key_size as u32,
            value_size: map.value_size as u32,
            entries,
            setting,
        }
    };
    Ok(SHARED_MAPS.iter().map(shape).collect())
}

/// The pin of a map that belongs to one build.
pub(crate) fn build_pin(name: &str, build: u64) -> String {
    format!("{name}-{build:016x}")
}
