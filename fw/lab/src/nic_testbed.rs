//! A testbed for testers of NICs, as in RFC 2544.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::inline_testbed::SIDES;
use crate::namespace::Namespace;
use crate::topology::mount_private_root;
use crate::wiring::{connect_cable, wait_for_carrier};

/// A tester with two NICs, connected by a cable or by a device under test.
///
/// ```text
///            ┌─ port1 ─────── left0 ─┐
///     tester ┤                       ├ device
///            └─ port2 ────── right0 ─┘
/// ```
#[derive(Debug)]
pub struct NicTestbed {
    /// The machine that sends and measures.
    pub tester: Namespace,
    /// The device under test; without interfaces if a cable connects the NICs.
    pub device: Namespace,
    root: PathBuf,
}

/// The interfaces of the tester.
pub const PORTS: [&str; 2] = ["port1", "port2"];

impl NicTestbed {
    /// A tester whose NICs are connected to each other. The calling thread moves into a mount
    /// namespace, as in [`crate::Lab::new`].
    ///
    /// # Errors
    /// Without root or iproute2.
    pub fn with_cable() -> Result<Self> {
        let testbed = Self::without_cables()?;
        let tester = &testbed.tester;
        connect_cable(0, (tester, PORTS[0]), (tester, PORTS[1]))?;
        testbed.wait();
        Ok(testbed)
    }

    /// A tester with a device between its NICs that does not forward yet.
    ///
    /// # Errors
    /// Without root or iproute2.
    pub fn with_device() -> Result<Self> {
        let testbed = Self::without_cables()?;
        for (side, port) in PORTS.into_iter().enumerate() {
            connect_cable(
                side,
                (&testbed.tester, port),
                (&testbed.device, SIDES[side]),
            )?;
        }
        testbed.wait();
        Ok(testbed)
    }

    fn without_cables() -> Result<Self> {
        let root = mount_private_root()?;
        let testbed = Self {
            tester: Namespace::new()?,
            device: Namespace::new()?,
            root,
        };
        // Keep the kernel from sending frames, such as neighbour discovery.
        for namespace in [&testbed.tester, &testbed.device] {
            namespace.sysctl("net.ipv6.conf.default.disable_ipv6", "1")?;
        }
        Ok(testbed)
    }

    fn wait(&self) {
        wait_for_carrier(&PORTS.map(|port| (&self.tester, port)));
    }

    /// The lab's own directory: empty at first, in memory, removed with the lab.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
