//! Tuples and segments of TCP connections to the pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_datapath::program::frame;
use bailey_policy::Protocol;

use crate::policies::rule_prefix;
use crate::tuples::{POD, PORT, Tuple};

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;

/// A TCP segment to the pod; the mutator overwrites its tuple.
pub(super) fn segment(ipv6: bool, flags: u8) -> Vec<u8> {
    let pod = POD[usize::from(ipv6)];
    frame::ip(pod, pod, Protocol::TCP, &frame::tcp(1, PORT, flags))
}

/// Tuples of distinct connections from the prefixes of `rules` rules.
pub(super) fn connections(
    count: usize,
    rules: usize,
    ipv6: bool,
    random: &mut fastrand::Rng,
) -> Vec<Tuple> {
    const HOSTS: usize = 32;
    let mut tuples: Vec<Tuple> = (0..count)
        .map(|n| {
            let (prefix, host) = (rule_prefix(n % rules, ipv6), n / rules % HOSTS);
            let source = match prefix.network() {
                IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() + host as u32).into(),
                IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() + host as u128).into(),
            };
            Tuple {
                source,
                destination: POD[usize::from(ipv6)],
                source_port: 1024 + (n / rules / HOSTS) as u16,
                port: PORT,
            }
        })
        .collect();
    random.shuffle(&mut tuples);
    tuples
}
