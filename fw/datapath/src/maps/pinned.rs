//! Opens pinned maps and checks the size of their values.

use aya::maps::MapData;
use bailey_bpf::abi;

use crate::error::{DatapathError, is_denied};
use crate::maps::pins::PinDir;
use crate::maps::table::{LAYOUT_MAPS, layout_of_pin};

/// Opens a pinned map whose values have `value_size` bytes.
///
/// # Errors
/// If the map is not pinned, this process may not open it, or its values have another size.
pub(crate) fn open_pinned(
    pins: &PinDir,
    name: &'static str,
    value_size: usize,
) -> Result<MapData, DatapathError> {
    let map = open_any(pins, name)?;
    check_value_size(&map, name, |size| size == value_size)?;
    Ok(map)
}

/// Opens a pinned map with values of any size.
///
/// # Errors
/// If the map is not pinned, or this process may not open it.
pub(crate) fn open_any(pins: &PinDir, name: &'static str) -> Result<MapData, DatapathError> {
    let path = pins.pin(name);
    let exists = path.try_exists();
    if !exists.map_err(DatapathError::map(name, "look for"))? {
        check_no_other_layout(pins, name)?;
        let directory = path.parent().map(ToOwned::to_owned).unwrap_or_default();
        return Err(DatapathError::NotLoaded(directory));
    }
    MapData::from_pin(&path).map_err(|error| match is_denied(&error) {
        true => DatapathError::NotPermitted(format!(
            "{}: this process may not open the map: it lacks CAP_BPF; run as root",
            path.display()
        )),
        false => layout(name, error.to_string()),
    })
}

/// Checks the size of a map's values.
///
/// # Errors
/// If `is_expected` does not accept the number of bytes.
pub(crate) fn check_value_size(
    map: &MapData,
    name: &'static str,
    is_expected: impl Fn(usize) -> bool,
) -> Result<(), DatapathError> {
    let info = map
        .info()
        .map_err(|error| layout(name, error.to_string()))?;
    if !is_expected(info.value_size() as usize) {
        return Err(layout(
            name,
            format!(
                "its values have {} bytes, this version expects another size",
                info.value_size()
            ),
        ));
    }
    Ok(())
}

/// Tells a map of another layout from a map that does not exist.
fn check_no_other_layout(pins: &PinDir, name: &'static str) -> Result<(), DatapathError> {
    let names = pins.names();
    let mut layouts = names.iter().filter_map(|pin| layout_of_pin(pin, name));
    let Some(found) = layouts.next().filter(|_| LAYOUT_MAPS.contains(&name)) else {
        return Ok(());
    };
    Err(layout(
        name,
        format!("layout {found}, this version reads {}", abi::ABI_VERSION),
    ))
}

fn layout(name: &'static str, message: String) -> DatapathError {
    DatapathError::Layout { name, message }
}
