use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use aya::maps::{DevMapHash, Map, MapData, MapType, ProgramArray};
use aya::programs::{Program, ProgramError, SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use bailey_bpf::{abi, object};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::control::{self, ControlWord};
use crate::counters::map_pinned;
use crate::error::DatapathError;
use crate::failsafe;
use crate::frozen::write_and_freeze;
use crate::layout::{self, Pinned};
use crate::mapping::Mapping;
use crate::pins::PinDir;
use crate::settings::{Settings, Topology};

/// Maps of one build of the programs, pinned under a name that ends with the build's number.
pub(crate) const BUILD_MAPS: [&str; 4] =
    ["policies_xdp", "policies_tc", "policies_probe", "scratch"];

/// Maps of `maps.h` that outlive builds and generations.
pub(crate) const SHARED_MAPS: [&str; 15] = [
    "control",
    "probe_control",
    "flow_tags",
    "flows",
    "flow_counts_low",
    "flow_counts_high",
    "flow_keys",
    "flow_events",
    "source_flows",
    "reason_counters",
    "rule_counters",
    "interfaces",
    "interface_names",
    "bridge_lost",
    "bridge_ports",
];

/// What a pinned map must be like.
pub(crate) struct MapShape {
    pub(crate) name: &'static str,
    pub(crate) kind: MapType,
    pub(crate) value_size: u32,
    pub(crate) entries: u32,
    /// The setting that its size comes from.
    pub(crate) setting: Option<&'static str>,
}

/// [`SHARED_MAPS`] as these settings want them.
pub(crate) fn map_shapes(settings: &Settings) -> Result<Vec<MapShape>, DatapathError> {
    let globals = Globals::new(settings);
    let cpus = cpus()?;
    let buckets = 1 << globals.bucket_bits;
    let array = |name, value_size: usize, entries, setting| MapShape {
        name,
        kind: MapType::Array,
        value_size: value_size as u32,
        entries,
        setting,
    };
    let flows = Some("flow_table.flows");
    let counts = size_of::<abi::flow_counts>();
    let regions = cpus * abi::INTERFACE_SLOTS * abi::HOOKS;
    let rules = cpus * globals.rule_stride;
    Ok(vec![
        array("control", size_of::<abi::control>(), 1, None),
        array("probe_control", size_of::<abi::control>(), 1, None),
        array("flow_tags", 8, buckets, flows),
        array("flows", size_of::<abi::flow_bucket>(), buckets, flows),
        array("flow_counts_low", counts, buckets, flows),
        array("flow_counts_high", counts, buckets, flows),
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
        array("interfaces", 8, abi::IFINDEX_MAX, None),
        array(
            "interface_names",
            size_of::<abi::interface_name>(),
            abi::INTERFACE_SLOTS,
            None,
        ),
        array("bridge_lost", 8, abi::INTERFACE_SLOTS, None),
        MapShape {
            name: "bridge_ports",
            kind: MapType::DevMapHash,
            value_size: 8,
            entries: abi::INTERFACE_SLOTS,
            setting: None,
        },
    ])
}

/// The entry object and the maps that it shares with others.
pub(crate) struct Shared {
    pub(crate) pins: PinDir,
    pub(crate) settings: Settings,
    pub(crate) programs: Programs,
    /// Which build of the programs, with which constants, this is.
    pub(crate) build: u64,
    /// Flows, counters and a generation were there before.
    pub(crate) adopted: bool,
    parts: Parts,
}

/// What the entry object brought along.
pub(crate) struct Parts {
    pub(crate) entry: Ebpf,
    pub(crate) control: Mapping,
    pub(crate) probe_control: Mapping,
    pub(crate) interfaces: Mapping,
    pub(crate) interface_names: Mapping,
    pub(crate) rule_counters: Mapping,
    pub(crate) bridge_ports: DevMapHash<MapData>,
    pub(crate) policies: [ProgramArray<MapData>; 3],
}

/// Which programs are loaded: verifying those that nobody runs costs time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// All: to be attached.
    All,
    /// The probe and what it calls.
    Probe,
}

