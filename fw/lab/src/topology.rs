//! The topology of the lab: external hosts, a node and its workloads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::namespace::Namespace;
use crate::wiring::{connect, connect_cable, wait_for_carrier};

/// External hosts, a node and its workloads, connected as in the crate's drawing.
#[derive(Debug)]
pub struct Lab {
    /// The external clients and servers, beyond the NIC.
    pub outside: Namespace,
    /// The machine that Bailey protects.
    pub node: Namespace,
    /// The workloads behind the node, by name.
    pub workloads: BTreeMap<&'static str, Namespace>,
    root: PathBuf,
}

/// The external interface of the node.
pub const NIC: &str = "nic0";

/// Mount points for the lab's own file system, which only its threads see. The lab takes the first
/// one that does not hide the program itself.
const ROOTS: [&str; 3] = ["/mnt", "/media", "/srv"];

const OUTSIDE: [&str; 4] = [
    "203.0.113.10/24",
    "198.51.100.20/24",
    "2001:db8:a::10/64",
    "2001:db8:b::20/64",
];
const NODE: [&str; 4] = [
    "203.0.113.1/24",
    "198.51.100.1/24",
    "2001:db8:a::1/64",
    "2001:db8:b::1/64",
];
const WORKLOADS: [(&str, &str, &str); 2] = [
    ("web", "10.42.0.11", "fd42::11"),
    ("db", "10.42.0.12", "fd42::12"),
];

impl Lab {
    /// Builds the lab. The calling thread moves into a private mount namespace, with an empty file
    /// system at [`Self::root`] and a bpffs in it.
    ///
    /// # Errors
    /// Without root, or without iproute2.
    pub fn new() -> Result<Self> {
        let root = mount_private_root()?;
        let outside = Namespace::new()?;
        let node = Namespace::new()?;
        for setting in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            node.sysctl(setting, "1")?;
        }
        connect_nic(&node, &outside)?;
        outside.sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
        node.sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
        let mut workloads = BTreeMap::new();
        for (name, v4, v6) in WORKLOADS {
            let workload = Namespace::new()?;
            connect(&node, name, &workload, "eth0")?;
            node.ip(&format!("route add {v4}/32 dev {name}"))?;
            node.ip(&format!("-6 route add {v6}/128 dev {name}"))?;
            node.ip(&format!("address add 169.254.1.1/32 dev {name}"))?;
            node.ip(&format!("address add fe80::1/64 dev {name} nodad"))?;
            workload.ip(&format!("address add {v4}/32 dev eth0"))?;
            workload.ip(&format!("address add {v6}/128 dev eth0 nodad"))?;
            workload.ip("route add 169.254.1.1 dev eth0")?;
            workload.ip("route add default via 169.254.1.1 dev eth0")?;
            workload.ip("-6 route add default via fe80::1 dev eth0")?;
            workload.sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
            workloads.insert(name, workload);
        }
        Ok(Self {
            outside,
            node,
            workloads,
            root,
        })
    }

    /// Adds a new NIC in place of a deleted one.
    ///
    /// # Errors
    /// If the old NIC still exists.
    pub fn reconnect(&self) -> Result<()> {
        connect_nic(&self.node, &self.outside)
    }

    /// Waits until the NIC has carrier, after attaching an XDP program has reset it.
    pub fn wait_for_carrier(&self) {
        wait_for_carrier(&[(&self.node, NIC), (&self.outside, "eth0")]);
    }

    /// The lab's own directory: empty at first, in memory, removed with the lab.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The namespace of a workload.
    ///
    /// # Panics
    /// If the lab has no workload with this name.
    pub fn workload(&self, name: &str) -> &Namespace {
        &self.workloads[name]
    }
}

/// Connects the NIC, and adds its addresses and routes.
fn connect_nic(node: &Namespace, outside: &Namespace) -> Result<()> {
    connect_cable(0, (node, NIC), (outside, "eth0"))?;
    for address in NODE {
        node.ip(&format!(
            "address add {address} dev {NIC} {}",
            nodad(address)
        ))?;
    }
    for address in OUTSIDE {
        outside.ip(&format!(
            "address add {address} dev eth0 {}",
            nodad(address)
        ))?;
    }
    outside.ip("route add 10.42.0.0/24 via 203.0.113.1")?;
    outside.ip("route add fd42::/64 via 2001:db8:a::1")?;
    Ok(())
}

pub(crate) fn nodad(address: &str) -> &'static str {
    if address.contains(':') { "nodad" } else { "" }
}

fn free_root() -> Result<PathBuf> {
    let needed = [std::env::current_exe()?, std::env::current_dir()?];
    let free = |root: &Path| root.is_dir() && !needed.iter().any(|path| path.starts_with(root));
    let found = ROOTS.into_iter().map(PathBuf::from).find(|root| free(root));
    found.with_context(|| {
        format!(
            "no mount point for the lab: one of {ROOTS:?} must exist and not contain this program"
        )
    })
}

/// Mounts a directory in memory with a bpffs at `bpf`. Only this thread, and the threads that it
/// starts from now on, see the mounts.
///
/// # Errors
/// Without root.
pub fn mount_private_root() -> Result<PathBuf> {
    let root = free_root()?;
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).context("cannot create a mount namespace; root is needed")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make mounts private")?;
    mount(Some("lab"), &root, Some("tmpfs"), MsFlags::empty(), none)
        .with_context(|| format!("cannot mount a tmpfs at {}", root.display()))?;
    let bpf = root.join("bpf");
    fs::create_dir(&bpf)?;
    mount(Some("lab"), &bpf, Some("bpf"), MsFlags::empty(), none)
        .context("cannot mount a bpffs")?;
    Ok(root)
}
