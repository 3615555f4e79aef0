//! The entry object: the programs that are attached, and the arrays through which they call policy
//! programs.

use std::io;
use std::os::fd::AsFd;

use aya::maps::{MapData, ProgramArray};
use aya::programs::ProgramFd;
use aya::{Ebpf, EbpfLoader};
use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::{DatapathError, unusable};
use crate::kernel::capabilities;
use crate::kernel::egress::{self, EgressKind};
use crate::kernel::memory::available_bytes;
use crate::maps::compat::{self, Compatibility, NewTables};
use crate::maps::frozen::write_and_freeze;
use crate::maps::netns;
use crate::maps::pins::PinDir;
use crate::maps::shape::flow_slots;
use crate::maps::shared::{SharedMaps, map_data, take_map};
use crate::maps::table::{LAYOUT_MAPS, MapShape, map_shapes};
use crate::maps::values::SharedValues;
use crate::program::constants::{Constants, EntryConstants, build_number};
use crate::program::failsafe_image;
use crate::program::handles::{classifier, classifier_fd, xdp, xdp_fd};
use crate::program::jiffies::Jiffies;
use crate::program::object::Object;

/// The loaded entry programs and the settings that they were loaded with.
pub(crate) struct EntryObject {
    pub(crate) settings: Settings,
    /// The mechanism that the configured egress hook means on this kernel.
    pub(crate) egress: EgressKind,
    pub(crate) programs: Programs,
    /// Origin of the pinned maps.
    pub(crate) origin: Origin,
    pub(crate) ebpf: Ebpf,
    /// Policy programs by slot: for XDP, tc and the probe.
    pub(crate) policies: [ProgramArray<MapData>; 3],
    /// The program of retired slots, for each array whose programs are loaded.
    retired: [Option<ProgramFd>; 3],
}

/// Origin of the pinned maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// They are new.
    Created,
    /// Flows, counters and a generation were pinned before.
    Adopted,
    /// The same, but flows and counters of rules in another layout, whose programs are attached.
    Former(NewTables),
}

impl Origin {
    /// Whether a generation was pinned before.
    pub(crate) fn is_adopted(self) -> bool {
        self != Self::Created
    }

    /// Removes the pins that a failed start has added.
    fn undo(self, pins: &PinDir) {
        match self {
            Self::Created => pins.remove_all(),
            Self::Former(NewTables::Unused) => pins.remove_layout(),
            Self::Adopted | Self::Former(NewTables::InUse) => {}
        }
    }
}

/// Which programs are loaded. The verifier takes seconds, so programs that are not run are left
/// out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// All, to be attached.
    All,
    /// The probe and its policy program.
    Probe,
}

impl EntryObject {
    /// Adopts the pinned maps, or creates them, and loads the entry programs. The caller holds the
    /// lock that keeps other daemons from these pins.
    ///
    /// # Errors
    /// If pinned maps are in use and have another shape, or the kernel refuses a map or a program.
    pub(crate) fn open(
        pins: PinDir,
        settings: Settings,
        programs: Programs,
    ) -> Result<(Self, SharedMaps), DatapathError> {
        capabilities::check()?;
        let shapes = map_shapes(&settings)?;
        let origin = find_origin(&pins, &settings)?;
        match origin {
            Origin::Created => pins.remove_all(),
            // A killed upgrade may have left some.
            Origin::Adopted => pins.remove_former_layout(),
            Origin::Former(NewTables::Unused) => {
                pins.remove_layout();
                check_memory(&shapes, &settings)?;
            }
            Origin::Former(NewTables::InUse) => {}
        }
        if pins.has_links() {
            netns::check(&pins)?;
        }
        let build = build_number(&settings);
        let loaded = SharedValues::open(&pins, &shapes).and_then(|values| {
            let mut ebpf = load_object(&pins, &settings, &shapes, &values)?;
            let (pins, is_adopted) = (pins.clone_handle()?, origin.is_adopted());
            let maps = SharedMaps::take(&mut ebpf, values, pins, build, is_adopted)?;
            Ok((Self::new(ebpf, settings, programs, origin)?, maps))
        });
        loaded.inspect_err(|_| origin.undo(&pins))
    }

    fn new(
        mut ebpf: Ebpf,
        settings: Settings,
        programs: Programs,
        origin: Origin,
    ) -> Result<Self, DatapathError> {
        // The table is written and frozen before any program that reads it is loaded.
        let image = failsafe_image::image(&settings.failsafe);
        let failsafe = map_data(&ebpf, "failsafe")?.fd().as_fd();
        write_and_freeze(failsafe, "failsafe", &image)?;
        let policies = [
            program_array(&mut ebpf, "policies_xdp")?,
            program_array(&mut ebpf, "policies_tc")?,
            program_array(&mut ebpf, "policies_probe")?,
        ];
        load_programs(&mut ebpf, programs)?;
        let retired = retired_programs(&mut ebpf, programs)?;
        Ok(Self {
            egress: egress::resolve(settings.egress_hook),
            settings,
            programs,
            origin,
            ebpf,
            policies,
            retired,
        })
    }

