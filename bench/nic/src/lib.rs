//! Measures what lies between two NICs of this machine, as RFC 2544 says: frames leave through one by
//! AF_XDP and come back through the other, numbered, with the time at which they were due.
//!
//! ```text
//!   procedures (rfc2544) ── trials ── tester ── senders ──► tx NIC ──┐
//!                                        │                     what is measured
//!                                        └──── sinks ◄──── rx NIC ───┘
//! ```
#![forbid(unsafe_code)]

/// Where threads run.
pub mod cpu;
/// What a frame looks like, and what is told by one that arrives.
pub mod frame;
/// What holds a measurement back.
pub mod limit;
/// Sizes of frames, and mixes of them.
pub mod mix;
/// An interface that is to be used.
pub mod port;
/// Throughput, loss, bursts and latency, made of trials.
pub mod rfc2544;
/// What has arrived of a trial.
mod sink;
/// Sends and receives.
pub mod tester;
/// One measurement, and its outcome.
pub mod trial;
