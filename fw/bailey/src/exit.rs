use std::process::ExitCode;

/// Exit codes; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Yes, or done.
    Success = 0,
    /// A negative answer.
    Negative = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Invalid policy, inventory, test or configuration.
    Invalid = 3,
    /// Nothing is loaded.
    NotRunning = 4,
    /// Not permitted.
    NotAuthorised = 5,
    /// Refused: it would lock you out.
    LockOut = 6,
    /// It works, and something is wrong.
    Degraded = 9,
    /// The kernel or the NIC lacks a feature.
    Unsupported = 10,
    /// A defect of Bailey.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
