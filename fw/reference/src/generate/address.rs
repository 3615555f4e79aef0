//! Addresses and ports from small pools.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Generator;

pub(super) const IPV4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(10, 1, 0, 9),
    Ipv4Addr::new(10, 2, 0, 9),
    Ipv4Addr::new(10, 3, 0, 9),
];
/// Special addresses, most of which no host has.
const SPECIAL_IPV4: [Ipv4Addr; 9] = [
    Ipv4Addr::new(169, 254, 0, 9),
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::new(0, 0, 0, 1),
    Ipv4Addr::LOCALHOST,
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(240, 0, 0, 1),
    Ipv4Addr::BROADCAST,
];
pub(super) const IPV6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0xfd02, 0, 0, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0xfd03, 0, 0, 0, 0, 0, 0, 9),
];
const SPECIAL_IPV6: [Ipv6Addr; 11] = [
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::LOCALHOST,
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfebf, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a00, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3),
    Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 0xa),
];
const PORTS: [u16; 10] = [80, 81, 53, 67, 68, 546, 547, 4789, 6081, 40000];
/// Source and destination ports of DHCP, and a pair that is not DHCP.
const DHCP: [(u16, u16); 5] = [(67, 68), (68, 67), (546, 547), (547, 546), (67, 67)];

impl Generator {
    pub(super) fn ipv4_address(&mut self) -> Ipv4Addr {
        match self.random.below(32) {
            0 => Ipv4Addr::from_bits((self.random.next() >> 32) as u32),
            1..3 => self.random.pick(&SPECIAL_IPV4),
            _ => self.random.pick(&self.pools.ipv4),
        }
    }

    pub(super) fn ipv6_address(&mut self) -> Ipv6Addr {
        match self.random.below(32) {
            0 => Ipv6Addr::from_bits(
                u128::from(self.random.next()) << 64 | u128::from(self.random.next()),
            ),
            1..3 => self.random.pick(&SPECIAL_IPV6),
            _ => self.random.pick(&self.pools.ipv6),
        }
    }

    /// A source of MLD messages.
    pub(super) fn listener_address(&mut self) -> Ipv6Addr {
        self.random
            .pick(&[SPECIAL_IPV6[0], SPECIAL_IPV6[5], SPECIAL_IPV6[6]])
    }

    pub(super) fn port(&mut self) -> u16 {
        if self.random.one_in(16) {
            self.random.short()
        } else {
            self.random.pick(&PORTS)
        }
    }

    pub(super) fn dhcp_ports(&mut self) -> (u16, u16) {
        self.random.pick(&DHCP)
    }
}
