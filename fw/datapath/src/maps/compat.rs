//! What is pinned, compared with what this binary would make: the loader reuses a pinned map
//! without a look at it, and a table of another shape would be corrupted or lost.

use aya::maps::{MapInfo, MapType};
use bailey_bpf::abi;
use bailey_config::Settings;

use crate::error::DatapathError;
use crate::maps::pinned::layout_version;
use crate::maps::pins::PinDir;
use crate::maps::table::{MapShape, map_shapes};

/// What stands in the pin directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// No map of ours, or not all: an earlier start did not get as far as enforcing.
    Nothing,
    /// All maps, of this binary's shape.
    Fits,
}

/// Looks at every pinned map.
///
/// # Errors
/// If one has another shape, or belongs to another layout.
pub(crate) fn inspect(pins: &PinDir, settings: &Settings) -> Result<Pinned, DatapathError> {
    let shapes = map_shapes(settings)?;
    let present = shapes.iter().filter(|shape| pins.pin(shape.name).exists());
    let present = present.count();
    // Before anything is compared: another layout may have other maps.
    if pins.pin("flow_keys").exists() {
        check_version(pins)?;
    }
    if present < shapes.len() {
        return Ok(Pinned::Nothing);
    }
    for shape in &shapes {
        check_shape(pins, shape)?;
    }
    Ok(Pinned::Fits)
}

fn check_version(pins: &PinDir) -> Result<(), DatapathError> {
    let found = layout_version(pins)?;
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
    for (what, found, expected) in sizes {
        if found != expected {
            let hint = shape.setting.map_or_else(String::new, |setting| {
                format!("; {setting} in the configuration asks for another size")
            });
            return Err(layout(format!(
                "it has {found} {what}, {expected} are needed{hint}"
            )));
        }
    }
    let mmapable = kind == MapType::Array;
    if mmapable && info.map_flags() & BPF_F_MMAPABLE == 0 {
        return Err(layout("it cannot be mapped into memory".into()));
    }
    Ok(())
}

/// linux/bpf.h
const BPF_F_MMAPABLE: u32 = 1 << 10;
