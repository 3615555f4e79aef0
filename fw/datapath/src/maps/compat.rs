//! Compares pinned maps with the shapes that this binary creates. The BPF loader reuses a pinned
//! map unchecked, and a table of another shape would be corrupted or lost.

use aya::maps::{MapInfo, MapType};
use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::kernel::bpf::BPF_F_MMAPABLE;
use crate::maps::flow_keys::pinned_abi_version;
use crate::maps::pins::PinDir;
use crate::maps::table::{MapShape, map_shapes};

/// State of the maps in a pin directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Compatibility {
    /// Bailey's maps are missing or incomplete: an earlier start ended before it enforced policy.
    Absent,
    /// All maps are pinned and have this binary's shapes.
    Compatible,
}

/// Compares every pinned map with its shape.
///
/// # Errors
/// If a map has another shape, or another ABI version.
pub(crate) fn check(pins: &PinDir, settings: &Settings) -> Result<Compatibility, DatapathError> {
    let shapes = map_shapes(settings)?;
    let present = shapes.iter().filter(|shape| pins.pin(shape.name).exists());
    let present = present.count();
    // First: another ABI version may have other maps.
    if pins.pin("flow_keys").exists() {
        check_version(pins)?;
    }
    if present < shapes.len() {
        return Ok(Compatibility::Absent);
    }
    for shape in &shapes {
        check_shape(pins, shape)?;
    }
    Ok(Compatibility::Compatible)
}

fn check_version(pins: &PinDir) -> Result<(), DatapathError> {
    let found = pinned_abi_version(pins)?;
    if found == u64::from(abi::ABI_VERSION) {
        return Ok(());
    }
    Err(DatapathError::Layout {
        name: "flow_keys",
        message: format!(
            "its layout is {found}, this version of bailey has layout {}; flows cannot be carried \
             over",
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
