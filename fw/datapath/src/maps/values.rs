//! The maps of one value that programs address directly. No object declares them, so they exist
//! before an object is loaded, and a load leaves their contents alone.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use aya::maps::MapData;
use bytemuck::Pod;

use crate::error::{DatapathError, missing, unusable};
use crate::kernel::bpf::{create_value, pin_descriptor};
use crate::maps::mapped::MappedArray;
use crate::maps::pinned::open_pinned;
use crate::maps::pins::PinDir;
use crate::maps::table::direct_values;

/// The open maps. Programs that address their values are loaded while these are open.
pub(crate) struct SharedValues(Vec<(DirectValue, MapData)>);

/// A value as an object addresses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectValue {
    pub(crate) name: &'static str,
    /// Bytes of the value.
    pub(crate) size: usize,
    /// Descriptor of the map.
    pub(crate) map: RawFd,
}

impl SharedValues {
    /// Opens the pinned maps. A map that is not pinned is created, zeroed, and pinned.
    ///
    /// # Errors
    /// If a pinned map has values of another size, or the kernel refuses.
    pub(crate) fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let open = |(name, size)| {
            let data = open_value(pins, name, size)?;
            let map = data.fd().as_fd().as_raw_fd();
            Ok((DirectValue { name, size, map }, data))
        };
        direct_values()
            .map(open)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The values, for an object.
    pub(crate) fn list(&self) -> Vec<DirectValue> {
        self.0.iter().map(|(value, _)| *value).collect()
    }

    /// The map with this name.
    pub(crate) fn map(&self, name: &str) -> Option<&MapData> {
        let found = self.0.iter().find(|(value, _)| value.name == name);
        found.map(|(_, data)| data)
    }

    /// Maps a value into memory.
    pub(crate) fn mapped<T: Pod>(&self, name: &str) -> Result<MappedArray<T>, DatapathError> {
        MappedArray::of_map(self.map(name).ok_or_else(|| missing(name))?, name)
    }
}

fn open_value(pins: &PinDir, name: &'static str, size: usize) -> Result<MapData, DatapathError> {
    let path = pins.pin(name);
    if path.exists() {
        return open_pinned(pins, name, size);
    }
    let map = create_value(name, size as u32).map_err(DatapathError::map(name, "create"))?;
    pin_descriptor(map.as_fd(), &path).map_err(DatapathError::map(name, "pin"))?;
    MapData::from_fd(map).map_err(unusable(name))
}
