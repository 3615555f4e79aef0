//! The list of maps: names, kinds, and the sizes that settings give them.

use std::borrow::Cow;

use aya::maps::MapType;
use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::kernel::cpu::cpus;
use crate::maps::shape::{
    are_flows_direct, bucket_bits, recorder_bytes, ring_records, rule_stride,
};

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

/// Maps whose pins end with the number of their layout, so that the tables of two layouts exist side
/// by side.
pub(crate) const LAYOUT_MAPS: [&str; 7] = [
    "flows",
    "flow_tags",
    "flow_keys",
    "flow_counts6",
    "source_flows",
    "rule_counters",
    "rule_totals",
];

/// The map of the recorder.
pub(crate) const RECORDS: &str = "records";

/// The request of a process that captures frames.
pub(crate) const CAPTURE: &str = "capture";

/// Its perf rings.
pub(crate) const CAPTURE_RINGS: &str = "capture_rings";

/// Maps without which an earlier build of this layout may have been started, or which had another size
/// then. They are created anew: nothing depends on their contents.
pub(crate) const REPLACEABLE_MAPS: [&str; 3] = [RECORDS, CAPTURE, CAPTURE_RINGS];

/// The last layout whose pins have no number.
const LAST_PLAIN_LAYOUT: u32 = 7;

/// The earlier layout from which flows and counters are taken over.
pub(crate) const FORMER_LAYOUT: u32 = 7;

/// The maps of that layout that this one has in another shape.
pub(crate) const FORMER_LAYOUT_MAPS: [&str; 5] = [
    "flows",
    "flow_tags",
    "flow_keys",
    "source_flows",
    "rule_counters",
];

/// File name of a map's pin in this layout.
pub(crate) fn pin_name(map: &str) -> Cow<'_, str> {
    pin_name_of_layout(map, abi::ABI_VERSION)
}

/// File name of a map's pin in another layout.
pub(crate) fn pin_name_of_layout(map: &str, layout: u32) -> Cow<'_, str> {
    if layout > LAST_PLAIN_LAYOUT && LAYOUT_MAPS.contains(&map) {
        return format!("{map}-{layout}").into();
    }
    map.into()
}

/// The layout in the file name of a pin, if it is the pin of this map in any layout.
pub(crate) fn layout_of_pin(file: &str, map: &str) -> Option<u32> {
    let number = file.strip_prefix(map)?;
    if number.is_empty() {
        return Some(LAST_PLAIN_LAYOUT);
    }
    let layout = number.strip_prefix('-')?.parse().ok()?;
    (layout > LAST_PLAIN_LAYOUT).then_some(layout)
}

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
    /// A table of the flow table's size: one value, which programs address directly.
    Table {
        /// Bytes per bucket.
        per_bucket: u64,
        /// The map of the objects that replaces the value where the entries exceed the size of a direct
        /// value. It is an array of smaller values.
        split_as: Option<&'static str>,
    },
    /// The rings of the recorder, as one value.
    Recorder,
    /// One per rule id.
    Rules,
    /// The same, and only user space uses the map.
    UserRules,
    /// One per rule id and CPU, and one region more for user space.
    RulesPerCpuAndUser,
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

