//! The daemon: reads, compiles and installs whenever policies change, until it is told to stop.

/// Changes of the policy paths.
pub mod watch;
/// From files to an installed generation, or a reason why the last one stays.
pub mod reload;
/// Structured log lines.
pub mod log;
/// One daemon per set of pins.
pub mod lock;

mod serve;

pub use serve::serve;
