//! Prefixes in the form that the programs compare: address and mask, big-endian.

use bailey_bpf::abi;
use ipnet::IpNet;

/// A prefix as two pairs of big-endian words.
pub(crate) struct CidrWords {
    /// `KIND_IPV4` or `KIND_IPV6`.
    pub(crate) kind: u32,
    pub(crate) addr_be: [u64; 2],
    pub(crate) mask_be: [u64; 2],
}

impl From<IpNet> for CidrWords {
    fn from(net: IpNet) -> Self {
        // IPv4 is mapped to ::ffff:0:0/96; these 96 bits are part of the mask.
        let (kind, address, bits) = match net.trunc() {
            IpNet::V4(net) => (
                abi::KIND_IPV4,
                net.addr().to_ipv6_mapped(),
                96 + u32::from(net.prefix_len()),
            ),
            IpNet::V6(net) => (abi::KIND_IPV6, net.addr(), u32::from(net.prefix_len())),
        };
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        Self {
            kind,
            addr_be: bytemuck::cast(address.octets()),
            mask_be: bytemuck::cast(mask.to_be_bytes()),
        }
    }
}