/// A table with `per_bucket` bytes for each bucket of the flow table, and with values of `element`
/// bytes where the table is split.
const fn table(
    name: &'static str,
    per_bucket: usize,
    element: usize,
    split_as: Option<&'static str>,
) -> SharedMap {
    let entries = Entries::Table {
        per_bucket: per_bucket as u64,
        split_as,
    };
    array(name, element, entries)
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

const SHARED_MAPS: [SharedMap; 29] = {
    use Entries::{
        Fixed, PerCounterRegion, PerCpu, PerCpuAndUser, Recorder, Rules, RulesPerCpuAndUser,
        UserRules,
    };
    use MapType::{DevMapHash, Hash, LpmTrie, LruHash, PerfEventArray};
    const SOURCES: Entries = Fixed(1 << abi::SOURCE_BITS);
    const SLOTS: Entries = Fixed(abi::INTERFACE_SLOTS);
    const SENDERS: usize = 2;
    let block = size_of::<abi::block>();
    let bucket = size_of::<abi::flow_bucket>();
    let count = size_of::<abi::flow_count>();
    let counts = count * SENDERS * abi::FLOW_SLOTS as usize;
    [
        value("control", size_of::<abi::control>()),
        value("probe_control", size_of::<abi::control>()),
        table("flow_tags", 8, 8, None),
        table("flows", bucket, bucket, Some("flows_large")),
        table("flow_counts6", counts, count, Some("flow_counts6_large")),
        value("flow_keys", size_of::<abi::flow_keys>()),
        array(RECORDS, size_of::<abi::record>(), Recorder),
        value(CAPTURE, size_of::<abi::capture>()),
        keyed(
            CAPTURE_RINGS,
            PerfEventArray,
            [4, 4],
            Fixed(abi::CAPTURE_CPUS),
        ),
        array("flow_events", size_of::<abi::flow_events>(), PerCpuAndUser),
        array("source_flows", 8, SOURCES),
        array(
            "reason_counters",
            size_of::<abi::reason_counters>(),
            PerCounterRegion,
        ),
        array(
            "rule_counters",
            size_of::<abi::rule_counter>(),
            RulesPerCpuAndUser,
        ),
        array("rule_totals", size_of::<abi::rule_total>(), UserRules),
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

/// Names of the maps that outlive builds and generations.
pub(crate) fn shared_map_names() -> impl Iterator<Item = &'static str> {
    SHARED_MAPS.iter().map(|map| map.name)
}

/// How programs reach a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// By lookups, in a map of the object with the same name.
    Lookup,
    /// Not at all: only user space uses the map.
    None,
    /// By the address of its one value.
    Direct,
    /// By the address of its one value, of which the object only has the beginning.
    DirectTable,
    /// By lookups, in the object's map with this name. Instructions that address the table directly
    /// are dead code.
    SplitTable(&'static str),
}

/// The shape that a pinned map must have.
pub(crate) struct MapShape {
    pub(crate) name: &'static str,
    pub(crate) kind: MapType,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) entries: u32,
    pub(crate) access: Access,
    /// The setting that determines the size.
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
        let own = map.value_size as u32;
        let rules = rule_stride(settings);
        let (value_size, entries, access, setting) = match map.entries {
            Entries::Value => (own, 1, Access::Direct, None),
            Entries::Fixed(entries) => (own, entries, Access::Lookup, None),
            Entries::PerCpu => (own, cpus, Access::Lookup, None),
            Entries::PerCpuAndUser => (own, cpus + 1, Access::Lookup, None),
            Entries::PerCounterRegion => {
                let regions = cpus * abi::INTERFACE_SLOTS * abi::HOOKS;
                (own, regions, Access::Lookup, None)
            }
            Entries::Table {
                per_bucket,
                split_as,
            } => {
                let bytes = per_bucket << bucket_bits(settings);
                match split_as.filter(|_| !are_flows_direct(settings)) {
                    Some(declared) => {
                        let values = (bytes / u64::from(own)) as u32;
                        (own, values, Access::SplitTable(declared), FLOWS)
                    }
                    None => (bytes as u32, 1, Access::DirectTable, FLOWS),
                }
            }
            Entries::Recorder => {
                let bytes = recorder_bytes(ring_records(settings, cpus), cpus);
                let setting = Some("recorder.records");
                (bytes as u32, 1, Access::DirectTable, setting)
            }
            Entries::Rules => (own, rules, Access::Lookup, RULES),
            Entries::UserRules => (own, rules, Access::None, RULES),
            Entries::RulesPerCpuAndUser => (own, (cpus + 1) * rules, Access::Lookup, RULES),
        };
        MapShape {
            name: map.name,
            kind: map.kind,
            key_size: map.key_size as u32,
            value_size,
            entries,
            access,
            setting,
        }
    };
    Ok(SHARED_MAPS.iter().map(shape).collect())
}

/// Maps of the objects that replace tables which are too large for direct addresses.
pub(crate) fn split_tables() -> impl Iterator<Item = &'static str> {
    SHARED_MAPS.iter().filter_map(|map| match map.entries {
        Entries::Table { split_as, .. } => split_as,
        _ => None,
    })
}

/// The pin of a map that belongs to one build.
pub(crate) fn build_pin(name: &str, build: u64) -> String {
    format!("{name}-{build:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(flows: u32, name: &str) -> MapShape {
        let settings = Settings {
            flows,
            ..Settings::default()
        };
        let mut shapes = map_shapes(&settings).unwrap().into_iter();
        shapes.find(|shape| shape.name == name).unwrap()
    }

    #[test]
    fn tables_up_to_512_mib_are_one_value() {
        for (name, value_size) in [
            ("flows", 512 << 20),
            ("flow_tags", 8 << 20),
            ("flow_counts6", 256 << 20),
        ] {
            let table = shape(1 << 22, name);
            assert_eq!((table.value_size, table.entries), (value_size, 1), "{name}");
            assert_eq!(table.access, Access::DirectTable);
        }
    }

    #[test]
    fn larger_tables_are_arrays_of_small_values() {
        let flows = shape((1 << 22) + 1, "flows");
        assert_eq!((flows.value_size, flows.entries), (512, 1 << 21));
        assert_eq!(flows.access, Access::SplitTable("flows_large"));
        let counts = shape((1 << 22) + 1, "flow_counts6");
        assert_eq!((counts.value_size, counts.entries), (16, 1 << 25));
        assert_eq!(counts.access, Access::SplitTable("flow_counts6_large"));
        let tags = shape(1 << 26, "flow_tags");
        assert_eq!((tags.value_size, tags.entries), (128 << 20, 1));
    }

    #[test]
    fn pin_names_tell_map_and_layout() {
        assert_eq!(pin_name("flows"), "flows-8");
        assert_eq!(pin_name("control"), "control");
        assert_eq!(pin_name_of_layout("flows", 7), "flows");
        for (file, layout) in [
            ("flows", Some(7)),
            ("flows-8", Some(8)),
            ("flows-9", Some(9)),
            ("flows-7", None),
            ("flows_large", None),
        ] {
            assert_eq!(layout_of_pin(file, "flows"), layout, "{file}");
        }
        let shared: Vec<_> = shared_map_names().collect();
        assert!(LAYOUT_MAPS.iter().all(|map| shared.contains(map)));
    }
}
