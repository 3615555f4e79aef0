//! `[metrics]`: the exposition for Prometheus.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// `[metrics]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Address and port that serve `/metrics`; empty for none.
    pub listen: String,
    /// Most rules, and most workloads, with series of their own.
    pub rules: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:10911".to_owned(),
            rules: 2000,
        }
    }
}

impl Metrics {
    /// The address to listen on; `None` for none.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.listen.is_empty() || self.address().is_some_and(|address| address.port() != 0) {
            return Ok(());
        }
        Err(format!(
            "metrics.listen = {:?}: must be an address and a port, such as \"127.0.0.1:10911\" or \
             \"[::1]:10911\", or \"\" for none",
            self.listen
        ))
    }
}
