//! System calls and objects of the kernel. Knows Linux, and nothing of Bailey's.

/// AF_XDP sockets.
pub mod af_xdp;
/// System calls that no library wraps safely.
pub(crate) mod bpf;
/// What a process must be permitted to do.
pub(crate) mod capabilities;
/// The coarse monotonic clock in ticks, as the programs read it.
pub mod clock;
/// The egress hook of kernels without tcx.
pub(crate) mod clsact;
/// How many CPUs there may be.
pub(crate) mod cpu;
/// Directories that nobody else may change.
pub mod directory;
/// Which mechanism carries the egress program: tcx or clsact.
pub(crate) mod egress;
/// What the kernel's forwarding asks besides the route.
pub mod forwarding;
/// Programs on hooks.
pub(crate) mod link;
/// A BPF map as memory.
pub(crate) mod mmap;
/// Interfaces, as rtnetlink sees them.
pub mod netlink;
/// Native or generic XDP.
pub mod xdp_mode;
