use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::namespace::Namespace;
use crate::topology::{nodad, private_root};
use crate::wiring::cable;

/// A bump in the wire: two hosts of one network, and between them a machine that forwards nothing by
/// itself.
///
/// ```text
///   left                         bump                          right
///   10.9.0.1/24   ┌──────┐                        ┌──────┐   10.9.0.2/24
///   fd09::1/64   ─┤ eth0 ├─ left0 ── XDP ── right0 ┤ eth0 ├─ fd09::2/64
/// ```
#[derive(Debug)]
pub struct Wire {
    /// One side.
    pub left: Namespace,
    /// The machine to test.
    pub bump: Namespace,
    /// The other side.
    pub right: Namespace,
    root: PathBuf,
}

/// The interfaces of the bump.
pub const SIDES: [&str; 2] = ["left0", "right0"];
/// Addresses of the left host.
pub const LEFT: [&str; 2] = ["10.9.0.1", "fd09::1"];
/// Addresses of the right host.
pub const RIGHT: [&str; 2] = ["10.9.0.2", "fd09::2"];

impl Wire {
    /// Builds it. The calling thread moves into a mount namespace, as for [`crate::Lab::new`].
    ///
    /// # Errors
    /// Without root, iproute2 or ethtool.
    pub fn new() -> Result<Self> {
        let root = private_root()?;
        let wire = Self {
            left: Namespace::new()?,
            bump: Namespace::new()?,
            right: Namespace::new()?,
            root,
        };
        // The bump's own stack stays out of it: no addresses, no neighbour discovery.
        wire.bump
            .sysctl("net.ipv6.conf.default.disable_ipv6", "1")?;
        for host in [&wire.left, &wire.right] {
            host.sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
        }
        wire.connect(0)?;
        wire.connect(1)?;
        Ok(wire)
    }

    /// Connects a side, or connects it again after its interface was deleted.
    ///
    /// # Errors
    /// If it is still there.
    pub fn connect(&self, side: usize) -> Result<()> {
        let host = [&self.left, &self.right][side];
        cable(side, (&self.bump, SIDES[side]), (host, "eth0"))?;
        // The same again after a reconnection: neighbours remember.
        host.ip(&format!("link set eth0 address 02:00:00:00:09:0{side}"))?;
        // Without a checksum offload that nobody completes, and with a receive path that takes
        // redirected frames.
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

    /// The lab's own directory: empty, in memory, gone with the lab.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
