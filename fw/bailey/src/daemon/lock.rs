use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Held while a daemon runs; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error("another bailey holds {0}; stop it first, or give this one other [paths]")]
    Held(String),
    /// The file cannot be used.
    #[error("{0}: {1}")]
    File(String, #[source] io::Error),
}

impl Lock {
    /// Takes the lock of a run directory, creating the directory if need be.
    ///
    /// # Errors
    /// If another process has it, or the file cannot be created.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let shown = path.display().to_string();
        fs::create_dir_all(directory).map_err(|e| LockError::File(shown.clone(), e))?;
        let file = File::create(&path).map_err(|e| LockError::File(shown.clone(), e))?;
        Self::of(file, shown)
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
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held(shown)),
            Err(error) => Err(LockError::File(shown, error.into())),
        }
    }

    /// Does a running daemon have the lock of this run directory?
    pub fn is_held(directory: &Path) -> bool {
        File::open(directory.join("lock")).is_ok_and(|file| {
            let attempt = flock(&file, FlockOperation::NonBlockingLockShared);
            attempt == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }
}
