//! Errors of the datapath: one variant per failed operation, with the object as data.

use std::io;
use std::path::PathBuf;

/// A failed operation and its object.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// The pin directory cannot be used.
    #[error("pin directory {path}: {message}")]
    Pins {
        /// The directory.
        path: PathBuf,
        /// Problem and remedy.
        message: String,
    },
    /// No maps are pinned in the directory.
    #[error("nothing is loaded: no maps are pinned under {0}")]
    NotLoaded(PathBuf),
    /// A pinned map has another shape than this binary expects.
    #[error("pinned map {name}: {message}")]
    Layout {
        /// The map.
        name: &'static str,
        /// The difference.
        message: String,
    },
    /// An object could not be loaded.
    #[error("cannot load {object}: {source}")]
    Load {
        /// File name of the object.
        object: &'static str,
        /// Cause.
        source: Box<aya::EbpfError>,
    },
    /// An object and the maps that it addresses directly do not fit together.
    #[error("cannot load {object}: {message}")]
    Object {
        /// File name of the object.
        object: &'static str,
        /// The difference.
        message: String,
    },
    /// There is no memory for the maps of two layouts at once.
    #[error(
        "the upgrade needs the flow tables of both versions at once: {needed_mib} MiB more, and \
         {available_mib} MiB of memory are available; nothing has changed, the attached programs \
         of the former version continue; free memory and start again"
    )]
    Memory {
        /// For the new maps and the upgrade itself.
        needed_mib: u64,
        /// `MemAvailable` of /proc/meminfo.
        available_mib: u64,
    },
    /// A program was refused by the verifier or is missing.
    #[error("cannot load program {name}: {source}")]
    Program {
        /// Name of the program.
        name: &'static str,
        /// Cause.
        source: Box<aya::programs::ProgramError>,
    },
    /// A map operation failed.
    #[error("map {name}: {operation}: {source}")]
    Map {
        /// The map.
        name: String,
        /// The operation.
        operation: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// A table in the kernel differs from the written bytes.
    #[error("map {name}: read back differs from what was written")]
    ReadBack {
        /// The map.
        name: String,
    },
    /// A system call failed.
    #[error("{operation}: {source}")]
    System {
        /// The operation.
        operation: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The kernel or an interface lacks a feature.
    #[error("{0}")]
    Unsupported(String),
    /// The process lacks a capability; the text names it.
    #[error("{0}")]
    NotPermitted(String),
    /// An interface does not exist.
    #[error("interface {interface}: no such interface; `ip link` lists the existing ones")]
    NoInterface {
        /// Name of the interface.
        interface: String,
    },
    /// An interface refused a program.
    #[error("interface {interface}: {message}")]
    Interface {
        /// The interface.
        interface: String,
        /// Cause and remedy.
        message: String,
    },
    /// Another program occupies the hook.
    #[error("interface {interface}: {message}")]
    Occupied {
        /// The interface.
        interface: String,
        /// The program, and the remedy.
        message: String,
    },
    /// The probe was refused or did not answer.
    #[error("probe: {0}")]
    Probe(String),
}

/// Whether an error, or a cause of it, is a lack of permission.
pub(crate) fn is_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

impl DatapathError {
    /// Whether the cause is a lack of permission.
    pub fn is_permission(&self) -> bool {
        if matches!(self, Self::NotPermitted(_)) {
            return true;
        }
        is_denied(self)
    }

    /// The error's text; where the process lacks a right, with the right that it lacks.
    pub fn with_missing_right(&self) -> String {
        let is_named = matches!(self, Self::NotPermitted(_));
        if self.is_permission() && !is_named {
            return format!(
                "{self}: not permitted; the process lacks CAP_BPF, or the directory belongs to another \
                 user: run as root"
            );
        }
        self.to_string()
    }

    pub(crate) fn map(
        name: &str,
        operation: &'static str,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let name = name.to_owned();
        move |source| Self::Map {
            name,
            operation,
            source,
        }
    }

    pub(crate) fn program(
        name: &'static str,
    ) -> impl FnOnce(aya::programs::ProgramError) -> Self + use<> {
        move |source| Self::Program {
            name,
            source: Box::new(source),
        }
    }
}

/// The error for a map or program that an object lacks.
pub(crate) fn missing(name: &str) -> DatapathError {
    let source = io::Error::from(io::ErrorKind::NotFound);
    DatapathError::Map {
        name: name.to_owned(),
        operation: "find in the object",
        source,
    }
}

/// The error for a map that has another kind than expected, or refuses an operation.
pub(crate) fn unusable<E>(name: &'static str) -> impl FnOnce(E) -> DatapathError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| DatapathError::Map {
        name: name.to_owned(),
        operation: "use",
        source: io::Error::other(error),
    }
}
