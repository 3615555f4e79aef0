//! System calls and kernel objects. Knows Linux, and nothing of Bailey. The only folder with unsafe
//! code.

/// AF_XDP sockets.
pub mod af_xdp;
/// bpf(2), membarrier(2) and thread priority.
pub(crate) mod bpf;
/// Capabilities that loading and attaching require.
pub(crate) mod capabilities;
/// The clocks that the programs read.
pub mod clock;
/// The egress hook of kernels without tcx.
pub(crate) mod clsact;
/// The number of CPUs.
pub(crate) mod cpu;
/// Directories that other users may not change.
pub mod directory;
/// Which mechanism carries the egress program: tcx or clsact.
pub(crate) mod egress;
/// Settings and capabilities of NICs.
pub(crate) mod ethtool;
/// Checks of the kernel's forwarding path besides the route.
pub mod forwarding;
/// Links: attached programs.
pub(crate) mod link;
/// All elements of a map.
#[cfg(feature = "testing")]
pub(crate) mod map_elements;
/// Memory that the kernel can give.
pub(crate) mod memory;
/// Memory mappings of BPF arrays.
pub(crate) mod mmap;
/// Interfaces and addresses, by rtnetlink.
pub mod netlink;
/// Native or generic XDP.
pub(crate) mod xdp_mode;
