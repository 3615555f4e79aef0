//! `frames.tunnels`: VXLAN and Geneve, with the peers whose packets are decapsulated.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One entry of `frames.tunnels`, as `{ kind = "vxlan", port = 4789, peers = ["192.0.2.0/24"] }`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// The encapsulation.
    pub kind: TunnelKind,
    /// The destination UDP port.
    pub port: u16,
    /// Prefixes of the remote tunnel endpoints.
    #[serde(with = "crate::prefix::many")]
    pub peers: Vec<IpNet>,
}

/// Encapsulations whose inner packet the parser reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

/// Requires peers and a unique port for every tunnel.
pub(crate) fn check(tunnels: &[Tunnel]) -> Result<(), String> {
    for (at, tunnel) in tunnels.iter().enumerate() {
        let port = tunnel.port;
        if tunnel.peers.is_empty() {
            return Err(format!(
                "frames.tunnels: port {port} has no peers, so no packet would be accepted"
            ));
        }
        if port == 0 || tunnels[..at].iter().any(|other| other.port == port) {
            return Err(format!("frames.tunnels: port {port} is 0 or named twice"));
        }
    }
    Ok(())
}
