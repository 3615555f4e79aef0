//! Interfaces with XDP mode, topology and egress hook.

use serde::{Deserialize, Serialize};

/// An entry of `interfaces`: a name, or a name and an XDP mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InterfaceEntry {
    /// `"eth0"`
    Name(String),
    /// `{ name = "eth0", xdp_mode = "generic" }`
    Full {
        /// The interface's name.
        name: String,
        /// The interface's mode; the top-level `xdp_mode` if absent.
        xdp_mode: Option<XdpMode>,
    },
}

impl InterfaceEntry {
    /// The interface's name.
    pub fn name(&self) -> &str {
        let (Self::Name(name) | Self::Full { name, .. }) = self;
        name
    }

    /// The entry's own mode.
    pub fn xdp_mode(&self) -> Option<XdpMode> {
        match self {
            Self::Name(_) => None,
            Self::Full { xdp_mode, .. } => *xdp_mode,
        }
    }

    /// Refuses names that no interface can have.
    pub(crate) fn check(&self) -> Result<(), String> {
        // ALTIFNAMSIZ, linux/if.h: alternative names count as names too.
        const NAME_MAX: usize = 127;
        let name = self.name();
        let invalid = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > NAME_MAX || name.contains(invalid) {
            return Err(format!(
                "interfaces: {name:?} is not a valid interface name"
            ));
        }
        Ok(())
    }
}

/// An interface that programs are attached to, with everything that `bailey.toml` says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name in this network namespace.
    pub name: String,
    /// The interface's XDP mode.
    pub mode: XdpMode,
    /// Is it external (`sources.external`)?
    pub external: bool,
}

/// How XDP runs on an interface. An interface that refuses the mode is not attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver, before the kernel allocates a packet.
    #[default]
    Native,
    /// In the kernel network stack, after the kernel allocated the packet: any interface, slower.
    Generic,
}

impl XdpMode {
    /// The mode's name in configuration and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// Role of the machine between its interfaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// A node: XDP filters received packets, the egress hook filters sent ones.
    #[default]
    Host,
    /// A bump in the wire: a packet that policy allows on one NIC leaves through the peer port.
    Bridge,
    /// A node whose NICs forward packets among each other in XDP.
    Router,
}

/// Kernel hook that filters egress traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EgressHook {
    /// tcx where the running kernel has tcx, else clsact.
    #[default]
    Auto,
    /// tcx (Linux 6.6 and later); an error on a kernel without tcx.
    Tcx,
    /// A filter of the clsact qdisc.
    Clsact,
}
