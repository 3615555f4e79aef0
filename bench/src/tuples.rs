use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What tells one packet of a benchmark from the next.
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
    /// As it stands in a frame: addresses and ports.
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

/// An address as it stands in a frame.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// The pod that policies are about, in both families.
pub(crate) const POD: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 255, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
];
/// The port that rules are about.
pub(crate) const PORT: u16 = 80;

/// Packets to the pod, no two alike, in the order that a seed makes: the n-th source is drawn by the
/// caller, the port tells apart what has one source.
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
