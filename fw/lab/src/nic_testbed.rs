use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::namespace::Namespace;
use crate::topology::private_root;
use crate::wire::SIDES;
use crate::wiring::{cable, wait_for_carrier};

/// A machine with two NICs that measures what is between them: a cable, or a device under test.
///
/// ```text
///            ┌─ port1 ─────── left0 ─┐
///     tester ┤                       ├ device
///            └─ port2 ────── right0 ─┘
/// ```
#[derive(Debug)]
pub struct Rack {
    /// Who measures.
    pub tester: Namespace,
    /// Who is measured; without interfaces if it is a cable.
    pub device: Namespace,
    root: PathBuf,
}

/// The interfaces of the tester.
pub const PORTS: [&str; 2] = ["port1", "port2"];

impl Rack {
    /// A tester whose NICs are connected to each other. The calling thread moves into a mount namespace,
    /// as for [`crate::Lab::new`].
    ///
    /// # Errors
    /// Without root or iproute2.
    pub fn of_cable() -> Result<Self> {
        let rack = Self::bare()?;
        let tester = &rack.tester;
        cable(0, (tester, PORTS[0]), (tester, PORTS[1]))?;
        rack.wait();
        Ok(rack)
    }

    /// A tester with a device between its NICs, which does nothing yet.
    ///
    /// # Errors
    /// Without root or iproute2.
    pub fn of_device() -> Result<Self> {
        let rack = Self::bare()?;
        for (side, port) in PORTS.into_iter().enumerate() {
            cable(side, (&rack.tester, port), (&rack.device, SIDES[side]))?;
        }
        rack.wait();
        Ok(rack)
    }

    fn bare() -> Result<Self> {
        let root = private_root()?;
        let rack = Self {
            tester: Namespace::new()?,
            device: Namespace::new()?,
            root,
        };
        // No frames but the tester's.
        for namespace in [&rack.tester, &rack.device] {
            namespace.sysctl("net.ipv6.conf.default.disable_ipv6", "1")?;
        }
        Ok(rack)
    }

    fn wait(&self) {
        wait_for_carrier(&PORTS.map(|port| (&self.tester, port)));
    }

    /// The lab's own directory: empty, in memory, gone with the lab.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
