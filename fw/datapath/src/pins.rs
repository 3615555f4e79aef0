use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::error::DatapathError;

/// Where maps are pinned: how objects of different generations come to share them.
#[derive(Debug)]
pub enum PinDir {
    /// A directory on a mounted bpffs.
    Path(PathBuf),
    /// A bpffs of this process alone, mounted nowhere; it vanishes with the process.
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
        let on_bpffs = |path: &Path| {
            rustix::fs::statfs(path).is_ok_and(|fs| i64::from(fs.f_type as u32) == BPF_FS_MAGIC)
        };
        let parent = path.parent().unwrap_or(path);
        if !on_bpffs(path) && !on_bpffs(parent) {
            return Err(fail(format!(
                "{} is not on a bpffs; mount one there first: mount -t bpf bpf {}",
                parent.display(),
                parent.display()
            )));
        }
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(fail(format!("cannot create it: {error}"))),
        }
        Ok(Self::Path(path.to_owned()))
    }

    /// A bpffs that no other process sees.
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

    /// The path of a pin. A private directory is reached through this process's descriptor.
    pub(crate) fn pin(&self, name: &str) -> PathBuf {
        match self {
            Self::Path(path) => path.join(name),
            Self::Private(fd) => format!("/proc/self/fd/{}/{name}", fd.as_raw_fd()).into(),
        }
    }

    /// Removes the pins of these names; the directory too, if it is empty then.
    pub(crate) fn remove(&self, names: &[&str]) {
        for name in names {
            let _ = fs::remove_file(self.pin(name));
        }
        if let Self::Path(path) = self {
            let _ = fs::remove_dir(path);
        }
    }
}
