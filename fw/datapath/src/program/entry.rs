use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use aya::maps::{DevMapHash, HashMap, Map, MapData, ProgramArray};
use aya::{Ebpf, EbpfLoader};
use bailey_bpf::{abi, object};
use bailey_config::Settings;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{DatapathError, missing, unusable};
use crate::kernel::capabilities;
use crate::kernel::link::pin_descriptor;
use crate::kernel::mmap::Mapping;
use crate::maps::compat::{self, Pinned};
use crate::maps::control_word::{self, ControlWord};
use crate::maps::flow_keys::common_of_v4;
use crate::maps::frozen::write_and_freeze;
use crate::maps::interfaces::InterfaceTable;
use crate::maps::netns;
use crate::maps::pins::PinDir;
use crate::maps::table::{BUILD_MAPS, MapShape, SHARED_MAPS, build_pin, map_shapes};
use crate::program::constants::{Constants, build_number};
use crate::program::failsafe_image;
use crate::program::handles::{classifier, map_data, xdp};
use crate::program::jiffies::Jiffies;
use crate::settings::Settings;

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
    pub(crate) table: Arc<InterfaceTable>,
    pub(crate) rule_counters: Mapping,
    pub(crate) limit_states: Mapping,
    pub(crate) bridge_ports: DevMapHash<MapData>,
    pub(crate) own_filter: Mapping,
    pub(crate) own_addresses: HashMap<MapData, [u64; 2], u32>,
    pub(crate) policies: [ProgramArray<MapData>; 3],
    /// Every map that is pinned, by the name of its pin.
    pinned: Vec<(String, OwnedFd)>,
}

/// Which programs are loaded: verifying those that nobody runs costs time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// All: to be attached.
    All,
    /// The probe and what it calls.
    Probe,
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
        capabilities::check()?;
        let shapes = map_shapes(&settings)?;
        let adopted = match compat::inspect(&pins, &settings) {
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
            netns::check(&pins)?;
        }
        let build = build_number(&settings);
        let globals = Constants::new(&settings);
        let failsafe_count = settings.failsafe.len() as u32;
        let mut loader = EbpfLoader::new();
        globals.apply(&mut loader, &pins, build, &shapes);
        let network_namespace = netns::current();
        let jiffies = Jiffies::measure()?;
        loader
            .override_global("JIFFY_NANOSECONDS", &jiffies.nanoseconds, true)
            .override_global("JIFFIES_BEGIN", &jiffies.begin, true)
            .override_global("FAILSAFE_COUNT", &failsafe_count, false)
            .override_global("NETWORK_NAMESPACE", &network_namespace, false);
        let entry = loader
            .load(object::ENTRY)
            .map_err(|error| DatapathError::Load {
                object: "entry.bpf.o",
                source: Box::new(error),
            });
        match entry
            .and_then(|entry| Parts::new(entry, &shapes, &settings, programs, adopted, build))
        {
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

    /// How many maps have lost their pins.
    pub(crate) fn lost_pins(&self) -> usize {
        let pinned = self.pinned.iter();
        pinned
            .filter(|(name, _)| !self.pins.pin(name).exists())
            .count()
    }

    /// Makes the pins of maps that have none any more.
    pub(crate) fn pin_again(&self) -> Result<(), DatapathError> {
        if let PinDir::Path(path) = &self.pins {
            // The directory may be gone, too.
            PinDir::at(path)?;
        }
        for (name, fd) in &self.pinned {
            let path = self.pins.pin(name);
            if !path.exists() {
                pin_descriptor(fd.as_fd(), &path).map_err(DatapathError::map(name, "pin again"))?;
            }
        }
        Ok(())
    }

    /// Is the build that is attached this one?
    pub(crate) fn is_attached_build(&self) -> bool {
        self.control.words()[control_word::BUILD].load(Ordering::Acquire) == self.build
    }

    /// Notes that programs of more than one build may be attached from now on.
    pub(crate) fn set_no_attached_build(&self) {
        self.control.words()[control_word::BUILD].store(0, Ordering::Release);
    }

    /// Notes that this build is the one that is attached, and forgets the others.
    pub(crate) fn set_attached_build(&self) {
        self.control.words()[control_word::BUILD].store(self.build, Ordering::Release);
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
        shapes: &[MapShape],
        settings: &Settings,
        programs: Programs,
        adopted: bool,
        build: u64,
    ) -> Result<Self, DatapathError> {
        let control = writable(&entry, "control", size_of::<abi::control>())?;
        let probe_control = writable(&entry, "probe_control", size_of::<abi::control>())?;
        if !adopted {
            for words in [&control, &probe_control] {
                ControlWord::NONE.store(words);
                words.words()[control_word::SCALE]
                    .store(u64::from(abi::SCALE_ONE), Ordering::Release);
            }
            // Last: without keys nobody adopts what else is there.
            write_keys(&entry)?;
        }
        control.words()[control_word::NAMESPACE].store(netns::current().into(), Ordering::Relaxed);
        let interfaces = writable(&entry, "interfaces", abi::IFINDEX_MAX as usize * 8)?;
        let slots = abi::INTERFACE_SLOTS as usize;
        let names = slots * size_of::<abi::interface_name>();
        let interface_names = writable(&entry, "interface_names", names)?;
        let whole = |name| {
            let shape = shapes.iter().find(|shape| shape.name == name);
            let bytes = shape.map_or(0, |shape| {
                shape.entries as usize * shape.value_size as usize
            });
            writable(&entry, name, bytes)
        };
        let rule_counters = whole("rule_counters")?;
        let limit_states = whole("limit_states")?;
        let reason_counters = whole("reason_counters")?;
        let own_filter = whole("own_filter")?;
        // Written and frozen before any program that reads it is loaded.
        let image = failsafe_image::image(&settings.failsafe);
        write_and_freeze(
            map_data(&entry, "failsafe")?.fd().as_fd(),
            "failsafe",
            &image,
        )?;
        let pinned = pinned_maps(&entry, build)?;
        let bridge_ports = entry.take_map("bridge_ports");
        let bridge_ports = bridge_ports.ok_or_else(|| missing("bridge_ports"))?;
        let bridge_ports = DevMapHash::try_from(bridge_ports).map_err(unusable("bridge_ports"))?;
        let own_addresses = entry.take_map("own_addresses");
        let own_addresses = own_addresses.ok_or_else(|| missing("own_addresses"))?;
        let own_addresses = HashMap::try_from(own_addresses).map_err(unusable("own_addresses"))?;
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
            table: Arc::new(InterfaceTable {
                words: interfaces,
                names: interface_names,
                counters: reason_counters,
                changing: Mutex::new(()),
            }),
            rule_counters,
            limit_states,
            bridge_ports,
            own_filter,
            own_addresses,
            policies,
            pinned,
        })
    }
}

