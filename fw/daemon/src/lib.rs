//! The daemon: reads, compiles and installs policies whenever files change, and keeps interfaces
//! attached. Parses no command line, prints nothing and chooses no exit code: it logs, and returns
//! [`ServeError`].
//!
//! [`serve`] runs the loop: `wake/` tells when to act, `reconcile/` turns files into the active
//! generation, and `bailey_datapath` keeps interfaces attached.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

/// Answers of the control socket.
mod api;
/// Errors that end the start.
mod error;
/// The thread that reads records of packets.
mod events;
/// The thread that writes the flow log.
mod flow_log;
/// The nftables guard: which interfaces it closes.
mod guard;
/// Problems, warnings and interference that `status` shows.
mod health;
/// Checks whether a policy set would cut off the operator's SSH session.
pub mod lockout;
/// Structured log lines.
pub mod logging;
/// A thread that repeats its work until it is dropped.
mod loop_thread;
/// The daemon's numbers as metrics.
mod metrics;
/// Options of one run.
mod options;
/// Which process holds a port.
mod port_holder;
/// The thread that samples all counters.
mod rates;
/// From policy files to the active generation.
pub mod reconcile;
/// Log lines about interfaces, generations and floods.
mod report;
/// The latest sample of all counters, and rates.
mod samples;
/// The daemon's life: start, loop, stop.
mod serve;
/// From a configuration to attached programs.
mod start;
/// The sweeper's thread.
mod sweep;
/// Events that wake the loop: files, interfaces, signals.
mod wake;
/// Readers of changes.
mod watch;

pub use error::ServeError;
pub use options::RunOptions;
pub use serve::serve;
