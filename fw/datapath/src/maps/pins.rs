//! The pin directory: where maps and links are pinned, so that objects of different generations
//! share them.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::error::DatapathError;
use crate::kernel::directory;
use crate::kernel::link::Link;
use crate::maps::hook::Hook;
use crate::maps::table::{
    BUILD_MAPS, FORMER_LAYOUT, FORMER_MAPS, LAYOUT_MAPS, layout_of_pin, pin_name,
    pin_name_of_layout, shared_map_names,
};

/// A directory of pins.
#[derive(Debug)]
pub enum PinDir {
    /// A directory on a mounted bpffs.
    Path(PathBuf),
    /// A bpffs of this process, not mounted anywhere; the kernel frees it when the process ends.
    Private(OwnedFd),
}

/// linux/magic.h
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

impl PinDir {
    /// Uses a directory on bpffs, creating it if its parent is on bpffs.
    ///
    /// # Errors
    /// If it is not on a bpffs, or cannot be created.
    pub fn at(path: &Path) -> Result<Self, DatapathError> {
        let fail = |message: String| DatapathError::Pins {
            path: path.to_owned(),
            message,
        };
        let parent = path.parent().unwrap_or(path);
        if !Self::is_on_bpffs(path) {
            return Err(fail(format!(
                "{} is not on a bpffs; mount one there first: mount -t bpf -o mode=0700 bpf {}",
                parent.display(),
                parent.display()
            )));
        }
        directory::make_private(path).map_err(fail)?;
        Ok(Self::Path(path.to_owned()))
    }

    /// Creates a bpffs that no other process can access.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN.
    pub fn private() -> Result<Self, DatapathError> {
        let mount = || -> rustix::io::Result<OwnedFd> {
            let context = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(&context)?;
            fsmount(
                &context,
                FsMountFlags::FSMOUNT_CLOEXEC,
                MountAttrFlags::empty(),
            )
        };
        mount()
            .map(Self::Private)
            .map_err(|error| DatapathError::System {
                operation: "mount a private bpffs",
                source: error.into(),
            })
    }

    /// Another handle to the same directory.
    ///
    /// # Errors
    /// If no further descriptor is available.
    pub fn clone_handle(&self) -> Result<Self, DatapathError> {
        match self {
            Self::Path(path) => Ok(Self::Path(path.clone())),
            Self::Private(fd) => {
                let fd = fd.try_clone().map_err(|source| DatapathError::System {
                    operation: "dup",
                    source,
                })?;
                Ok(Self::Private(fd))
            }
        }
    }

    /// Path of the pin of a map.
    pub(crate) fn pin(&self, map: &str) -> PathBuf {
        self.file(&pin_name(map))
    }

    /// Path of the pin that a map has in another layout.
    pub(crate) fn pin_of_layout(&self, map: &str, layout: u32) -> PathBuf {
        self.file(&pin_name_of_layout(map, layout))
    }

    /// Path of the pin with this file name. A private bpffs is reached through a descriptor of this
    /// process.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        match self {
            Self::Path(path) => path.join(name),
            Self::Private(fd) => format!("/proc/self/fd/{}/{name}", fd.as_raw_fd()).into(),
        }
    }

    /// Layouts of the pinned flow tables, in ascending order.
    pub(crate) fn layouts(&self) -> Vec<u32> {
        let names = self.names();
        let layouts = names
            .iter()
            .filter_map(|name| layout_of_pin(name, "flow_keys"));
        let mut layouts: Vec<u32> = layouts.collect();
        layouts.sort_unstable();
        layouts
    }

    /// File names of all pins.
    pub(crate) fn names(&self) -> Vec<String> {
        let directory = match self {
            Self::Path(path) => path.clone(),
            Self::Private(fd) => format!("/proc/self/fd/{}", fd.as_raw_fd()).into(),
        };
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect()
    }

    /// Whether a directory, or the parent that it would be created in, is on a bpffs.
    pub(crate) fn is_on_bpffs(path: &Path) -> bool {
        let candidates = [Some(path), path.parent()];
        candidates.into_iter().flatten().any(|path| {
            rustix::fs::statfs(path).is_ok_and(|fs| i64::from(fs.f_type as u32) == BPF_FS_MAGIC)
        })
    }

    /// Whether a pinned link holds an attached program.
    pub(crate) fn has_links(&self) -> bool {
        self.names().iter().any(|name| {
            let link =
                parse_link_pin(name).map(|(_, index)| Link::from_pin(&self.file(name), index));
            // The link of a deleted interface has ifindex 0.
            matches!(link, Some(Ok(link)) if link.info().is_ok_and(|info| info.ifindex != 0))
        })
    }

    /// Removes the pins whose file names `chosen` accepts.
    pub(crate) fn remove_where(&self, chosen: impl Fn(&str) -> bool) {
        for name in self.names().iter().filter(|name| chosen(name)) {
            let _ = fs::remove_file(self.file(name));
        }
    }

    /// Removes the maps of this layout that other layouts have in another shape.
    pub(crate) fn remove_layout(&self) {
        self.remove_where(|name| LAYOUT_MAPS.iter().any(|map| name == pin_name(map)));
    }

    /// Whether the keys of the former layout are pinned.
    pub(crate) fn has_former_layout(&self) -> bool {
        self.pin_of_layout("flow_keys", FORMER_LAYOUT).exists()
    }

    /// Removes the maps of the former layout that this one has in another shape. The keys first:
    /// without them, no version takes the other maps for a table.
    pub(crate) fn remove_former_layout(&self) {
        self.remove_where(|name| name == pin_name_of_layout("flow_keys", FORMER_LAYOUT));
        self.remove_where(|name| {
            LAYOUT_MAPS
                .iter()
                .any(|map| name == pin_name_of_layout(map, FORMER_LAYOUT))
        });
    }

    /// Removes the directory, if it is empty.
    pub(crate) fn remove_directory(&self) {
        if let Self::Path(path) = self {
            let _ = fs::remove_dir(path);
        }
    }

    /// Removes all of Bailey's pins, of all layouts; pins of other programs stay.
    pub(crate) fn remove_all(&self) {
        self.remove_where(is_bailey_pin);
    }
}

/// Prefix of the names of pinned links on interfaces.
const LINK: &str = "link_";
/// Prefix of the names of pinned links on tracepoints.
pub(crate) const TRACE: &str = "trace_";

/// Pin of the link that holds the program of a hook on an interface.
pub(crate) fn link_pin(pins: &PinDir, hook: Hook, index: u32) -> PathBuf {
    pins.file(&format!("{LINK}{hook}_{index}"))
}

/// The hook and ifindex in the name of a link's pin.
pub(crate) fn parse_link_pin(name: &str) -> Option<(Hook, u32)> {
    let (hook, index) = name.strip_prefix(LINK)?.split_once('_')?;
    Some((Hook::from_name(hook)?, index.parse().ok()?))
}

fn is_bailey_pin(name: &str) -> bool {
    let of_build = |map: &&str| {
        let number = name
            .strip_prefix(*map)
            .and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| u64::from_str_radix(number, 16).is_ok())
    };
    name.starts_with(LINK)
        || name.starts_with(TRACE)
        || shared_map_names().any(|shared| shared == name)
        || LAYOUT_MAPS
            .iter()
            .any(|map| layout_of_pin(name, map).is_some())
        || FORMER_MAPS.contains(&name)
        || BUILD_MAPS.iter().any(of_build)
}
