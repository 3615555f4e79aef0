//! Compiles a [`Snapshot`](bailey_policy::Snapshot) into [`Tables`], the map images of one
//! generation, and implements the BPF lookup in Rust over the same bytes. No I/O, no clock. Equal
//! snapshots compile to equal tables, byte for byte.
//!
//! ```text
//! policies  -> terms    -> prefixes, peers -> port classes -> matrix    --+
//! endpoints -> groups   -> subjects        -> classes      -> host table  +-> Tables
//!                                                             lpm       --+
//! ```
#![forbid(unsafe_code)]

/// Checks of limits on one generation, and the errors for exceeding them.
pub mod limits;
/// Rule keys and rule ids, stable from one generation to the next.
pub mod rule_ids;
/// The compiled tables: map images and program constants.
pub mod tables;

/// Runs the stages in order.
mod compile;

/// Addresses to class records.
mod classes;
/// Full-length addresses to classes: a hash table with two candidate buckets.
mod host_table;
/// Prefixes to classes: a poptrie.
mod lpm;
/// (subject, peer class, port class) to cells, in deduplicated pages.
mod matrix;
/// Addresses with equal sets of matching terms to peer classes.
mod peers;
/// (protocol, port) to port classes.
mod ports;
/// ipBlocks to a tree of prefixes, each with the set of blocks that contain it.
mod prefixes;
/// Rate limits of rules to token buckets.
mod rate_limits;
/// Sets of isolating policies to subjects.
mod subjects;
/// Peers of all rules to terms; endpoints with equal labels to groups.
mod terms;

/// Stores distinct values once and numbers them.
mod intern;
/// Caches the output of a stage until its input changes.
mod memo;

/// The lookup of `classify.h` and `policy.bpf.c` in Rust.
mod lookup;

pub use bailey_config::CompileLimits;
pub use compile::{Compiler, compile};
pub use limits::CompileError;
pub use rate_limits::token_bucket;
pub use rule_ids::{RuleIds, RuleKey};
pub use tables::{TableParams, TableStats, Tables};
