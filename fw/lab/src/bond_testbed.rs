//! A testbed for bonds: two hosts with two cables.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::namespace::Namespace;
use crate::topology::{mount_private_root, nodad};
use crate::wiring::{connect_cable, wait_for_carrier};

/// Two hosts with two cables between them, bonded, and a VLAN on the bond. The kernel needs the
/// modules `bonding` and `8021q`, which the kernels of the virtual machines have.
///
/// ```text
///   outside                                           node
///   10.8.0.2/24  bond0.100 ─ bond0 ┬ port0 ── nic0 ┬ bond0 ─ bond0.100  10.8.0.1/24
///   fd08::2/64                     └ port1 ── nic1 ┘                    fd08::1/64
/// ```
#[derive(Debug)]
pub struct BondTestbed {
    /// The other host.
    pub outside: Namespace,
    /// The machine to protect.
    pub node: Namespace,
    root: PathBuf,
}

/// Addresses of the node, on its VLAN.
pub const NODE: [&str; 2] = ["10.8.0.1", "fd08::1"];
/// Addresses of the other host.
pub const OUTSIDE: [&str; 2] = ["10.8.0.2", "fd08::2"];

/// ethtool: VLAN tags are part of the frame.
const TAGS_INLINE: [&str; 2] = ["-K port0 txvlan off", "-K port1 txvlan off"];

impl BondTestbed {
    /// Builds the testbed with a mode of the bonding driver: `active-backup` or `802.3ad`.
    ///
    /// # Errors
    /// Without root, iproute2, bonding or 8021q.
    pub fn new(mode: &str) -> Result<Self> {
        let lab = Self {
            root: mount_private_root()?,
            outside: Namespace::new()?,
            node: Namespace::new()?,
        };
        for host in [&lab.node, &lab.outside] {
            host.sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
        }
        for (index, tags_inline) in TAGS_INLINE.into_iter().enumerate() {
            let nic = format!("nic{index}");
            let port = format!("port{index}");
            connect_cable(index, (&lab.node, &nic), (&lab.outside, &port))?;
            // A veth would carry tags in the metadata of the packet, where XDP does not see them. A
            // real NIC always sends tags in the frame, and may refuse the option.
            let _ = lab.outside.command("ethtool", tags_inline);
        }
        create_bond(&lab.node, ["nic0", "nic1"], mode, NODE)?;
        create_bond(&lab.outside, ["port0", "port1"], mode, OUTSIDE)?;
        Ok(lab)
    }

    /// Waits until both cables have carrier, after attaching an XDP program has reset a NIC.
    pub fn wait_for_carrier(&self) {
        wait_for_carrier(&[(&self.node, "nic0"), (&self.node, "nic1")]);
    }

    /// The state of both bonds, as the bonding driver reports it.
    pub fn state(&self) -> String {
        let read = || std::fs::read_to_string("/proc/thread-self/net/bonding/bond0");
        let both = [&self.node, &self.outside].map(|host| host.run(read));
        both.into_iter()
            .map(|text| text.unwrap_or_else(|error| error.to_string()))
            .collect()
    }

    /// The lab's own directory: empty at first, in memory, removed with the lab.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn create_bond(host: &Namespace, ports: [&str; 2], mode: &str, addresses: [&str; 2]) -> Result<()> {
    let fast = if mode == "802.3ad" {
        "lacp_rate fast"
    } else {
        ""
    };
    host.ip(&format!(
        "link add bond0 type bond mode {mode} miimon 50 {fast}"
    ))?;
    for port in ports {
        host.ip(&format!("link set {port} down"))?;
        host.ip(&format!("link set {port} master bond0"))?;
    }
    if mode == "active-backup" {
        // Both ends must choose the same cable.
        let [first, _] = ports;
        host.ip(&format!("link set bond0 type bond primary {first}"))?;
    }
    host.ip("link set bond0 up")?;
    host.ip("link add link bond0 name bond0.100 type vlan id 100")?;
    for address in addresses {
        let bits = if address.contains(':') { 64 } else { 24 };
        host.ip(&format!(
            "address add {address}/{bits} dev bond0.100 {}",
            nodad(address)
        ))?;
    }
    host.ip("link set bond0.100 up")
}
