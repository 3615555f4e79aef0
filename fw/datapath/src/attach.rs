//! Programs on interfaces: what an interface lacks, what is attached, what stands on it, and the way back.
//! Uses `program`, `maps`, `kernel`.

/// Programs on interfaces.
pub(crate) mod attachments;
/// The bridge: who is whose other side, and what is lost between them.
pub(crate) mod bridge;
/// An interface before anything is attached to it.
pub(crate) mod candidate;
/// Interfaces that are wanted, and what happens to them.
pub mod change;
/// The way out: everything off, from the pins alone.
pub(crate) mod detach;
/// Attaches at once to what comes back.
pub(crate) mod guardian;
/// Links, made and pinned.
pub(crate) mod links;
/// nftables table that closes configured interfaces without an attached program.
pub mod nft_guard;
/// Settings of NICs that are changed and given back.
pub(crate) mod nic;
/// The machine's own addresses.
pub mod own;
/// What an interface's refusal means.
pub mod refusal;
/// What is attached, compared with what should be.
mod tend;
/// Interfaces on top of others.
pub(crate) mod uppers;