    /// Replaces the policy programs of the slots that `chosen` accepts. Packets of these slots are
    /// dropped under `no-policy`.
    ///
    /// The slots are overwritten, not emptied: to empty a slot, the kernel waits for a grace
    /// period. A slot that keeps its program costs memory only, so errors are ignored.
    pub(crate) fn retire_slots(&mut self, chosen: impl Fn(u32) -> bool) {
        for slot in (0..abi::POLICY_SLOTS).filter(|&slot| chosen(slot)) {
            for (array, retired) in self.policies.iter_mut().zip(&self.retired) {
                if let Some(program) = retired {
                    let _ = set_slot(array, slot, program);
                }
            }
        }
    }

    /// Empties all slots.
    #[cfg(feature = "testing")]
    pub(crate) fn empty_slots(&mut self) {
        for slot in 0..abi::POLICY_SLOTS {
            for array in &mut self.policies {
                let _ = array.clear_index(&slot);
            }
        }
    }
}

/// Puts a program into a slot of an array.
pub(crate) fn set_slot(
    array: &mut ProgramArray<MapData>,
    slot: u32,
    program: &ProgramFd,
) -> Result<(), DatapathError> {
    let set = array.set(slot, program, 0);
    set.map_err(|error| DatapathError::Map {
        name: "policies".into(),
        operation: "put a program into its slot",
        source: io::Error::other(error),
    })
}

/// Finds the origin of the pinned maps. With the origin `Created`, all pins may be removed.
///
/// # Errors
/// If they have another shape and programs that use them are attached.
fn find_origin(pins: &PinDir, settings: &Settings) -> Result<Origin, DatapathError> {
    match compat::check(pins, settings) {
        Ok(Compatibility::Compatible) => Ok(Origin::Adopted),
        Ok(Compatibility::Former(tables)) if pins.has_links() => Ok(Origin::Former(tables)),
        // Without programs that use them, the flows of the former layout are of no use.
        Ok(Compatibility::Former(_)) => Ok(Origin::Created),
        Ok(Compatibility::Absent) if !pins.has_links() => Ok(Origin::Created),
        Ok(Compatibility::Absent) => Err(DatapathError::Layout {
            name: "flows",
            message: "programs are attached, and some of their maps are not pinned".into(),
        }),
        // No program is attached, so no program uses maps of another shape.
        Err(DatapathError::Layout { .. }) if !pins.has_links() => Ok(Origin::Created),
        Err(error) => Err(error),
    }
}

/// Bytes per slot of the flow table that a copy needs in the process itself.
pub(crate) const COPY_BYTES_PER_SLOT: u64 = 24;

/// Checks that there is memory for a second set of the maps that have a layout.
///
/// # Errors
/// If there is not.
fn check_memory(shapes: &[MapShape], settings: &Settings) -> Result<(), DatapathError> {
    let new = shapes.iter().filter(|s| LAYOUT_MAPS.contains(&s.name));
    let sizes = new.map(|shape| u64::from(shape.value_size) * u64::from(shape.entries));
    let needed = sizes.sum::<u64>() + flow_slots(settings) * COPY_BYTES_PER_SLOT;
    let available = available_bytes().map_err(|source| DatapathError::System {
        operation: "read /proc/meminfo",
        source,
    })?;
    if needed > available {
        return Err(DatapathError::Memory {
            needed_mib: needed.div_ceil(1 << 20),
            available_mib: available >> 20,
        });
    }
    Ok(())
}

fn load_object(
    pins: &PinDir,
    settings: &Settings,
    shapes: &[MapShape],
    values: &SharedValues,
) -> Result<Ebpf, DatapathError> {
    let constants = Constants::new(settings)?;
    let entry = EntryConstants::new(settings, Jiffies::measure()?);
    let mut loader = EbpfLoader::new();
    constants.apply(&mut loader, pins, build_number(settings), shapes);
    entry.apply(&mut loader);
    Object::entry().load(&mut loader, values)
}

fn load_programs(ebpf: &mut Ebpf, programs: Programs) -> Result<(), DatapathError> {
    let xdp_names: &[&'static str] = match programs {
        Programs::Probe => &["entry_probe", "retired_probe"],
        Programs::All => &["entry_probe", "retired_probe", "entry_xdp", "retired_xdp"],
    };
    let tc_names: &[&'static str] = match programs {
        Programs::Probe => &[],
        Programs::All => &["entry_tc", "retired_tc"],
    };
    for name in xdp_names {
        let loaded = xdp(ebpf, name)?.load();
        loaded.map_err(DatapathError::program(name))?;
    }
    for name in tc_names {
        let loaded = classifier(ebpf, name)?.load();
        loaded.map_err(DatapathError::program(name))?;
    }
    Ok(())
}

/// The programs of retired slots, in the order of [`EntryObject::policies`].
fn retired_programs(
    ebpf: &mut Ebpf,
    programs: Programs,
) -> Result<[Option<ProgramFd>; 3], DatapathError> {
    let probe = Some(xdp_fd(ebpf, "retired_probe")?);
    if programs == Programs::Probe {
        return Ok([None, None, probe]);
    }
    let tc = classifier_fd(ebpf, "retired_tc")?;
    Ok([Some(xdp_fd(ebpf, "retired_xdp")?), Some(tc), probe])
}

fn program_array(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<ProgramArray<MapData>, DatapathError> {
    ProgramArray::try_from(take_map(ebpf, name)?).map_err(unusable(name))
}
