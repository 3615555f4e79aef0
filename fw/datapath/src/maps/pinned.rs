//! Opens pinned maps and checks the size of their values.

use aya::maps::MapData;

use crate::error::{DatapathError, is_denied};
use crate::maps::pins::PinDir;

/// Opens a pinned map whose values have `value_size` bytes.
///
/// # Errors
/// If the map is not pinned, this process may not open it, or its values have another size.
pub(crate) fn open_pinned(
    pins: &PinDir,
    name: &'static str,
    value_size: usize,
) -> Result<MapData, DatapathError> {
    let path = pins.pin(name);
    let exists = path.try_exists();
    if !exists.map_err(DatapathError::map(name, "look for"))? {
        let directory = path.parent().map(ToOwned::to_owned).unwrap_or_default();
        return Err(DatapathError::NotLoaded(directory));
    }
    let layout = |message: String| DatapathError::Layout { name, message };
    let map = MapData::from_pin(&path).map_err(|error| match is_denied(&error) {
        true => DatapathError::NotPermitted(format!(
            "{}: this process may not open the map: it lacks CAP_BPF; run as root",
            path.display()
        )),
        false => layout(error.to_string()),
    })?;
    let info = map.info().map_err(|error| layout(error.to_string()))?;
    if info.value_size() as usize != value_size {
        return Err(layout(format!(
            "its values have {} bytes, this version expects {value_size}",
            info.value_size()
        )));
    }
    Ok(map)
}
