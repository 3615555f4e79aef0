use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Held while a daemon runs; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("bailey is running already{}: another bailey holds {}; stop it first, or give this one other [paths]", pid(*.1), .0)]
    Held(String, Option<u32>),
    /// The file cannot be used.
    #[error("{0}: {1}")]
    File(String, #[source] io::Error),
}

fn pid(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

impl Lock {
    /// Takes the lock of a run directory, creating the directory if need be.
    ///
    /// # Errors
    /// If another process has it, or the file cannot be created.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let (file, shown) = Self::open(directory, "lock")?;
        let mut lock = Self::of(file, shown.clone()).map_err(|error| match error {
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

    /// Takes the right to change emergency blocks: one process at a time.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn for_blocks(directory: &Path) -> Result<Self, LockError> {
        let (file, shown) = Self::open(directory, "blocks.lock")?;
        Self::of(file, shown)
    }

    fn open(directory: &Path, name: &str) -> Result<(File, String), LockError> {
        let path = directory.join(name);
        let shown = path.display().to_string();
        fs::create_dir_all(directory).map_err(|e| LockError::File(shown.clone(), e))?;
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            // Whoever can open it can hold it.
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|e| LockError::File(shown.clone(), e))?;
        Ok((file, shown))
    }

    /// Takes a directory itself, which must exist: two daemons with different run directories
    /// must not share their pins either.
    ///
    /// # Errors
    /// If another process has it, or the directory cannot be opened.
    pub fn on_directory(directory: &Path) -> Result<Self, LockError> {
        let shown = directory.display().to_string();
        let file = File::open(directory).map_err(|e| LockError::File(shown.clone(), e))?;
        Self::of(file, shown)
    }

    fn of(file: File, shown: String) -> Result<Self, LockError> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = holder_by_table(Path::new(&shown));
                Err(LockError::Held(shown, holder))
            }
            Err(error) => Err(LockError::File(shown, error.into())),
        }
    }

    /// The process that has the lock of this run directory.
    pub fn holder(directory: &Path) -> Option<u32> {
        if !Self::is_held(directory) {
            return None;
        }
        let path = directory.join("lock");
        // Whom the kernel names; where its table calls the file otherwise (overlays), whom the file
        // names, unless that is the process before.
        holder_by_table(&path).or_else(|| {
            let text = fs::read_to_string(&path).ok()?;
            let pid: u32 = text.trim().parse().ok()?;
            let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
            (name(&pid.to_string()) == name("self")).then_some(pid)
        })
    }

    /// Does a running daemon have the lock of this run directory?
    pub fn is_held(directory: &Path) -> bool {
        File::open(directory.join("lock")).is_ok_and(|file| {
            let attempt = flock(&file, FlockOperation::NonBlockingLockShared);
            attempt == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }
}

/// Who holds the lock of a file, in proc_locks(5).
fn holder_by_table(path: &Path) -> Option<u32> {
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