/// The numbers that every program is told, as loader globals want them: borrowed.
#[derive(Debug, Hash)]
pub(crate) struct Globals {
    bucket_bits: u32,
    rule_stride: u32,
    flow_counters: u32,
    source_limit: u32,
    last_resort: u32,
    bridge: u32,
    clock_offset: u32,
    timeouts: [u32; abi::STATE_COUNT as usize],
}

impl Globals {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bucket_bits: settings.bucket_bits(),
            rule_stride: settings.rule_stride(),
            flow_counters: u32::from(settings.flow_counters),
            source_limit: settings.source_flows,
            last_resort: crate::clock::ticks_of_seconds(settings.last_resort),
            bridge: u32::from(settings.topology == Topology::Bridge),
            clock_offset: settings.clock_offset,
            timeouts: settings.timeouts.by_state(),
        }
    }

    /// Tells a loader the numbers and where the shared maps are.
    pub(crate) fn apply<'a>(
        &'a self,
        loader: &mut EbpfLoader<'a>,
        pins: &PinDir,
        build: u64,
        shapes: &[MapShape],
    ) {
        loader
            .override_global("FLOW_BUCKET_BITS", &self.bucket_bits, true)
            .override_global("RULE_STRIDE", &self.rule_stride, true)
            .override_global("FLOW_COUNTERS", &self.flow_counters, false)
            .override_global("SOURCE_LIMIT", &self.source_limit, true)
            .override_global("LAST_RESORT", &self.last_resort, false)
            .override_global("BRIDGE", &self.bridge, false)
            .override_global("CLOCK_OFFSET", &self.clock_offset, true)
            .override_global("TIMEOUTS", &self.timeouts[..], true);
        for shape in shapes {
            loader
                .map_max_entries(shape.name, shape.entries)
                .map_pin_path(shape.name, pins.pin(shape.name));
        }
        for name in BUILD_MAPS {
            loader.map_pin_path(name, pins.pin(&build_pin(name, build)));
        }
    }
}

/// The pin of a map that belongs to one build.
pub(crate) fn build_pin(name: &str, build: u64) -> String {
    format!("{name}-{build:016x}")
}

/// A number for the programs and their constants. Another number costs a replacement of the
/// attached programs, nothing more, so the standard hash will do.
fn build_number(settings: &Settings) -> u64 {
    let mut hasher = DefaultHasher::new();
    object::ENTRY.hash(&mut hasher);
    object::POLICY.hash(&mut hasher);
    Globals::new(settings).hash(&mut hasher);
    settings.failsafe.hash(&mut hasher);
    hasher.finish() | 1
}

pub(crate) fn cpus() -> Result<u32, DatapathError> {
    aya::util::nr_cpus()
        .map(|count| count as u32)
        .map_err(|(path, source)| DatapathError::Map {
            name: path.to_owned(),
            operation: "count CPUs",
            source,
        })
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }
}

