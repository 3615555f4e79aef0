//! Tuples of addresses and ports, which distinguish the packets of a benchmark.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses and ports of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) source_port: u16,
    pub(crate) port: u16,
}

/// Bytes of `struct tuple` of mutate.bpf.c.
pub(crate) const TUPLE: usize = 40;

impl Tuple {
    /// Addresses and ports in frame layout, for mutate.bpf.c.
    pub(crate) fn bytes(&self) -> [u8; TUPLE] {
        let mut bytes = [0; TUPLE];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        for address in [self.source, self.destination] {
            put(&octets(address));
        }
        for port in [self.source_port, self.port] {
            put(&port.to_be_bytes());
        }
        bytes
    }
}

/// An address in network byte order.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// Addresses of the pod that the policies select, IPv4 and IPv6.
pub(crate) const POD: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 255, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
];
/// The port that the rules allow.
pub(crate) const PORT: u16 = 80;

/// Tuples of `count` packets to the pod, in random order. The caller chooses the n-th source
/// address; the source port distinguishes packets with the same address.
pub(crate) fn tuples_to_pod(
    count: usize,
    port: u16,
    random: &mut fastrand::Rng,
    mut source: impl FnMut(&mut fastrand::Rng, usize) -> IpAddr,
) -> Vec<Tuple> {
    let mut tuples: Vec<Tuple> = (0..count)
        .map(|n| {
            let source = source(random, n);
            Tuple {
                source,
                destination: POD[usize::from(source.is_ipv6())],
                source_port: 1024 + (n % 64_000) as u16,
                port,
            }
        })
        .collect();
    random.shuffle(&mut tuples);
    tuples
}
