//! `[inventory]`: prefixes that are declared to hold endpoints.

use serde::{Deserialize, Serialize};

/// `[inventory]`: address ranges that hold endpoints, whether or not an object names the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeclaredPrefixes {
    /// Prefixes in which an address without an object is isolated.
    #[serde(with = "crate::prefix::many")]
    pub isolated: Vec<ipnet::IpNet>,
    /// Do the nodes' `podCIDRs` count as such prefixes?
    pub pod_cidrs: bool,
}

impl Default for DeclaredPrefixes {
    fn default() -> Self {
        Self {
            isolated: Vec::new(),
            pod_cidrs: true,
        }
    }
}