impl Shared {
    /// Adopts the maps that are pinned, or creates them, and loads the entry programs. Whoever
    /// calls this has made sure that no other daemon uses the pins.
    pub(crate) fn open(
        pins: PinDir,
        settings: Settings,
        programs: Programs,
    ) -> Result<Self, DatapathError> {
        let shapes = map_shapes(&settings)?;
        let adopted = match layout::inspect(&pins, &settings) {
            Ok(Pinned::Fits) => true,
            Ok(Pinned::Nothing) if !pins.has_links() => false,
            Ok(Pinned::Nothing) => {
                return Err(DatapathError::Layout {
                    name: "flows",
                    message: "programs are attached, and some of their maps are not pinned".into(),
                });
            }
            // Nothing is attached, so nobody needs what has another shape.
            Err(DatapathError::Layout { .. }) if !pins.has_links() => false,
            Err(error) => return Err(error),
        };
        if !adopted {
            pins.remove_all();
        }
        if pins.has_links() {
            check_namespace(&pins)?;
        }
        let build = build_number(&settings);
        let globals = Globals::new(&settings);
        let failsafe_count = settings.failsafe.len() as u32;
        let mut loader = EbpfLoader::new();
        globals.apply(&mut loader, &pins, build, &shapes);
        let namespace = crate::bridge::network_namespace();
        loader
            .override_global("FAILSAFE_COUNT", &failsafe_count, false)
            .override_global("NETWORK_NAMESPACE", &namespace, false);
        let entry = loader
            .load(object::ENTRY)
            .map_err(|error| DatapathError::Load {
                object: "entry.bpf.o",
                source: Box::new(error),
            });
        let counters = shapes.iter().find(|shape| shape.name == "rule_counters");
        let counters = counters.map_or(0, |shape| (shape.entries * shape.value_size) as usize);
        match entry.and_then(|entry| Parts::new(entry, counters, &settings, programs, adopted)) {
            Ok(parts) => Ok(Self {
                pins,
                settings,
                programs,
                build,
                adopted,
                parts,
            }),
            Err(error) => {
                if !adopted {
                    pins.remove_all();
                }
                Err(error)
            }
        }
    }

    /// Is the build that is attached this one?
    pub(crate) fn is_attached_build(&self) -> bool {
        self.control.words()[control::BUILD].load(Ordering::Acquire) == self.build
    }

    /// Notes that programs of more than one build may be attached from now on.
    pub(crate) fn set_no_attached_build(&self) {
        self.control.words()[control::BUILD].store(0, Ordering::Release);
    }

    /// Notes that this build is the one that is attached, and forgets the others.
    pub(crate) fn set_attached_build(&self) {
        self.control.words()[control::BUILD].store(self.build, Ordering::Release);
        let ours = BUILD_MAPS.map(|name| build_pin(name, self.build));
        self.pins.remove_where(|pin| {
            BUILD_MAPS.iter().any(|name| {
                pin.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('-'))
            }) && !ours.iter().any(|own| own == pin)
        });
    }
}

impl Parts {
    fn new(
        mut entry: Ebpf,
        counters: usize,
        settings: &Settings,
        programs: Programs,
        adopted: bool,
    ) -> Result<Self, DatapathError> {
        let control = writable(&entry, "control", size_of::<abi::control>())?;
        let probe_control = writable(&entry, "probe_control", size_of::<abi::control>())?;
        if !adopted {
            for words in [&control, &probe_control] {
                ControlWord::NONE.store(words);
                words.words()[control::SCALE].store(u64::from(abi::SCALE_ONE), Ordering::Release);
            }
            // Last: without keys nobody adopts what else is there.
            write_keys(&entry)?;
        }
        let namespace = u64::from(crate::bridge::network_namespace());
        control.words()[control::NAMESPACE].store(namespace, Ordering::Relaxed);
        let interfaces = writable(&entry, "interfaces", abi::IFINDEX_MAX as usize * 8)?;
        let slots = abi::INTERFACE_SLOTS as usize;
        let names = slots * size_of::<abi::interface_name>();
        let interface_names = writable(&entry, "interface_names", names)?;
        let rule_counters = writable(&entry, "rule_counters", counters)?;
        // Written and frozen before any program that reads it is loaded.
        let image = failsafe::image(&settings.failsafe);
        write_and_freeze(
            map_data(&entry, "failsafe")?.fd().as_fd(),
            "failsafe",
            &image,
        )?;
        let bridge_ports = entry.take_map("bridge_ports");
        let bridge_ports = bridge_ports.ok_or_else(|| missing("bridge_ports"))?;
        let bridge_ports = DevMapHash::try_from(bridge_ports).map_err(unusable("bridge_ports"))?;
        let policies = [
            program_array(&mut entry, "policies_xdp")?,
            program_array(&mut entry, "policies_tc")?,
            program_array(&mut entry, "policies_probe")?,
        ];
        load_entry_programs(&mut entry, programs)?;
        Ok(Self {
            entry,
            control,
            probe_control,
            interfaces,
            interface_names,
            rule_counters,
            bridge_ports,
            policies,
        })
    }
}

