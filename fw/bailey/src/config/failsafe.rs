use serde::{Deserialize, Serialize};

/// `{ cidr = "192.0.2.0/24", port = 22 }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailsafeEntry {
    /// The peers.
    #[serde(with = "crate::prefix::one")]
    pub cidr: ipnet::IpNet,
    /// The port of this side.
    pub port: u16,
    /// TCP, unless it says UDP.
    #[serde(default)]
    pub protocol: FailsafeProtocol,
}

/// Protocols that failsafe entries can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FailsafeProtocol {
    #[default]
    Tcp,
    Udp,
}

#[cfg(target_os = "linux")]
impl FailsafeEntry {
    pub(super) fn datapath(&self) -> bailey_datapath::Failsafe {
        bailey_datapath::Failsafe {
            cidr: self.cidr,
            protocol: match self.protocol {
                FailsafeProtocol::Tcp => bailey_policy::Protocol::TCP,
                FailsafeProtocol::Udp => bailey_policy::Protocol::UDP,
            },
            port: self.port,
        }
    }
}
