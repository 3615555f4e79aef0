//! Load-time constants of the programs (`volatile const` in C): one list of name and value per
//! object.

use std::hash::{DefaultHasher, Hash, Hasher};

use aya::EbpfLoader;
use bailey_bpf::object;
use bailey_compile::Tables;
use bailey_config::{OnPolicyChange, Settings, Topology};

use crate::error::DatapathError;
use crate::kernel::clock::ticks_of_seconds;
use crate::maps::control_word::ControlWord;
use crate::maps::netns;
use crate::maps::pins::PinDir;
use crate::maps::shape::rule_stride;
use crate::maps::table::{Access, BUILD_MAPS, MapShape, build_pin, split_tables};
use crate::program::constant::Constant;
use crate::program::flood_constants::FloodConstants;
use crate::program::flow_table_constants::FlowTableConstants;
use crate::program::jiffies::Jiffies;
use crate::program::parser_constants::ParserConstants;
use crate::program::recorder_constants::RecorderConstants;
use crate::program::timeout_constants::by_state;

/// Constants that settings determine. Entry and policy objects are given the same values.
pub(crate) struct Constants(Vec<Constant>);

impl Constants {
    /// # Errors
    /// If the number of CPUs cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, DatapathError> {
        let is = |topology| u32::from(settings.topology == topology);
        let mut constants = vec![
            Constant::required("RULE_STRIDE", rule_stride(settings)),
            Constant::required("SOURCE_LIMIT", settings.flows_per_source),
            Constant::required("TIMEOUTS", by_state(&settings.timeouts)),
            Constant::optional(
                "EVICT_LIVE_AFTER",
                ticks_of_seconds(settings.evict_live_after_seconds),
            ),
            Constant::optional("BRIDGE", is(Topology::Bridge)),
            Constant::optional("ROUTER", is(Topology::Router)),
            Constant::optional("CLOCK_OFFSET", settings.clock_offset),
            Constant::optional("SEEN_DELAY", settings.seen_delay),
            Constant::optional("STORES_IN_ORDER", u32::from(cfg!(target_arch = "x86_64"))),
        ];
        constants.extend(ParserConstants::new(&settings.frames, &settings.internal).list());
        constants.extend(FloodConstants::new(settings).list());
        constants.extend(FlowTableConstants::new(settings).list());
        constants.extend(RecorderConstants::new(settings)?.list());
        Ok(Self(constants))
    }

    /// Gives a loader the constants, and the pins and sizes of the shared maps.
    pub(crate) fn apply<'a>(
        &'a self,
        loader: &mut EbpfLoader<'a>,
        pins: &PinDir,
        build: u64,
        shapes: &[MapShape],
    ) {
        for constant in &self.0 {
            constant.set(loader);
        }
        // Objects declare these maps always, and use them only in place of large tables.
        for name in split_tables() {
            loader.map_max_entries(name, 1);
        }
        for shape in shapes {
            let declared = match shape.access {
                Access::Lookup => shape.name,
                Access::SplitTable(declared) => declared,
                Access::None | Access::Direct | Access::DirectTable => continue,
            };
            loader
                .map_max_entries(declared, shape.entries)
                .map_pin_path(declared, pins.pin(shape.name));
        }
        for name in BUILD_MAPS {
            loader.map_pin_path(name, pins.file(&build_pin(name, build)));
        }
    }
}

/// Constants of the entry object alone.
pub(crate) struct EntryConstants(Vec<Constant>);

impl EntryConstants {
    pub(crate) fn new(settings: &Settings, jiffies: Jiffies) -> Self {
        Self(vec![
            Constant::required("JIFFY_NANOSECONDS", jiffies.nanoseconds),
            Constant::required("JIFFIES_BEGIN", jiffies.begin),
            Constant::optional("FAILSAFE_COUNT", settings.failsafe.len() as u32),
            Constant::optional("NETWORK_NAMESPACE", netns::current()),
        ])
    }

    pub(crate) fn apply<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        for constant in &self.0 {
            constant.set(loader);
        }
    }
}

/// Constants of the policy object alone: those of one generation.
pub(crate) struct PolicyConstants(Vec<Constant>);

