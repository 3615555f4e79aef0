//! Attached programs: preflight, attaching, reconciliation, NIC settings, detaching. Uses
//! `program`, `maps` and `kernel`.

/// The programs on one interface, as a state machine.
pub(crate) mod attachment;
/// The programs on all interfaces: adopting, attaching, replacing.
pub(crate) mod attachments;
/// Peer ports of a bridge, and counting of frames lost between them.
pub(crate) mod bridge;
/// Detach: removes every program using only the pins; needs no daemon.
pub(crate) mod detach;
/// Interfaces to attach to, and events about them.
pub mod event;
/// Immediate attaching to interfaces that appear.
pub(crate) mod hotplug;
/// Creating and pinning of links.
pub(crate) mod links;
/// nftables table that closes configured interfaces without an attached program.
pub mod nft_guard;
/// NIC settings that are changed while programs are attached.
pub(crate) mod nic_settings;
/// The machine's own addresses.
pub mod own_addresses;
/// Checks of an interface and of the kernel before attaching.
pub(crate) mod preflight;
/// Comparison of attached programs with the configuration, and repair.
mod reconcile;
/// Errors of interfaces that refuse a program.
pub mod refusal;
/// Reports each condition once.
mod reporter;
/// VLAN, bond, bridge and macvlan devices stacked on attached interfaces.
pub(crate) mod stacked;
