//! The daemon: reads, compiles and installs policies whenever files change, and keeps interfaces attached.
//! Knows no command line, prints nothing and picks no exit code: it logs, and returns [`ServeError`].
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

/// Answers of the control socket.
mod api;
/// Names of interfaces that the guard closes.
mod closable;
/// Why the daemon did not start.
mod error;
/// Problems, warnings and interference that `status` shows.
pub mod health;
/// Checks whether a policy set would cut off the operator's SSH session.
pub mod lockout;
/// Structured log lines.
pub mod logging;
/// Options of one run.
mod options;
/// From files to an installed generation.
pub mod reconcile;
/// Log lines about interfaces, generations and floods.
mod report;
/// The daemon's life: start, loop, stop.
mod serve;
/// From a configuration to attached programs.
mod start;
/// The sweeper's thread.
mod sweep;
/// Events that wake the loop: files, interfaces, signals.
pub mod wake;

pub use error::ServeError;
pub use options::RunOptions;
pub use serve::serve;
