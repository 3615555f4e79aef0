use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;

use aya::maps::{Map, MapData, ProgramArray};
use aya::programs::{Program, ProgramError, SchedClassifier, Xdp};
use aya::{Ebpf, EbpfLoader};
use bailey_bpf::{abi, object};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::control::ControlWord;
use crate::error::DatapathError;
use crate::mapping::Mapping;
use crate::pins::PinDir;
use crate::settings::Settings;

/// Maps of `maps.h`: pinned once, used by every program of every generation.
pub(crate) const SHARED_MAPS: [&str; 14] = [
    "control",
    "probe_control",
    "policies_xdp",
    "policies_tc",
    "policies_probe",
    "scratch",
    "flow_tags",
    "flows",
    "flow_counts_low",
    "flow_counts_high",
    "flow_keys",
    "reason_counters",
    "rule_counters",
    "judged_interfaces",
];

/// The entry object and the maps that it brought into being.
pub(crate) struct Shared {
    pub(crate) pins: PinDir,
    pub(crate) settings: Settings,
    pub(crate) programs: Programs,
    parts: Parts,
}

/// What the entry object brought into being.
pub(crate) struct Parts {
    pub(crate) entry: Ebpf,
    pub(crate) control: Mapping,
    pub(crate) probe_control: Mapping,
    pub(crate) judged: Mapping,
    pub(crate) rule_counters: Mapping,
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
#[derive(Debug)]
pub(crate) struct Globals {
    bucket_bits: u32,
    rule_stride: u32,
    flow_counters: u32,
    timeouts: [u32; abi::STATE_COUNT as usize],
}

impl Globals {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bucket_bits: settings.bucket_bits(),
            rule_stride: settings.rule_stride(),
            flow_counters: u32::from(settings.flow_counters),
            timeouts: settings.timeouts.by_state(),
        }
    }

    /// Tells a loader the numbers and where the shared maps are.
    pub(crate) fn apply<'a>(&'a self, loader: &mut EbpfLoader<'a>, pins: &PinDir) {
        loader
            .override_global("FLOW_BUCKET_BITS", &self.bucket_bits, true)
            .override_global("RULE_STRIDE", &self.rule_stride, true)
            .override_global("FLOW_COUNTERS", &self.flow_counters, false)
            .override_global("TIMEOUTS", &self.timeouts[..], true);
        for name in SHARED_MAPS {
            loader.map_pin_path(name, pins.pin(name));
        }
    }
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
    /// Creates the maps and loads the entry programs. Pins of these names that exist already are
    /// removed first: whoever calls this has made sure that nobody uses them.
    pub(crate) fn create(
        pins: PinDir,
        settings: Settings,
        programs: Programs,
    ) -> Result<Self, DatapathError> {
        for name in SHARED_MAPS {
            let _ = std::fs::remove_file(pins.pin(name));
        }
        let globals = Globals::new(&settings);
        let buckets = 1 << globals.bucket_bits;
        let mut loader = EbpfLoader::new();
        globals.apply(&mut loader, &pins);
        let cpus = cpus()?;
        loader
            .map_max_entries("flow_tags", buckets)
            .map_max_entries("flows", buckets)
            .map_max_entries("flow_counts_low", buckets)
            .map_max_entries("flow_counts_high", buckets)
            .map_max_entries("reason_counters", cpus * abi::HOOKS)
            .map_max_entries("rule_counters", cpus * globals.rule_stride);
        let entry = loader
            .load(object::ENTRY)
            .map_err(|error| DatapathError::Load {
                object: "entry.bpf.o",
                source: Box::new(error),
            });
        let counters = (cpus * globals.rule_stride) as usize * size_of::<abi::rule_counter>();
        match entry.and_then(|entry| Parts::new(entry, counters, programs)) {
            Ok(parts) => Ok(Self {
                pins,
                settings,
                programs,
                parts,
            }),
            Err(error) => {
                pins.remove(&SHARED_MAPS);
                Err(error)
            }
        }
    }
}

impl Parts {
    fn new(mut entry: Ebpf, counters: usize, programs: Programs) -> Result<Self, DatapathError> {
        write_keys(&entry)?;
        let control = writable(&entry, "control", size_of::<abi::control>())?;
        ControlWord::NONE.store(&control);
        let probe_control = writable(&entry, "probe_control", size_of::<abi::control>())?;
        let judged = writable(&entry, "judged_interfaces", abi::IFINDEX_WORDS as usize * 8)?;
        let rule_counters = writable(&entry, "rule_counters", counters)?;
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
            judged,
            rule_counters,
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

fn writable(ebpf: &Ebpf, name: &str, bytes: usize) -> Result<Mapping, DatapathError> {
    let map = map_data(ebpf, name)?;
    Mapping::writable(map.fd().as_fd(), bytes).map_err(DatapathError::map(name, "map into memory"))
}

fn program_array(entry: &mut Ebpf, name: &str) -> Result<ProgramArray<MapData>, DatapathError> {
    let map = entry.take_map(name).ok_or_else(|| missing(name))?;
    ProgramArray::try_from(map).map_err(|error| DatapathError::Map {
        name: name.to_owned(),
        operation: "open",
        source: std::io::Error::other(error),
    })
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
        to.store(word, std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}
