use std::process::ExitCode;

#[cfg(target_os = "linux")]
use bailey_daemon::ServeError;
#[cfg(target_os = "linux")]
use bailey_datapath::DatapathError;
#[cfg(target_os = "linux")]
use bailey_state::lock::LockError;

/// Exit codes; the numbers are part of the interface, and each means one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Yes, or done.
    Success = 0,
    /// A negative answer: denied, a test failed, another Bailey runs or has the NIC, a list that was cut.
    Negative = 1,
    /// The command line is wrong, or names what there is not.
    Usage = 2,
    /// Invalid policy, inventory, test or configuration.
    Invalid = 3,
    /// No Bailey is here: no daemon answers and nothing is loaded.
    NotRunning = 4,
    /// Not permitted.
    NotAuthorised = 5,
    /// Refused: it would lock you out.
    LockOut = 6,
    /// It is here, and something is wrong; nothing enforced is one of it.
    Degraded = 9,
    /// The kernel or the NIC lacks a feature.
    Unsupported = 10,
    /// A defect of Bailey, or of the kernel.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(target_os = "linux")]
impl From<&DatapathError> for Exit {
    fn from(error: &DatapathError) -> Self {
        if error.is_permission() {
            return Self::NotAuthorised;
        }
        match error {
            DatapathError::NotPermitted(_) => Self::NotAuthorised,
            DatapathError::Unsupported(_)
            | DatapathError::NoInterface { .. }
            | DatapathError::Interface { .. } => Self::Unsupported,
            DatapathError::Occupied { .. } => Self::Negative,
            DatapathError::Pins { .. } | DatapathError::Layout { .. } => Self::Invalid,
            DatapathError::NotLoaded(_) => Self::NotRunning,
            DatapathError::Load { .. }
            | DatapathError::Program { .. }
            | DatapathError::Map { .. }
            | DatapathError::ReadBack { .. }
            | DatapathError::System { .. }
            | DatapathError::Probe(_) => Self::Internal,
        }
    }
}

#[cfg(target_os = "linux")]
impl From<&ServeError> for Exit {
    fn from(error: &ServeError) -> Self {
        match error {
            ServeError::Configuration(_) | ServeError::Policies(_) => Self::Invalid,
            ServeError::Locked(LockError::Held(..)) | ServeError::Stopped => Self::Negative,
            ServeError::Locked(LockError::File(..)) | ServeError::Directory(_) => {
                Self::NotAuthorised
            }
            ServeError::Guard(_) => Self::Unsupported,
            ServeError::Signals(_) | ServeError::Install(_) => Self::Internal,
            ServeError::Datapath { error, .. } => Self::from(error),
        }
    }
}
