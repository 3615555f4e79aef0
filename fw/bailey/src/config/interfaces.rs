use serde::{Deserialize, Serialize};

/// An interface: its name alone, or with a mode of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InterfaceEntry {
    /// `"eth0"`
    Name(String),
    /// `{ name = "eth0", xdp_mode = "generic" }`
    Full {
        /// Its name.
        name: String,
        /// Its mode; `xdp_mode` of the top level if absent.
        xdp_mode: Option<XdpMode>,
    },
}

/// How XDP runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver.
    #[default]
    Native,
    /// In the stack, where the driver cannot.
    Generic,
}

/// Where the interfaces stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// NICs of a node that routes to workloads behind it.
    #[default]
    Host,
    /// A bump in the wire between two NICs.
    Bridge,
    /// A node that routes between NICs.
    Router,
}

/// Where what the machine sends is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EgressHook {
    /// tcx where the kernel has it, else clsact.
    #[default]
    Auto,
    /// tcx, or an error.
    Tcx,
    /// A filter of the clsact qdisc.
    Clsact,
}

/// What closes an interface of the configuration while it carries no program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Nothing.
    #[default]
    Off,
    /// A table of nftables.
    Nftables,
}

/// `[boot]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Boot {
    pub without_policy: WithoutPolicy,
}

/// What holds where nothing is in force and the policies are invalid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutPolicy {
    /// Nothing is attached; every packet passes.
    #[default]
    Open,
    /// Programs are attached, and nothing passes but the failsafe.
    FailsafeOnly,
}