fn pinned_maps(entry: &Ebpf, build: u64) -> Result<Vec<(String, OwnedFd)>, DatapathError> {
    let shared = SHARED_MAPS.iter().map(|&name| (name, name.to_owned()));
    let own = BUILD_MAPS
        .iter()
        .map(|&name| (name, build_pin(name, build)));
    shared
        .chain(own)
        // A program that uses a map brings it; the object may not have all.
        .filter_map(|(name, pin)| {
            let (Map::Array(data)
            | Map::PerCpuArray(data)
            | Map::ProgramArray(data)
            | Map::HashMap(data)
            | Map::LruHashMap(data)
            | Map::LpmTrie(data)
            | Map::DevMapHash(data)) = entry.map(name)?
            else {
                return None;
            };
            Some((data, pin))
        })
        .map(|(map, pin)| {
            let fd = map.fd().as_fd().try_clone_to_owned();
            fd.map(|fd| (pin, fd))
                .map_err(DatapathError::map("pins", "keep a descriptor of"))
        })
        .collect()
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

/// Fresh secrets for a fresh table.
fn write_keys(entry: &Ebpf) -> Result<(), DatapathError> {
    let mut random = [0_u8; size_of::<abi::flow_keys>()];
    getrandom(&mut random[..], GetRandomFlags::empty()).map_err(|error| DatapathError::System {
        operation: "getrandom",
        source: error.into(),
    })?;
    let mut keys: abi::flow_keys = bytemuck::pod_read_unaligned(&random);
    keys.mul = keys.mul.map(|multiplier| multiplier | 1);
    keys.nh_v4 = common_of_v4(&keys);
    keys.abi = u64::from(abi::ABI_VERSION);
    let mapping = writable(entry, "flow_keys", size_of::<abi::flow_keys>())?;
    let words: [u64; size_of::<abi::flow_keys>() / 8] = bytemuck::cast(keys);
    for (to, word) in mapping.words().iter().zip(words) {
        to.store(word, Ordering::Relaxed);
    }
    Ok(())
}
