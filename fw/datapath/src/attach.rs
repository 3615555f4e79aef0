//! Programs on interfaces: what an interface lacks, what is attached, what stands on it, and the way back.
//! Uses `program`, `maps`, `kernel`.

/// Programs on interfaces.
pub(crate) mod attachments;
/// The bridge: who is whose other side, and what is lost between them.
pub(crate) mod bridge;
/// The way out: everything off, from the pins alone.
pub(crate) mod detach;
/// Interfaces that are wanted, and what happens to them.
pub mod event;
/// Attaches at once to what comes back.
pub(crate) mod hotplug;
/// Links, made and pinned.
pub(crate) mod links;
/// nftables table that closes configured interfaces without an attached program.
pub mod nft_guard;
/// Settings of NICs that are changed and given back.
pub(crate) mod nic_settings;
/// The machine's own addresses.
pub mod own_addresses;
/// An interface before anything is attached to it.
pub(crate) mod preflight;
/// What is attached, compared with what should be.
mod reconcile;
/// What an interface's refusal means.
pub mod refusal;
/// Interfaces on top of others.
pub(crate) mod stacked;
