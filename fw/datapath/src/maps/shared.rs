//! The maps that the entry programs, all generations and this process share. Holds no programs.

use std::mem::offset_of;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::Ebpf;
use aya::maps::{DevMapHash, HashMap, Map, MapData};
use bailey_bpf::abi;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{DatapathError, missing, unusable};
use crate::kernel::bpf::pin_descriptor;
use crate::maps::control_word::{ControlMap, ControlWord};
use crate::maps::flow_keys::{PassEpoch, layout_of};
use crate::maps::interfaces::InterfaceMap;
use crate::maps::mapped::MappedArray;
use crate::maps::netns;
use crate::maps::pins::PinDir;
use crate::maps::recorder::initialize_recorder;
use crate::maps::rule_totals::RuleTotals;
use crate::maps::table::{BUILD_MAPS, CAPTURE, RECORDS, build_pin, shared_map_names};
use crate::maps::values::SharedValues;

/// The shared maps, mapped into memory or open, and the directory that they are pinned in.
pub(crate) struct SharedMaps {
    pub(crate) pins: PinDir,
    /// Number of this build of the programs with these constants.
    pub(crate) build: u64,
    pub(crate) control: ControlMap,
    pub(crate) probe_control: ControlMap,
    pub(crate) interfaces: Arc<InterfaceMap>,
    pub(crate) rule_counters: MappedArray<abi::rule_counter>,
    pub(crate) rule_totals: RuleTotals,
    pub(crate) pass_epoch: PassEpoch,
    pub(crate) limit_states: MappedArray<abi::limit_state>,
    pub(crate) bridge_ports: DevMapHash<MapData>,
    pub(crate) own_filter: MappedArray<abi::own_filter>,
    pub(crate) own_addresses: HashMap<MapData, [u64; 2], u32>,
    /// The maps that no object declares.
    pub(crate) values: SharedValues,
    /// Descriptors of all pinned maps, by the name of the map; maps of a build have the name of their
    /// pin.
    pub(crate) pinned: Vec<(String, OwnedFd)>,
}

impl SharedMaps {
    /// Takes the maps of the entry object, which was loaded with `values`. `adopted` means that they
    /// were pinned before; new maps are initialized.
    pub(crate) fn take(
        entry: &mut Ebpf,
        values: SharedValues,
        pins: PinDir,
        build: u64,
        adopted: bool,
    ) -> Result<Self, DatapathError> {
        let control: ControlMap = values.mapped("control")?;
        let probe_control: ControlMap = values.mapped("probe_control")?;
        if !adopted {
            for control in [&control, &probe_control] {
                ControlWord::NONE.store(control);
                control
                    .field(0, offset_of!(abi::control, scale))
                    .store(u64::from(abi::SCALE_ONE), Ordering::Release);
            }
        }
        // A table of this layout beside that of an earlier one is new although the other maps are not.
        let keys: MappedArray<abi::flow_keys> = values.mapped("flow_keys")?;
        if !adopted || layout_of(&keys) == 0 {
            // Last: no process adopts maps that have no keys yet.
            write_keys(&keys, ControlWord::load(&control).epoch)?;
        }
        let attached = control.field(0, offset_of!(abi::control, build));
        let is_new = [RECORDS, CAPTURE].iter().any(|map| values.is_new(map));
        if is_new && attached.load(Ordering::Acquire) == build {
            // The attached programs of this build write to a map without a pin.
            attached.store(0, Ordering::Release);
        }
        initialize_recorder(&values)?;
        control
            .field(0, offset_of!(abi::control, namespace))
            .store(netns::current().into(), Ordering::Relaxed);
        let interfaces = InterfaceMap::new(
            mapped(entry, "interfaces")?,
            mapped(entry, "interface_names")?,
            mapped(entry, "reason_counters")?,
        );
        Ok(Self {
            pins,
            build,
            control,
            probe_control,
            interfaces: Arc::new(interfaces),
            rule_counters: mapped(entry, "rule_counters")?,
            rule_totals: RuleTotals::of_values(&values)?,
            pass_epoch: PassEpoch::new(keys),
            limit_states: mapped(entry, "limit_states")?,
            own_filter: values.mapped("own_filter")?,
            // Before maps are taken out of the object.
            pinned: pinned_maps(entry, &values, build)?,
            bridge_ports: DevMapHash::try_from(take_map(entry, "bridge_ports")?)
                .map_err(unusable("bridge_ports"))?,
            own_addresses: HashMap::try_from(take_map(entry, "own_addresses")?)
                .map_err(unusable("own_addresses"))?,
            values,
        })
    }

