//! Errors that end the start of the daemon. The command line maps them to exit codes.

use std::io;

use bailey_datapath::DatapathError;
use bailey_state::lock::LockError;

/// The reason why the daemon did not start, or stopped before it installed a generation.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration names no usable set of interfaces.
    #[error("{0}")]
    Configuration(String),
    /// The policies are invalid, and no generation is active.
    #[error("{0}")]
    Policies(String),
    /// Signal handlers could not be installed.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// The run or state directory cannot be used.
    #[error("{0}")]
    Directory(String),
    /// Another daemon holds a lock, or the lock file cannot be used.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The nftables guard could not be changed.
    #[error("{0}")]
    Guard(String),
    /// A signal requested a stop while the daemon waited for interfaces.
    #[error("received a stop signal while waiting for interfaces")]
    Stopped,
    /// The kernel refused the first generation.
    #[error("{0}")]
    Install(String),
    /// The datapath could not be opened or attached.
    #[error("{message}")]
    Datapath {
        /// The failed operation.
        error: DatapathError,
        /// The error's text and the remedy.
        message: String,
    },
}
