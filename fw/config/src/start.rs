//! The state before the first policy: `guard`, `[boot]`, `[watch]`.

use serde::{Deserialize, Serialize};

/// Protection of a configured interface that carries no program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// None.
    #[default]
    Off,
    /// A table of nftables drops the interface's traffic.
    Nftables,
}

/// `[boot]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boot {
    /// Enforcement while no generation is active and the policies are invalid.
    pub without_policy: WithoutPolicy,
}

/// Enforcement while no generation is active and the policies are invalid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutPolicy {
    /// No program is attached; every packet passes.
    #[default]
    Open,
    /// Programs are attached; only the failsafe passes.
    FailsafeOnly,
}

/// `[watch]`: how the daemon follows changes of `policies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// Milliseconds without a further change before files are read.
    pub settle_ms: u64,
    /// Milliseconds between two looks at the files without any event; at least 1.
    pub rescan_ms: u64,
    /// Milliseconds that a writer may keep a file open before the file is read anyway.
    pub write_timeout_ms: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            settle_ms: 20,
            rescan_ms: 2_000,
            write_timeout_ms: 30_000,
        }
    }
}