    /// Number of maps whose pins are missing.
    pub(crate) fn missing_pin_count(&self) -> usize {
        let pinned = self.pinned.iter();
        pinned
            .filter(|(name, _)| !self.pins.pin(name).exists())
            .count()
    }

    /// Pins again the maps whose pins are missing.
    pub(crate) fn restore_pins(&self) -> Result<(), DatapathError> {
        if let PinDir::Path(path) = &self.pins {
            // The directory may have been removed, too.
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

    fn attached_build(&self) -> &AtomicU64 {
        self.control.field(0, offset_of!(abi::control, build))
    }

    /// Whether the attached programs are those of this build.
    pub(crate) fn is_attached_build(&self) -> bool {
        self.attached_build().load(Ordering::Acquire) == self.build
    }

    /// Records that programs of more than one build may be attached from now on.
    pub(crate) fn clear_attached_build(&self) {
        self.attached_build().store(0, Ordering::Release);
    }

    /// Records that only this build is attached, and removes the pins of all other builds.
    pub(crate) fn set_attached_build(&self) {
        self.attached_build().store(self.build, Ordering::Release);
        let ours = BUILD_MAPS.map(|name| build_pin(name, self.build));
        self.pins.remove_where(|pin| {
            BUILD_MAPS.iter().any(|name| {
                pin.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('-'))
            }) && !ours.iter().any(|own| own == pin)
        });
    }
}

/// The data of an array in an object; aya has typed views only of maps that it reads by system
/// call.
pub(crate) fn map_data<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData, DatapathError> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data),
        _ => Err(missing(name)),
    }
}

/// Takes a map out of an object.
pub(crate) fn take_map(entry: &mut Ebpf, name: &'static str) -> Result<Map, DatapathError> {
    entry.take_map(name).ok_or_else(|| missing(name))
}

fn mapped<T: bytemuck::Pod>(entry: &Ebpf, name: &str) -> Result<MappedArray<T>, DatapathError> {
    MappedArray::of_map(map_data(entry, name)?, name)
}

fn pinned_maps(
    entry: &Ebpf,
    values: &SharedValues,
    build: u64,
) -> Result<Vec<(String, OwnedFd)>, DatapathError> {
    let shared = shared_map_names().map(|name| (name, name.to_owned()));
    let own = BUILD_MAPS
        .iter()
        .map(|&name| (name, build_pin(name, build)));
    shared
        .chain(own)
        // An object only has the maps that one of its programs uses.
        .filter_map(|(name, pin)| {
            if let Some(value) = values.map(name) {
                return Some((value, pin));
            }
            let (Map::Array(data)
            | Map::PerCpuArray(data)
            | Map::ProgramArray(data)
            | Map::HashMap(data)
            | Map::LruHashMap(data)
            | Map::LpmTrie(data)
            | Map::DevMapHash(data)
            | Map::PerfEventArray(data)) = entry.map(name)?
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

/// Writes fresh hash secrets for a fresh flow table, which has no stamp from before `epoch`.
fn write_keys(mapping: &MappedArray<abi::flow_keys>, epoch: u32) -> Result<(), DatapathError> {
    let mut random = [0_u8; size_of::<abi::flow_keys>()];
    getrandom(&mut random[..], GetRandomFlags::empty()).map_err(|error| DatapathError::System {
        operation: "getrandom",
        source: error.into(),
    })?;
    let mut keys: abi::flow_keys = bytemuck::pod_read_unaligned(&random);
    keys.mul = keys.mul.map(|multiplier| multiplier | 1);
    keys.pass_epoch = epoch.into();
    keys.abi = u64::from(abi::ABI_VERSION);
    mapping.write(0, &keys, Ordering::Relaxed);
    Ok(())
}
