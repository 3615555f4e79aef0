//! Compares pinned maps with the shapes that this binary creates. The BPF loader reuses a pinned
//! map unchecked, and a table of another shape would be corrupted or lost.

use std::mem::offset_of;
use std::sync::atomic::Ordering;

use aya::maps::{MapData, MapInfo, MapType};
use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::kernel::bpf::BPF_F_MMAPABLE;
use crate::maps::control_word::ControlMap;
use crate::maps::flow_keys::{layout_of, pinned_abi_version};
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;
use crate::maps::table::{
    FORMER_LAYOUT, FORMER_LAYOUT_MAPS, LAYOUT_MAPS, MapShape, REPLACEABLE_MAPS, map_shapes,
};

/// State of the maps in a pin directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Compatibility {
    /// Bailey's maps are missing or incomplete: an earlier start ended before it enforced policy.
    Absent,
    /// All maps are pinned and have this binary's shapes.
    Compatible,
    /// The maps whose shapes differ are those of the former layout; the others have this binary's
    /// shapes.
    Former(NewTables),
}

/// The maps of this layout beside those of the former one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewTables {
    /// Missing, or no program uses them: of an upgrade that was killed early, or that the former
    /// version has undone since.
    Unused,
    /// Programs may use them: an upgrade was killed while it replaced the programs.
    InUse,
}

/// Compares every pinned map with its shape, except those that can be replaced.
///
/// # Errors
/// If a map has another shape, or belongs to a layout from which nothing can be taken over.
pub(crate) fn check(pins: &PinDir, settings: &Settings) -> Result<Compatibility, DatapathError> {
    let mut shapes = map_shapes(settings)?;
    shapes.retain(|shape| !REPLACEABLE_MAPS.contains(&shape.name));
    if former_layout(pins) == Some(u64::from(FORMER_LAYOUT)) {
        return check_former(pins, &shapes);
    }
    let is_complete = are_pinned(pins, &shapes);
    // First: another ABI version may have other maps.
    check_version(pins)?;
    if !is_complete {
        return Ok(Compatibility::Absent);
    }
    for shape in &shapes {
        check_shape(pins, shape)?;
    }
    Ok(Compatibility::Compatible)
}

/// As [`check`], beside maps of the former layout.
fn check_former(pins: &PinDir, shapes: &[MapShape]) -> Result<Compatibility, DatapathError> {
    let (own, shared): (Vec<&MapShape>, Vec<&MapShape>) = shapes
        .iter()
        .partition(|shape| LAYOUT_MAPS.contains(&shape.name));
    let mut former = FORMER_LAYOUT_MAPS.iter();
    if !are_pinned(pins, shared.iter().copied())
        || !former.all(|map| pins.pin_of_layout(map, FORMER_LAYOUT).exists())
    {
        return Ok(Compatibility::Absent);
    }
    for shape in shared {
        check_shape(pins, shape)?;
    }
    let has_keys = || pinned_abi_version(pins).is_ok_and(|l| l == u64::from(abi::ABI_VERSION));
    if !is_replacing(pins)? || !are_pinned(pins, own.iter().copied()) || !has_keys() {
        return Ok(Compatibility::Former(NewTables::Unused));
    }
    for shape in own {
        check_shape(pins, shape)?;
    }
    Ok(Compatibility::Former(NewTables::InUse))
}

/// The layout in the keys that are pinned without a number, if there are such keys.
fn former_layout(pins: &PinDir) -> Option<u64> {
    let map = MapData::from_pin(pins.pin_of_layout("flow_keys", FORMER_LAYOUT)).ok()?;
    let has_keys = map.info().ok()?.value_size() as usize == size_of::<abi::flow_keys>();
    let keys = MappedArray::of_map(&map, "flow_keys").ok()?;
    has_keys.then(|| layout_of(&keys))
}

/// Whether a process was killed while it replaced the attached programs: the control map names no
/// build.
fn is_replacing(pins: &PinDir) -> Result<bool, DatapathError> {
    let control = ControlMap::open(pins, "control")?;
    let build = control.field(0, offset_of!(abi::control, build));
    Ok(build.load(Ordering::Acquire) == 0)
}

fn are_pinned<'a>(pins: &PinDir, shapes: impl IntoIterator<Item = &'a MapShape>) -> bool {
    let mut shapes = shapes.into_iter();
    shapes.all(|shape| pins.pin(shape.name).exists())
}

fn check_version(pins: &PinDir) -> Result<(), DatapathError> {
    let layouts = pins.layouts();
    let found = match layouts.last() {
        None => return Ok(()),
        Some(_) if layouts.contains(&abi::ABI_VERSION) => pinned_abi_version(pins)?,
        // The pin of an old layout has no number.
        Some(&other) => former_layout(pins).unwrap_or_else(|| other.into()),
    };
    if found == u64::from(abi::ABI_VERSION) {
        return Ok(());
    }
    Err(DatapathError::Layout {
        name: "flow_keys",
        message: format!(
            "its layout is {found}, this version of bailey has layout {} and takes flows over from \
             layout {FORMER_LAYOUT} only",
            abi::ABI_VERSION
        ),
    })
}
fn check_shape(pins: &PinDir, shape: &MapShape) -> Result<(), DatapathError> {
    let layout = |message: String| DatapathError::Layout {
        name: shape.name,
        message,
    };
    let unreadable = |error: aya::maps::MapError| layout(error.to_string());
    let info = MapInfo::from_pin(pins.pin(shape.name)).map_err(unreadable)?;
    let kind = info.map_type().map_err(unreadable)?;
    if kind != shape.kind {
        return Err(layout(format!("it is a {kind:?}, not a {:?}", shape.kind)));
    }
    let sizes = [
        ("bytes per value", info.value_size(), shape.value_size),
        ("bytes per key", info.key_size(), shape.key_size),
        ("entries", info.max_entries(), shape.entries),
    ];
    for (unit, found, expected) in sizes {
        if found != expected {
            let hint = shape.setting.map_or_else(String::new, |setting| {
                format!("; {setting} in the configuration asks for another size")
            });
            return Err(layout(format!(
                "it has {found} {unit}, {expected} are needed{hint}"
            )));
        }
    }
    let needs_mmap = kind == MapType::Array;
    if needs_mmap && info.map_flags() & BPF_F_MMAPABLE == 0 {
        return Err(layout("it cannot be mapped into memory".into()));
    }
    Ok(())
}
