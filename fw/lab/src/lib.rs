//! A lab of network namespaces, for tests and the demo. Not shipped.
//!
//! ```text
//!   outside                     node                        workloads
//!   203.0.113.10   ┌────────┐   203.0.113.1   ┌─────────┐   10.42.0.11   web
//!   198.51.100.20 ─┤ eth0   ├── nic0 ── XDP ──┤ routing ├── 10.42.0.12   db
//!   2001:db8:a::10 └────────┘   2001:db8:a::1 └─────────┘   fd42::11, fd42::12
//!   2001:db8:b::20
//! ```
//!
//! A namespace belongs to a thread and a mount to a private mount namespace. The end of the process
//! therefore ends the lab and leaves nothing on the machine, also after SIGKILL.
#![forbid(unsafe_code)]

/// Traffic in the background while a test changes the firewall.
pub mod background_traffic;
/// Two hosts with two cables, bonded.
pub mod bond_testbed;
/// `bailey run` in a namespace, its log and its queries.
pub mod daemon;
/// Two hosts and a bridge between them, a bump in the wire.
pub mod inline_testbed;
/// A network namespace and its thread.
pub mod namespace;
/// A tester with two NICs, and the device between them.
pub mod nic_testbed;
/// Packets with spoofed sources, from raw sockets.
pub mod raw_packets;
/// Answers against their published schemas.
#[cfg(feature = "schemas")]
pub mod schema;
/// SCTP handshakes over raw sockets.
pub mod sctp;
/// Sizes of storms in CI and under `make soak`.
pub mod soak;
/// The topology above.
pub mod topology;
/// TCP, UDP and ICMP exchanges through the kernel's sockets.
pub mod traffic;
/// Cables: veth pairs, or real NICs that are connected to each other.
mod wiring;

pub use background_traffic::BackgroundTraffic;
pub use daemon::Daemon;
pub use inline_testbed::InlineTestbed;
pub use namespace::Namespace;
pub use nic_testbed::NicTestbed;
pub use raw_packets::SpoofedFlood;
pub use soak::sized;
pub use topology::{Lab, mount_private_root};
pub use traffic::{Observed, Server};
pub use wiring::{add_macvlan, connect, interface_in_slot};
