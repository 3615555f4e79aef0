//! Debian's xdp-filter, a stateless filter of addresses.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use libbpf_rs::{MapCore, MapFlags};

use crate::object::BpfObject;
use crate::tuples::octets;

/// A loaded xdp-filter that drops a set of source addresses.
pub(crate) struct XdpFilter {
    object: BpfObject,
    program: OwnedFd,
}

/// Folder of xdp-filter's BPF objects in Debian's package libxdp1.
const OBJECTS: &str = "/usr/lib/x86_64-linux-gnu/bpf";
/// `MAP_FLAG_SRC` of xdp-filter's common_kern_user.h.
const FLAG_SOURCE: u8 = 1;

/// The bpffs of this process; a folder in it outlives the pins.
fn bpffs() -> Result<&'static Path> {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    if ROOT.get().is_none() {
        let _ = ROOT.set(bailey_lab::mount_private_root()?.join("bpf"));
    }
    Ok(ROOT.get().context("no bpffs")?)
}

impl XdpFilter {
    /// Loads the filter with these denied sources.
    pub(crate) fn new(sources: &[IpAddr]) -> Result<Self> {
        let path = Path::new(OBJECTS).join("xdpfilt_alw_ip.o");
        ensure!(
            path.exists(),
            "{} does not exist; install libxdp1",
            path.display()
        );
        let entries = (sources.len() as u32).max(10_000);
        // The prefix has no leading dot, because a bpffs rejects names with a dot.
        let pins = tempfile::Builder::new()
            .prefix("xdp-filter-")
            .tempdir_in(bpffs()?)?;
        let sizes = [("filter_ipv4", entries), ("filter_ipv6", entries)];
        let object = BpfObject::load_file(&path, pins.path(), &sizes)?;
        let maps = [object.map("filter_ipv4")?, object.map("filter_ipv6")?];
        let mut value = vec![0; maps[0].value_size() as usize];
        value[0] = FLAG_SOURCE;
        let values = vec![value; libbpf_rs::num_possible_cpus()?];
        for &source in sources {
            let map = &maps[usize::from(source.is_ipv6())];
            map.update_percpu(&octets(source), &values, MapFlags::ANY)?;
        }
        let program = object.program_fd("xdpfilt_alw_ip")?;
        Ok(Self { object, program })
    }

    pub(crate) fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Packets since the start.
    pub(crate) fn dropped_and_passed(&self) -> Result<[u64; 2]> {
        // The map counts packets by XDP action: 1 is XDP_DROP, 2 is XDP_PASS.
        let sums = self.object.percpu_sums("xdp_stats_map", 5)?;
        Ok([sums[1], sums[2]])
    }
}
