use std::fmt;
use std::net::IpAddr;

use bailey_bpf::abi;
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

    fn entry(&self) -> abi::failsafe_entry {
        // IPv4 lies in ::ffff:0:0/96, whose 96 bits are part of the mask.
        let (kind, address, bits) = match self.cidr.trunc() {
            IpNet::V4(net) => (
                abi::KIND_IPV4,
                net.addr().to_ipv6_mapped(),
                96 + u32::from(net.prefix_len()),
            ),
            IpNet::V6(net) => (abi::KIND_IPV6, net.addr(), u32::from(net.prefix_len())),
        };
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        abi::failsafe_entry {
            addr_be: bytemuck::cast(address.octets()),
            mask_be: bytemuck::cast(mask.to_be_bytes()),
            port: self.port,
            protocol: self.protocol.0,
            kind: kind as u8,
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
