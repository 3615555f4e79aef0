//! A lab of network namespaces, for tests and the demo; never shipped.
//!
//! ```text
//!   outside                     node                        workloads
//!   203.0.113.10   ┌────────┐   203.0.113.1   ┌─────────┐   10.42.0.11   web
//!   198.51.100.20 ─┤ eth0   ├── nic0 ── XDP ──┤ routing ├── 10.42.0.12   db
//!   2001:db8:a::10 └────────┘   2001:db8:a::1 └─────────┘   fd42::11, fd42::12
//!   2001:db8:b::20
//! ```
//!
//! Namespaces belong to threads and mounts to a private mount namespace, so whatever ends the
//! process ends the lab: nothing is left on the machine, also after SIGKILL.
#![forbid(unsafe_code)]

/// Two hosts with two cables, bonded.
pub mod bonded;
/// `bailey run` in the node's namespace.
pub mod daemon;
/// A network namespace and the thread that lives in it.
pub mod namespace;
/// A tester with two NICs, and what it measures.
pub mod rack;
/// SCTP without the kernel's.
pub mod sctp;
/// Sizes of storms in CI and under `make soak`.
pub mod soak;
/// Packets from nowhere.
pub mod spoof;
/// Traffic that goes on meanwhile.
pub mod steady;
/// The topology above.
pub mod topology;
/// Real TCP, UDP and ICMP.
pub mod traffic;
/// Two hosts and the bump between them.
pub mod wire;
/// Cables: veth pairs, or real cards that are wired to each other.
mod wiring;

pub use daemon::Daemon;
pub use namespace::Namespace;
pub use rack::Rack;
pub use soak::sized;
pub use spoof::Flood;
pub use steady::Steady;
pub use topology::{Lab, private_root};
pub use traffic::{Observed, Server};
pub use wire::Wire;
pub use wiring::{connect, interface_of_slot, move_macvlan};
