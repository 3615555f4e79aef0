//! The kernel side of Bailey: [`Datapath`] loads the programs, installs generations of
//! [`Tables`](bailey_compile::Tables), attaches to interfaces, and reads counters and flows.
//! The only crate with unsafe code; each site says why it is sound.

/// Programs on interfaces.
mod attach;
/// Emergency blocks.
pub mod blocks;
/// The bridge: who is whose other side, and what is lost between them.
mod bridge;
/// An interface before anything is attached to it.
mod candidate;
/// What a process must be permitted to do.
mod capabilities;
/// Interfaces that are wanted, and what happens to them.
pub mod change;
/// Prefixes, as the programs compare them.
mod cidr;
/// The coarse monotonic clock in ticks, as the programs read it.
pub mod clock;
/// The egress hook of kernels without tcx.
mod clsact;
/// The control word.
pub mod control;
/// Packets and bytes.
pub mod count;
/// Counters by reason and by rule.
pub mod counters;
/// How many CPUs there may be.
mod cpu;
/// Generations installed one after the other.
pub mod datapath;
/// The way out: everything off, from the pins alone.
mod detach;
/// Directories that nobody else may change.
pub mod directory;
/// What kernel and NICs lack, and what to do.
pub mod doctor;
/// What can go wrong, by operation.
pub mod error;
/// What passes whatever policy says.
pub mod failsafe;
/// [`Failsafe`] entries as the programs read them.
mod failsafe_image;
/// New flows, while there are too many of them.
pub mod flood;
/// [`Flood`] as constants.
mod flood_constants;
/// The secret of the flow table.
mod flow_keys;
/// The flow table, read from outside.
pub mod flow_table;
/// What the kernel's forwarding asks besides the route.
pub mod forwarding;
/// Frames for the probe.
pub mod frame;
/// [`Frames`] as constants.
mod frame_constants;
/// How frames are read.
pub mod frames;
/// Tables that are written once, read back and frozen.
mod frozen;
/// One policy program with its frozen tables.
mod generation;
/// The constants of the programs.
mod globals;
/// Attaches at once to what comes back.
mod guardian;
/// Where flows belong: the hashes of the programs, once more.
pub mod hash;
/// The hooks that programs are attached to.
pub mod hook;
/// Which interface has which counters.
mod interfaces;
/// What the programs make of jiffies.
mod jiffies;
/// Pinned maps compared with what this binary needs.
mod layout;
/// Programs on hooks.
mod link;
/// The maps and their shapes.
mod map_table;
/// A BPF map as memory.
mod mapping;
/// Which network namespace numbers of interfaces belong to.
mod namespace;
/// Interfaces, as rtnetlink sees them.
pub mod netlink;
/// Settings of NICs that are changed and given back.
mod nic;
/// Programs and maps of a loaded object.
mod object;
/// The machine's own addresses.
mod own;
/// Pinned maps, opened in the shape that this binary expects.
mod pinned;
/// Where maps are pinned.
pub mod pins;
/// Verdicts from the loaded program, without side effects.
pub mod probe;
/// Whose programs judge packets, as the kernel tells.
mod protectors;
/// What an interface's refusal means.
pub mod refusal;
/// The attached programs, run on frames of one's own.
pub mod runner;
/// Sizes, timeouts and modes: what is fixed when the maps are created.
pub mod settings;
/// Floods of new flows: the settings.
mod settings_flood;
/// The maps that all generations share, and the attached programs.
mod shared;
/// What is loaded and attached, without a daemon.
pub mod status;
/// Retires what is expired, restamps what is old, and scales idle times with the fill.
pub mod sweep;
/// System calls that no library wraps safely.
mod sys;
/// [`Timeouts`] as constants.
mod timeout_constants;
/// Interfaces on top of others.
mod uppers;
/// Native or generic XDP.
pub mod xdp_mode;
/// AF_XDP sockets.
pub mod xsk;

pub use control::ControlWord;
pub use datapath::{Committed, Datapath, Enforcer};
pub use detach::{Detached, detach};
pub use error::DatapathError;
pub use failsafe::Failsafe;
pub use frames::{Frames, Tunnel, TunnelKind};
pub use guardian::Guardian;
pub use pins::PinDir;
pub use protectors::{Process, Protector, protectors};
pub use settings::{EgressHook, OnPolicyChange, Settings, Timeouts, Topology};
pub use settings_flood::Flood;
pub use sys::{Queues, link_speed, queues, run_first};
pub use uppers::with_uppers;
