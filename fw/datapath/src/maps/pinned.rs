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
    check_value_size(&map, name, value_size)?;
    Ok(map)
}

/// Opens a pinned map with values of any size.
///
/// # Errors
/// If the map is not pinned, or this process may not open it.
fn open_any(pins: &PinDir, name: &'static str) -> Result<MapData, DatapathError> {
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

/// Opens a pinned table, whose values are arrays of elements of `element_size` bytes.
///
/// # Errors
/// If the map is not pinned, this process may not open it, or its values have another size.
pub(crate) fn open_pinned_table(
    pins: &PinDir,
    name: &'static str,
    element_size: usize,
) -> Result<MapData, DatapathError> {
    let map = open_any(pins, name)?;
    let size = value_size(&map, name)?;
    if !size.is_multiple_of(element_size) {
        let expected = format!("a multiple of {element_size}");
        return Err(other_size(name, size, &expected));
    }
    Ok(map)
}

/// Checks that a map's values have `expected` bytes.
///
/// # Errors
/// If they have another size.
pub(crate) fn check_value_size(
    map: &MapData,
    name: &'static str,
    expected: usize,
) -> Result<(), DatapathError> {
    let size = value_size(map, name)?;
    if size != expected {
        return Err(other_size(name, size, &expected.to_string()));
    }
    Ok(())
}

fn value_size(map: &MapData, name: &'static str) -> Result<usize, DatapathError> {
    let info = map.info();
    let info = info.map_err(|error| layout(name, error.to_string()))?;
    Ok(info.value_size() as usize)
}

fn other_size(name: &'static str, size: usize, expected: &str) -> DatapathError {
    let message = format!("its values have {size} bytes, this version expects {expected}");
    layout(name, message)
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
