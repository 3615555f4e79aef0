//! `failsafe`: peers and local ports that pass regardless of policy.

use std::fmt;
use std::net::IpAddr;

use bailey_policy::Protocol;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One entry of `failsafe`, as `{ cidr = "192.0.2.0/24", port = 22 }`: remote endpoints and a local port
/// that pass in both directions, statelessly and regardless of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failsafe {
    /// The remote endpoints.
    #[serde(with = "crate::prefix::one")]
    pub cidr: IpNet,
    /// The local port; not 0.
    pub port: u16,
    /// TCP (the default) or UDP.
    #[serde(default = "tcp", with = "transport")]
    pub protocol: Protocol,
}

impl fmt::Display for Failsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {} {}", self.cidr, self.port, self.protocol)
    }
}

impl Failsafe {
    /// True if the entry passes a connection from `peer` to the local `port`.
    pub fn covers(&self, peer: IpAddr, protocol: Protocol, port: u16) -> bool {
        self.protocol == protocol && self.port == port && self.cidr.contains(&peer)
    }
}

fn tcp() -> Protocol {
    Protocol::TCP
}

/// `"TCP"` or `"UDP"`.
mod transport {
    use bailey_policy::Protocol;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum Transport {
        Tcp,
        Udp,
    }

    pub(super) fn serialize<S: Serializer>(protocol: &Protocol, to: S) -> Result<S::Ok, S::Error> {
        protocol.to_string().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Protocol, D::Error> {
        Ok(match Transport::deserialize(from)? {
            Transport::Tcp => Protocol::TCP,
            Transport::Udp => Protocol::UDP,
        })
    }
}
