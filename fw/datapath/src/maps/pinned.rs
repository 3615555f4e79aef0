use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use aya::maps::MapData;
use bailey_bpf::abi;

use crate::error::{DatapathError, is_denied};
use crate::kernel::mmap::Mapping;
use crate::maps::pins::PinDir;

/// Opens a pinned map of the shape that this binary expects.
pub(crate) fn open_pinned(
    pins: &PinDir,
    name: &'static str,
    value_size: usize,
) -> Result<(MapData, usize), DatapathError> {
    let path = pins.pin(name);
    let exists = path.try_exists();
    if !exists.map_err(DatapathError::map(name, "look for"))? {
        let directory = path.parent().map(ToOwned::to_owned).unwrap_or_default();
        return Err(DatapathError::NotLoaded(directory));
    }
    let layout = |message: String| DatapathError::Layout { name, message };
    let map = MapData::from_pin(&path).map_err(|error| match is_denied(&error) {
        true => DatapathError::NotPermitted(format!(
            "{}: this process may not open it: it lacks CAP_BPF; run as root",
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
    Ok((map, info.max_entries() as usize))
}

/// Maps a pinned array to be written.
pub(crate) fn map_pinned_writable(
    pins: &PinDir,
    name: &'static str,
    value_size: usize,
) -> Result<Mapping, DatapathError> {
    let (map, entries) = open_pinned(pins, name, value_size)?;
    Mapping::writable(map.fd().as_fd(), entries * value_size)
        .map_err(DatapathError::map(name, "map into memory"))
}

/// Maps a pinned array for reading; also returns its number of elements.
pub(crate) fn map_pinned(
    pins: &PinDir,
    name: &'static str,
    value_size: usize,
) -> Result<(Mapping, usize), DatapathError> {
    let (map, entries) = open_pinned(pins, name, value_size)?;
    let mapping = Mapping::readable(map.fd().as_fd(), entries * value_size)
        .map_err(DatapathError::map(name, "map into memory"))?;
    Ok((mapping, entries))
}

/// The layout that the pinned table was made with.
pub(crate) fn layout_version(pins: &PinDir) -> Result<u64, DatapathError> {
    let (keys, _) = map_pinned(pins, "flow_keys", size_of::<abi::flow_keys>())?;
    let word = keys.words().last();
    Ok(word.map_or(0, |word| word.load(Ordering::Relaxed)))
}
