//! The maps that no object declares: those of one value that programs address directly, and those of
//! user space. They exist before an object is loaded, and a load leaves their contents alone.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use aya::maps::MapData;
use bytemuck::Pod;

use crate::error::{DatapathError, missing, unusable};
use crate::kernel::bpf::{create_array, pin_descriptor};
use crate::maps::mapped::MappedArray;
use crate::maps::pinned::open_pinned;
use crate::maps::pins::PinDir;
use crate::maps::table::{Access, MapShape, REPLACEABLE_MAPS};

/// The open maps. Programs that address their values are loaded while these are open.
pub(crate) struct SharedValues {
    /// By logical name.
    maps: Vec<(&'static str, MapData)>,
    /// As objects address them.
    direct: Vec<DirectValue>,
    /// Names of the maps that [`Self::open`] created.
    created: Vec<&'static str>,
    /// Maps that stand for tables which programs do not address directly.
    _placeholders: Vec<MapData>,
}

/// A value as an object addresses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectValue {
    pub(crate) name: &'static str,
    /// Bytes of the value.
    pub(crate) size: usize,
    /// Whether the object has only the beginning of the value.
    pub(crate) is_table: bool,
    /// Descriptor of the map.
    pub(crate) map: RawFd,
}

/// Bytes of a placeholder: more than any object has of a table.
const PLACEHOLDER: u32 = 4096;

impl SharedValues {
    /// Opens the pinned maps. A map that is not pinned is created, zeroed, and pinned.
    ///
    /// # Errors
    /// If a pinned map has values of another size, or the kernel refuses.
    pub(crate) fn open(pins: &PinDir, shapes: &[MapShape]) -> Result<Self, DatapathError> {
        let mut values = Self {
            maps: Vec::new(),
            direct: Vec::new(),
            created: Vec::new(),
            _placeholders: Vec::new(),
        };
        for shape in shapes.iter().filter(|s| s.access != Access::Lookup) {
            let map = match open_existing(pins, shape)? {
                Some(map) => map,
                None => {
                    values.created.push(shape.name);
                    create_pinned(pins, shape)?
                }
            };
            let direct = |map: &MapData, size: u32| DirectValue {
                name: shape.name,
                size: size as usize,
                is_table: shape.access != Access::Direct,
                map: map.fd().as_fd().as_raw_fd(),
            };
            match shape.access {
                Access::Direct | Access::DirectTable => {
                    values.direct.push(direct(&map, shape.value_size));
                }
                Access::SplitTable(_) => {
                    let placeholder = create(shape.name, PLACEHOLDER, 1)?;
                    values.direct.push(direct(&placeholder, PLACEHOLDER));
                    values._placeholders.push(placeholder);
                }
                Access::None | Access::Lookup => {}
            }
            values.maps.push((shape.name, map));
        }
        Ok(values)
    }

    /// The values, for an object.
    pub(crate) fn list(&self) -> Vec<DirectValue> {
        self.direct.clone()
    }

    /// Whether [`Self::open`] created the map.
    pub(crate) fn is_new(&self, name: &str) -> bool {
        self.created.contains(&name)
    }

    /// The map with this name.
    pub(crate) fn map(&self, name: &str) -> Option<&MapData> {
        let found = self.maps.iter().find(|(known, _)| *known == name);
        found.map(|(_, data)| data)
    }

    /// Maps an array into memory.
    pub(crate) fn mapped<T: Pod>(&self, name: &str) -> Result<MappedArray<T>, DatapathError> {
        MappedArray::of_map(self.map(name).ok_or_else(|| missing(name))?, name)
    }
}

/// Opens the pinned map. Removes the pin of a map of another size if the map can be replaced.
fn open_existing(pins: &PinDir, shape: &MapShape) -> Result<Option<MapData>, DatapathError> {
    let path = pins.pin(shape.name);
    if !path.exists() {
        return Ok(None);
    }
    match open_pinned(pins, shape.name, shape.value_size as usize) {
        Ok(map) => Ok(Some(map)),
        Err(DatapathError::Layout { .. }) if REPLACEABLE_MAPS.contains(&shape.name) => {
            fs::remove_file(&path).map_err(DatapathError::map(shape.name, "replace"))?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn create_pinned(pins: &PinDir, shape: &MapShape) -> Result<MapData, DatapathError> {
    let (name, path) = (shape.name, pins.pin(shape.name));
    let map = create(name, shape.value_size, shape.entries)?;
    pin_descriptor(map.fd().as_fd(), &path).map_err(DatapathError::map(name, "pin"))?;
    Ok(map)
}

fn create(name: &'static str, value_size: u32, entries: u32) -> Result<MapData, DatapathError> {
    let map = create_array(name, value_size, entries);
    let map = map.map_err(DatapathError::map(name, "create"))?;
    MapData::from_fd(map).map_err(unusable(name))
}