impl PolicyConstants {
    pub(crate) fn new(tables: &Tables, word: ControlWord, settings: &Settings) -> Self {
        let params = tables.params;
        let keep = settings.on_policy_change == OnPolicyChange::Keep;
        Self(vec![
            Constant::required("GENERATION", word.generation),
            Constant::required("KEEP", u32::from(keep)),
            Constant::required("TCP_STRICT", u32::from(settings.tcp_strict)),
            Constant::required("HOST_BUCKET_BITS", params.host_bucket_bits),
            Constant::required("HOST_KEYS", params.host_keys),
            Constant::required("LPM4", u32::from(params.lpm4)),
            Constant::required("LPM6", u32::from(params.lpm6)),
            Constant::required("DEFAULT_CLASS4", params.default_class4),
            Constant::required("DEFAULT_CLASS6", params.default_class6),
            Constant::required("ISOLATES", params.isolates),
            Constant::required("PEER_PAGES", params.peer_pages),
            Constant::required("ROW_CELLS", params.row_cells),
            Constant::required("PORT_PAGES", params.port_pages),
            Constant::required("LIMITS", u32::from(!tables.limits.is_empty())),
        ])
    }

    pub(crate) fn apply<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        for constant in &self.0 {
            constant.set(loader);
        }
    }
}

/// Identifies the programs together with their constants. If two builds get different numbers
/// although they are equal, the attached programs are replaced once; the standard hash suffices.
pub(crate) fn build_number(settings: &Settings) -> u64 {
    let mut hasher = DefaultHasher::new();
    object::ENTRY.hash(&mut hasher);
    object::POLICY.hash(&mut hasher);
    settings.hash(&mut hasher);
    hasher.finish() | 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ::object::{Object, ObjectSection, ObjectSymbol};
    use bailey_compile::{CompileLimits, RuleIds, compile};

    use super::*;

    /// Name and size of each `volatile const` of an object.
    fn declared(image: &[u8]) -> BTreeMap<String, u64> {
        let file = ::object::File::parse(image).unwrap();
        let rodata = file.section_by_name(".rodata").unwrap().index();
        file.symbols()
            .filter(|symbol| symbol.section_index() == Some(rodata) && symbol.is_global())
            .map(|symbol| (symbol.name().unwrap().to_owned(), symbol.size()))
            .collect()
    }

    #[test]
    fn every_constant_is_declared_and_set() {
        let settings = Settings::default();
        let snapshot = bailey_policy::Snapshot::default();
        let tables = compile(&snapshot, &RuleIds::default(), &CompileLimits::default()).unwrap();
        let jiffies = Jiffies {
            nanoseconds: 1,
            begin: 0,
        };
        let common = Constants::new(&settings).unwrap().0;
        let objects = [
            (
                "entry.bpf.o",
                declared(object::ENTRY),
                EntryConstants::new(&settings, jiffies).0,
            ),
            (
                "policy.bpf.o",
                declared(object::POLICY),
                PolicyConstants::new(&tables, ControlWord::NONE, &settings).0,
            ),
        ];
        for (name, declared, own) in &objects {
            assert!(declared.len() > 10, "{name}: {declared:?}");
            for constant in common.iter().chain(own) {
                let size = declared.get(constant.name);
                assert!(
                    size.is_some() || !constant.required,
                    "{name} lacks the required {}",
                    constant.name
                );
                assert!(
                    size.is_none_or(|&size| size == constant.value.len() as u64),
                    "{name}: {} has {size:?} bytes, {} are set",
                    constant.name,
                    constant.value.len()
                );
            }
            for declared in declared.keys() {
                let is_set = common.iter().chain(own).any(|c| c.name == declared);
                assert!(is_set, "{name}: {declared} is never set");
            }
            for constant in own {
                assert!(
                    declared.contains_key(constant.name),
                    "{name} has no {}",
                    constant.name
                );
            }
        }
        for constant in &common {
            let exists = objects
                .iter()
                .any(|(_, d, _)| d.contains_key(constant.name));
            assert!(exists, "no object has {}", constant.name);
        }
    }
}
