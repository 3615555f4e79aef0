//! The daemon: reads, compiles and installs whenever policies change, until it is told to stop.

/// What the daemon knows of itself.
pub mod health;
/// One daemon per set of pins.
pub mod lock;
/// Structured log lines.
pub mod log;
/// From files to an installed generation, or a reason why the last one stays.
pub mod reload;
/// Changes of the policy paths.
pub mod watch;

/// The names that the guard closes.
mod closable;
mod control;
mod error;
mod report;
mod serve;
mod serve_options;
mod start;
mod sweep;

pub use error::ServeError;
pub use serve::serve;
pub use serve_options::RunOptions;
