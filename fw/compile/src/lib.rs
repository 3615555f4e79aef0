//! [`Snapshot`](bailey_policy::Snapshot) in, [`Tables`] out: the map images of one generation,
//! and the Rust twin of the BPF lookup over the same bytes. Pure: no I/O, no clock, and equal
//! snapshots make equal tables, byte for byte.
//!
//! The stages, each a module, in the order of the data:
#![forbid(unsafe_code)]

/// What does not fit, and by how much.
pub mod limits;
/// Rule identities and their numbers, stable from one generation to the next.
pub mod rule_ids;
/// The images, and what the programs must be told with them.
pub mod tables;

/// The stages put together.
mod compile;
/// Full-length addresses -> class, in a two-choice table.
mod host_table;
/// Values stored once, numbered in the order of their arrival.
mod intern;
/// Prefixes -> class, in a poptrie.
mod lpm;
/// (subject, peer, port class) -> cell, in pages that are stored once.
mod matrix;
/// What a stage made, as long as what it is made of stays the same.
mod memo;
/// Terms that match an address -> peer class.
mod peers;
/// (protocol, port) -> port class.
mod ports;
/// ipBlocks -> a tree of prefixes, each with the set of blocks that hold there.
mod prefixes;
/// CompileLimits of rules -> token buckets.
mod rate_limits;
/// Policies that isolate an endpoint -> subjects.
mod subjects;
/// Peers of all rules -> terms; endpoints with equal labels -> groups.
mod terms;

/// The Rust twin of `class.h`.
mod lookup;

pub use bailey_config::Limits;
pub use compile::{Compiler, compile};
pub use limits::{CompileError, CompileLimits};
pub use rule_ids::{RuleIds, RuleKey};
pub use tables::{TableParams, TableStats, Tables};
