//! RFC 2544 tester: measures the path between two NICs of this machine. AF_XDP sockets send frames
//! through one NIC and receive them from the other. Each frame carries a sequence number and its
//! due time.
//!
//! ```text
//!   procedures (rfc2544) ── trials ── tester ── senders ──► tx NIC ──┐
//!                                        │                     device under test
//!                                        └──── sinks ◄──── rx NIC ───┘
//! ```
#![forbid(unsafe_code)]

/// CPU affinity of threads.
pub mod cpu;
/// Frames: layout, flows, stamps, and the check of arriving frames.
pub mod frame;
/// Sizes of Ethernet frames and headers.
pub mod headers;
/// The component that limits a measurement.
pub mod limit;
/// Mixes of frame sizes, such as IMIX.
pub mod mix;
/// Interfaces: state, speed, PCIe slot, current use.
pub mod port;
/// The procedures of RFC 2544: throughput, frame loss, back-to-back frames, latency.
pub mod rfc2544;
/// Counters and latencies of one receive queue.
mod sink;
/// The tester: interfaces, sockets and trials.
pub mod tester;
/// Loops of the sending and receiving threads.
mod transfer;
/// One trial: load and outcome.
pub mod trial;
