use std::fmt;
use std::net::IpAddr;

use bailey_bpf::abi;
use bailey_policy::Protocol;
use ipnet::IpNet;

use crate::cidr::CidrWords;

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

    fn entry(&self) -> abi::failsafe_entry {
        let words = CidrWords::from(self.cidr);
        abi::failsafe_entry {
            addr_be: words.addr_be,
            mask_be: words.mask_be,
            port: self.port,
            protocol: self.protocol.0,
            kind: words.kind as u8,
            pad: [0; 4],
        }
    }
}

/// The table as the programs read it.
pub(crate) fn image(entries: &[Failsafe]) -> Vec<u8> {
    let mut table: abi::failsafe = bytemuck::Zeroable::zeroed();
    for (slot, failsafe) in table.entry.iter_mut().zip(entries) {
        *slot = failsafe.entry();
        table.ports[usize::from(failsafe.port / 64)] |= 1 << (failsafe.port % 64);
    }
    bytemuck::bytes_of(&table).to_vec()
}
