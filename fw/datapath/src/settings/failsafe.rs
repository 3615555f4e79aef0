use std::fmt;
use std::net::IpAddr;

use bailey_policy::Protocol;
use ipnet::IpNet;

/// A peer and a port of this side that are always let through, both legs, without state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Failsafe {
    /// The peers.
    pub cidr: IpNet,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port of this side.
    pub port: u16,
}

impl fmt::Display for Failsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {} {}", self.cidr, self.port, self.protocol)
    }
}

impl Failsafe {
    /// Does it let a connection from this peer to this port through?
    pub fn covers(&self, peer: IpAddr, protocol: Protocol, port: u16) -> bool {
        self.protocol == protocol && self.port == port && self.cidr.contains(&peer)
    }
}