fn load_entry_programs(entry: &mut Ebpf, programs: Programs) -> Result<(), DatapathError> {
    xdp(entry, "entry_probe")?
        .load()
        .map_err(DatapathError::program("entry_probe"))?;
    if programs == Programs::Probe {
        return Ok(());
    }
    xdp(entry, "entry_xdp")?
        .load()
        .map_err(DatapathError::program("entry_xdp"))?;
    classifier(entry, "entry_tc")?
        .load()
        .map_err(DatapathError::program("entry_tc"))
}

pub(crate) fn xdp<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut Xdp, DatapathError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

pub(crate) fn classifier<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, DatapathError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

/// A program of an object, to be looked at or run.
pub(crate) fn program<'a, T>(ebpf: &'a Ebpf, name: &'static str) -> Result<&'a T, DatapathError>
where
    &'a T: TryFrom<&'a Program, Error = ProgramError>,
{
    let program = ebpf.program(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

fn missing(name: &str) -> DatapathError {
    let source = std::io::Error::from(std::io::ErrorKind::NotFound);
    DatapathError::Map {
        name: name.to_owned(),
        operation: "find in the object",
        source,
    }
}

/// The raw map of an array; aya has typed views only of maps that it reads by system call.
pub(crate) fn map_data<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData, DatapathError> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data),
        _ => Err(missing(name)),
    }
}

pub(crate) fn unusable<E>(name: &'static str) -> impl FnOnce(E) -> DatapathError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| DatapathError::Map {
        name: name.to_owned(),
        operation: "use",
        source: std::io::Error::other(error),
    }
}

fn writable(ebpf: &Ebpf, name: &str, bytes: usize) -> Result<Mapping, DatapathError> {
    let map = map_data(ebpf, name)?;
    Mapping::writable(map.fd().as_fd(), bytes).map_err(DatapathError::map(name, "map into memory"))
}

fn program_array(
    entry: &mut Ebpf,
    name: &'static str,
) -> Result<ProgramArray<MapData>, DatapathError> {
    let map = entry.take_map(name).ok_or_else(|| missing(name))?;
    ProgramArray::try_from(map).map_err(unusable(name))
}

/// Numbers of interfaces mean something in one network namespace only.
fn check_namespace(pins: &PinDir) -> Result<(), DatapathError> {
    let (control, _) = map_pinned(pins, "control", size_of::<abi::control>())?;
    let theirs = control.words()[control::NAMESPACE].load(Ordering::Relaxed);
    if theirs == u64::from(crate::bridge::network_namespace()) {
        return Ok(());
    }
    Err(DatapathError::Unsupported(format!(
        "what is pinned there is attached in another network namespace (net:[{theirs}]); run bailey \
         in that one, or give it other [paths]"
    )))
}

/// Fresh secrets for a fresh table.
fn write_keys(entry: &Ebpf) -> Result<(), DatapathError> {
    let mut random = [0_u8; size_of::<abi::flow_keys>()];
    getrandom(&mut random[..], GetRandomFlags::empty()).map_err(|error| DatapathError::System {
        operation: "getrandom",
        source: error.into(),
    })?;
    let mut keys: abi::flow_keys = bytemuck::pod_read_unaligned(&random);
    keys.mul = keys.mul.map(|multiplier| multiplier | 1);
    keys.abi = u64::from(abi::ABI_VERSION);
    let mapping = writable(entry, "flow_keys", size_of::<abi::flow_keys>())?;
    let words: [u64; size_of::<abi::flow_keys>() / 8] = bytemuck::cast(keys);
    for (to, word) in mapping.words().iter().zip(words) {
        to.store(word, Ordering::Relaxed);
    }
    Ok(())
}
