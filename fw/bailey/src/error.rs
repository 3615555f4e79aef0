//! The errors that end a command, and their text for the operator. `exit.rs` maps them to exit codes.

#[cfg(target_os = "linux")]
use std::io;
use std::path::PathBuf;

#[cfg(target_os = "linux")]
use bailey_control::ClientError;
#[cfg(target_os = "linux")]
use bailey_datapath::DatapathError;
#[cfg(target_os = "linux")]
use bailey_datapath::attach::nft_guard;
use bailey_policytest::engine::EngineError;
#[cfg(target_os = "linux")]
use bailey_source::diagnostic::replace_control_chars;
#[cfg(target_os = "linux")]
use bailey_state::lock::LockError;

use crate::output::stderr_line;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The command line is wrong, or names an object that does not exist.
    Usage(String),
    /// The configuration cannot be read or is invalid.
    Configuration(String),
    /// An engine could not evaluate.
    Engine(EngineError),
    /// An engine could not evaluate a PolicyTest.
    EngineInTest {
        /// File of the test.
        file: PathBuf,
        /// The cause.
        error: EngineError,
    },
    /// The block would cut off the operator.
    #[cfg(target_os = "linux")]
    LockOut(String),
    /// The log cannot be written.
    #[cfg(target_os = "linux")]
    Log(String),
    /// The pin directory cannot be examined.
    #[cfg(target_os = "linux")]
    PinDirectory(PathBuf, io::Error),
    /// The table of the guard cannot be removed.
    #[cfg(target_os = "linux")]
    Guard(io::Error),
    /// Another process captures: its id, if known.
    #[cfg(target_os = "linux")]
    CaptureRuns(Option<u32>),
    /// The archive or the captured frames cannot be written.
    #[cfg(target_os = "linux")]
    Archive(PathBuf, io::Error),
    /// The datapath failed.
    #[cfg(target_os = "linux")]
    Datapath(DatapathError),
    /// A lock is not available.
    #[cfg(target_os = "linux")]
    Lock(LockError),
    /// The daemon holds its lock although it was killed.
    #[cfg(target_os = "linux")]
    DaemonRuns(LockError),
    /// The daemon sends nothing to the console.
    #[cfg(target_os = "linux")]
    NoDaemon(String),
    /// The terminal failed.
    #[cfg(target_os = "linux")]
    Terminal(io::Error),
    /// The daemon refused the request.
    #[cfg(target_os = "linux")]
    Client(ClientError),
    /// The daemon's answer ended early, after a part of the list was printed.
    #[cfg(target_os = "linux")]
    IncompleteList(ClientError),
}

impl From<EngineError> for CommandError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

#[cfg(target_os = "linux")]
impl From<DatapathError> for CommandError {
    fn from(error: DatapathError) -> Self {
        Self::Datapath(error)
    }
}

#[cfg(target_os = "linux")]
impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

/// Prints an error with its remedy to standard error.
pub(crate) fn report_error(error: &CommandError) {
    match error {
        CommandError::Usage(message) | CommandError::Configuration(message) => {
            stderr_line!("error: {message}");
        }
        CommandError::Engine(error @ EngineError::Unavailable(_)) => stderr_line!(
            "error: {error}; needs CAP_SYS_ADMIN and CAP_BPF: run as root, or use --engine tables"
        ),
        CommandError::Engine(error) => stderr_line!("error: {error}"),
        CommandError::EngineInTest { file, error } => {
            stderr_line!("error: {}: {error}", file.display());
        }
        #[cfg(target_os = "linux")]
        CommandError::LockOut(message) => stderr_line!("error: {message}"),
        #[cfg(target_os = "linux")]
        CommandError::Log(message) => stderr_line!("error: cannot log: {message}"),
        #[cfg(target_os = "linux")]
        CommandError::Archive(path, error) => {
            stderr_line!("error: cannot write {}: {error}", path.display());
        }
        #[cfg(target_os = "linux")]
        CommandError::CaptureRuns(process) => stderr_line!(
            "error: another bailey capture runs{}; one at a time: stop it first",
            process.map_or_else(String::new, |process| format!(" (pid {process})"))
        ),
        #[cfg(target_os = "linux")]
        CommandError::PinDirectory(path, error) => stderr_line!(
            "error: {}: {error}; needs CAP_DAC_READ_SEARCH and CAP_BPF: run as root",
            path.display()
        ),
        #[cfg(target_os = "linux")]
        CommandError::Guard(error) => stderr_line!(
            "error: the guard stays: {error}; remove it by hand: nft list tables, \
             nft delete table inet NAME"
        ),
        #[cfg(target_os = "linux")]
        CommandError::Datapath(error) => report_datapath_error(error),
        #[cfg(target_os = "linux")]
        CommandError::Lock(error) => stderr_line!("error: {error}"),
        #[cfg(target_os = "linux")]
        CommandError::DaemonRuns(error) => {
            stderr_line!("error: {error}; the daemon could not be stopped");
        }
        #[cfg(target_os = "linux")]
        CommandError::NoDaemon(sentence) => stderr_line!("error: {sentence}"),
        #[cfg(target_os = "linux")]
        CommandError::Terminal(error) => stderr_line!("error: the terminal: {error}"),
        #[cfg(target_os = "linux")]
        CommandError::Client(error) => stderr_line!("error: {error}"),
        #[cfg(target_os = "linux")]
        CommandError::IncompleteList(error) => {
            stderr_line!("error: {error}; the list is not complete");
        }
    }
}

/// Prints an error of the datapath. If no maps are pinned, also names the guard and other Baileys: the
/// operator may have meant one of them.
#[cfg(target_os = "linux")]
fn report_datapath_error(error: &DatapathError) {
    stderr_line!("error: {}", error.with_missing_right());
    let DatapathError::NotLoaded(pins) = error else {
        return;
    };
    if nft_guard::is_loaded(pins) {
        stderr_line!(
            "note: the guard is active: packets through the configured interfaces are dropped, except the \
             failsafe; `bailey detach --yes-unfiltered` removes the guard"
        );
    }
    for protector in bailey_datapath::protected_interfaces().unwrap_or_default() {
        let protector = replace_control_chars(&protector.to_string());
        stderr_line!("note: {protector}; use --config to query that bailey");
    }
}
