//! Advisory locks between processes: one daemon per set of pins, one writer of emergency blocks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A lock that one process holds. The kernel releases it when the process ends for any reason.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// The reason why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock: the path, and its process id if known.
    #[error(
        "bailey is already running{}: another bailey holds {}; \
         stop it first, or configure other [paths] for this one",
        pid_suffix(*.1),
        .0
    )]
    Held(String, Option<u32>),
    /// The lock file cannot be used.
    #[error("{0}: {1}")]
    File(String, #[source] io::Error),
}

fn pid_suffix(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

impl Lock {
    /// Takes the lock of a run directory. Creates the directory if it does not exist.
    ///
    /// # Errors
    /// If another process holds the lock, or the file cannot be created.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let (file, shown) = Self::open(directory, "lock")?;
        let mut lock = Self::try_lock(file, shown.clone()).map_err(|error| match error {
            LockError::Held(shown, _) => LockError::Held(shown, Self::holder(directory)),
            other => other,
        })?;
        let written = lock
            .file
            .set_len(0)
            .and_then(|()| writeln!(lock.file, "{}", std::process::id()));
        written.map_err(|e| LockError::File(shown, e))?;
        Ok(lock)
    }

    /// Takes the lock for changes of emergency blocks.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_for_blocks(directory: &Path) -> Result<Self, LockError> {
        Self::take_named(directory, "blocks.lock")
    }

    /// Takes the lock of the process that captures frames.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_for_capture(directory: &Path) -> Result<Self, LockError> {
        Self::take_named(directory, "capture.lock")
    }

    fn take_named(directory: &Path, name: &str) -> Result<Self, LockError> {
        let (file, shown) = Self::open(directory, name)?;
        Self::try_lock(file, shown)
    }

    fn open(directory: &Path, name: &str) -> Result<(File, String), LockError> {
        let path = directory.join(name);
        let shown = path.display().to_string();
        fs::create_dir_all(directory).map_err(|e| LockError::File(shown.clone(), e))?;
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            // A process that can open the file can lock it.
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|e| LockError::File(shown.clone(), e))?;
        Ok((file, shown))
    }

    /// Locks an existing directory. Locks the pins, because two daemons with different run
    /// directories must not share them.
    ///
    /// # Errors
    /// If another process holds the lock, or the directory cannot be opened.
    pub fn take_directory(directory: &Path) -> Result<Self, LockError> {
        let shown = directory.display().to_string();
        let file = File::open(directory).map_err(|e| LockError::File(shown.clone(), e))?;
        Self::try_lock(file, shown)
    }

    fn try_lock(file: File, shown: String) -> Result<Self, LockError> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = find_holder(Path::new(&shown));
                Err(LockError::Held(shown, holder))
            }
            Err(error) => Err(LockError::File(shown, error.into())),
        }
    }

    /// The process that holds the lock of a run directory.
    pub fn holder(directory: &Path) -> Option<u32> {
        if !Self::is_held(directory) {
            return None;
        }
        let path = directory.join("lock");
        // The kernel's lock table comes first. On overlay file systems it has another inode, so the
        // pid in the file is the fallback. That pid may belong to an earlier daemon; a process with
        // the same name as ours is accepted.
        find_holder(&path).or_else(|| {
            let text = fs::read_to_string(&path).ok()?;
            let pid: u32 = text.trim().parse().ok()?;
            let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
            (name(&pid.to_string()) == name("self")).then_some(pid)
        })
    }

    /// True if a running daemon holds the lock of a run directory.
    pub fn is_held(directory: &Path) -> bool {
        File::open(directory.join("lock")).is_ok_and(|file| {
            let attempt = flock(&file, FlockOperation::NonBlockingLockShared);
            attempt == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }
}

/// The process that locks a file, according to proc_locks(5).
fn find_holder(path: &Path) -> Option<u32> {
    let metadata = fs::metadata(path).ok()?;
    let (major, minor) = (
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
    );
    let file = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, of, ..] if *of == file => pid.parse().ok(),
            _ => None,
        }
    })
}
