//! A testbed for the bridge: a machine between two hosts.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::namespace::Namespace;
use crate::topology::{mount_private_root, nodad};
use crate::wiring::connect_cable;

/// Two hosts of one network, and between them a bump in the wire: a machine whose kernel forwards
/// nothing.
///
/// ```text
///   left                         bump                          right
///   10.9.0.1/24   ┌──────┐                        ┌──────┐   10.9.0.2/24
///   fd09::1/64   ─┤ eth0 ├─ left0 ── XDP ── right0 ┤ eth0 ├─ fd09::2/64
/// ```
#[derive(Debug)]
pub struct InlineTestbed {
    /// The host on the left side.
    pub left: Namespace,
    /// The machine under test.
    pub bump: Namespace,
    /// The host on the right side.
    pub right: Namespace,
    root: PathBuf,
}

/// The interfaces of the bump.
pub const SIDES: [&str; 2] = ["left0", "right0"];
/// Addresses of the left host.
pub const LEFT: [&str; 2] = ["10.9.0.1", "fd09::1"];
/// Addresses of the right host.
pub const RIGHT: [&str; 2] = ["10.9.0.2", "fd09::2"];

impl InlineTestbed {
    /// Builds the testbed. The calling thread moves into a mount namespace, as in
    /// [`crate::Lab::new`].
    ///
    /// # Errors
    /// Without root, iproute2 or ethtool.
    pub fn new() -> Result<Self> {
        let root = mount_private_root()?;
        let testbed = Self {
            left: Namespace::new()?,
            bump: Namespace::new()?,
            right: Namespace::new()?,
            root,
        };
        // The kernel network stack of the bump stays passive: no addresses, no neighbour discovery.
        testbed
            .bump
            .sysctl("net.ipv6.conf.default.disable_ipv6", "1")?;
        for host in [&testbed.left, &testbed.right] {
            host.sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
        }
        testbed.connect(0)?;
        testbed.connect(1)?;
        Ok(testbed)
    }

    /// Connects a side, or connects it again after its interface was deleted.
    ///
    /// # Errors
    /// If the interface still exists.
    pub fn connect(&self, side: usize) -> Result<()> {
        let host = [&self.left, &self.right][side];
        connect_cable(side, (&self.bump, SIDES[side]), (host, "eth0"))?;
        // The same address after a reconnection, because neighbours cache it.
        host.ip(&format!("link set eth0 address 02:00:00:00:09:0{side}"))?;
        // Without checksum offload, because XDP redirects frames before a checksum is completed.
        // With GRO, which enables the receive path that takes redirected frames.
        host.command("ethtool", "-K eth0 tx off gro on")?;
        for address in [LEFT, RIGHT][side] {
            let bits = if address.contains(':') { 64 } else { 24 };
            host.ip(&format!(
                "address add {address}/{bits} dev eth0 {}",
                nodad(address)
            ))?;
        }
        Ok(())
    }

    /// The lab's own directory: empty at first, in memory, removed with the lab.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
