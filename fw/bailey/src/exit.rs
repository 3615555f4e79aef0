//! Exit codes, and the only map from errors to them: one exhaustive match per error type. A new error
//! variant does not compile until it has a code.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
use bailey_control::ClientError;
#[cfg(target_os = "linux")]
use bailey_daemon::ServeError;
#[cfg(target_os = "linux")]
use bailey_datapath::DatapathError;
use bailey_policytest::engine::EngineError;
#[cfg(target_os = "linux")]
use bailey_state::lock::LockError;

use crate::error::{CommandError, report_error};

/// Exit codes. The numbers are part of the interface; each has one meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success, or a positive answer.
    Success = 0,
    /// A negative answer: denied, a failed test, a running daemon, a foreign program on the NIC, an
    /// incomplete list.
    Negative = 1,
    /// The command line is wrong, or names an object that does not exist.
    Usage = 2,
    /// Invalid policy, inventory, test or configuration.
    Invalid = 3,
    /// No Bailey is here: no daemon answers, and nothing is loaded.
    NotRunning = 4,
    /// The process lacks a right.
    NotAuthorised = 5,
    /// Refused, because the command would cut off the operator.
    LockOut = 6,
    /// Bailey is here, and something is wrong, such as no enforcement.
    Degraded = 9,
    /// The kernel or the NIC lacks a feature.
    Unsupported = 10,
    /// A defect of Bailey or of the kernel.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints the error of a command, and returns the exit code.
pub(crate) fn end_with(error: &CommandError) -> Exit {
    report_error(error);
    Exit::from(error)
}

impl From<&CommandError> for Exit {
    fn from(error: &CommandError) -> Self {
        match error {
            CommandError::Usage(_) => Self::Usage,
            CommandError::Configuration(_) => Self::Invalid,
            CommandError::Engine(error) | CommandError::EngineInTest { error, .. } => {
                Self::from(error)
            }
            #[cfg(target_os = "linux")]
            CommandError::NoDaemon(_) => Self::NotRunning,
            #[cfg(target_os = "linux")]
            CommandError::Terminal(_) => Self::Negative,
            #[cfg(target_os = "linux")]
            CommandError::LockOut(_) => Self::LockOut,
            #[cfg(target_os = "linux")]
            CommandError::Log(_) => Self::Internal,
            #[cfg(target_os = "linux")]
            CommandError::Archive(..) | CommandError::CaptureRuns(_) => Self::Negative,
            #[cfg(target_os = "linux")]
            CommandError::PinDirectory(..) | CommandError::Guard(_) => Self::NotAuthorised,
            #[cfg(target_os = "linux")]
            CommandError::Datapath(error) => Self::from(error),
            #[cfg(target_os = "linux")]
            CommandError::Lock(error) | CommandError::DaemonRuns(error) => Self::from(error),
            #[cfg(target_os = "linux")]
            CommandError::Client(error) => Self::from(error),
            #[cfg(target_os = "linux")]
            CommandError::IncompleteList(_) => Self::Negative,
        }
    }
}

impl From<&EngineError> for Exit {
    fn from(error: &EngineError) -> Self {
        match error {
            EngineError::Compile(_) => Self::Invalid,
            EngineError::Unavailable(_) => Self::NotAuthorised,
            #[cfg(target_os = "linux")]
            EngineError::Datapath(error) => Self::from(error),
            EngineError::Contradiction { .. } => Self::Internal,
        }
    }
}

#[cfg(target_os = "linux")]
impl From<&DatapathError> for Exit {
    fn from(error: &DatapathError) -> Self {
        // Any variant can wrap an error of the kernel that means a missing right.
        if error.is_permission() {
            return Self::NotAuthorised;
        }
        match error {
            DatapathError::NotPermitted(_) => Self::NotAuthorised,
            DatapathError::Unsupported(_)
            | DatapathError::Memory { .. }
            | DatapathError::NoInterface { .. }
            | DatapathError::Interface { .. } => Self::Unsupported,
            DatapathError::Occupied { .. } => Self::Negative,
            DatapathError::Pins { .. } | DatapathError::Layout { .. } => Self::Invalid,
            DatapathError::NotLoaded(_) => Self::NotRunning,
            DatapathError::Load { .. }
            | DatapathError::Object { .. }
            | DatapathError::Program { .. }
            | DatapathError::Map { .. }
            | DatapathError::ReadBack { .. }
            | DatapathError::System { .. }
            | DatapathError::Probe(_) => Self::Internal,
        }
    }
}

#[cfg(target_os = "linux")]
impl From<&LockError> for Exit {
    fn from(error: &LockError) -> Self {
        match error {
            LockError::Held(..) => Self::Negative,
            LockError::File(..) => Self::NotAuthorised,
        }
    }
}

#[cfg(target_os = "linux")]
impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::BadRequest(_) => Self::Usage,
            ClientError::PermissionDenied => Self::NotAuthorised,
            ClientError::Unreachable(_) | ClientError::Timeout => Self::NotRunning,
            ClientError::Refused(_) | ClientError::Malformed(_) => Self::Internal,
        }
    }
}

#[cfg(target_os = "linux")]
impl From<&ServeError> for Exit {
    fn from(error: &ServeError) -> Self {
        match error {
            ServeError::Configuration(_) | ServeError::Policies(_) => Self::Invalid,
            ServeError::Locked(error) => Self::from(error),
            ServeError::Stopped => Self::Negative,
            ServeError::Directory(_) => Self::NotAuthorised,
            ServeError::Guard(_) => Self::Unsupported,
            ServeError::Signals(_) | ServeError::Install(_) => Self::Internal,
            ServeError::Datapath { error, .. } => Self::from(error),
        }
    }
}
