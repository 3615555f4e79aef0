//! Frames of the generator.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use etherparse::PacketBuilder;
use ipnet::IpNet;

use crate::policies::address_in;

/// Bytes of each frame, without FCS: the minimum of Ethernet, with room for a stamp.
pub(crate) const FRAME: usize = 64;
pub(crate) type Frame = [u8; FRAME];

/// Address and port of the protected server.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub(crate) const PORT: u16 = 80;
/// MACs of the left and of the right host.
pub(crate) const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 9, 0], [2, 0, 0, 0, 9, 1]];
/// Network of the allowed clients, disjoint from all denied prefixes.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(12, 0, 0, 0);

/// Role of a frame in its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Syn,
    SynAck,
    Ack,
    Datagram,
    Reply,
}

/// Address and port of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
}

/// Distinct clients.
pub(crate) fn clients(count: u32) -> Vec<Client> {
    const PORTS: u32 = 64;
    (0..count)
        .map(|n| Client {
            address: Ipv4Addr::from_bits(CLIENTS.to_bits() + 1 + n / PORTS),
            port: 10_000 + (n % PORTS) as u16,
        })
        .collect()
}

/// SYNs from random addresses of these prefixes.
pub(crate) fn denied(
    prefixes: &[IpNet],
    count: usize,
    random: &mut fastrand::Rng,
) -> Result<Vec<Frame>> {
    (0..count)
        .map(|_| {
            let IpAddr::V4(address) = address_in(&prefixes[random.usize(..prefixes.len())], random)
            else {
                bail!("an IPv6 prefix; the generator sends IPv4 only");
            };
            let port = random.u16(1024..);
            frame(Step::Syn, Client { address, port })
        })
        .collect()
}

/// Builds a frame with valid checksums, because connection tracking verifies them. The UDP checksum
/// is zero, which means none.
pub(crate) fn frame(step: Step, client: Client) -> Result<Frame> {
    let is_reply = matches!(step, Step::SynAck | Step::Reply);
    let mut hosts = MACS;
    let mut addresses = [client.address.octets(), SERVER.octets()];
    let mut ports = [client.port, PORT];
    if is_reply {
        hosts.reverse();
        addresses.reverse();
        ports.reverse();
    }
    let ip = || PacketBuilder::ethernet2(hosts[0], hosts[1]).ipv4(addresses[0], addresses[1], 64);
    let tcp = |sequence| ip().tcp(ports[0], ports[1], sequence, 65_000);
    let mut bytes = Vec::with_capacity(FRAME);
    let built = match step {
        Step::Syn => tcp(0).syn().write(&mut bytes, &[]),
        Step::SynAck => tcp(0).syn().ack(1).write(&mut bytes, &[]),
        Step::Ack => tcp(1).ack(1).write(&mut bytes, &[]),
        Step::Datagram | Step::Reply => {
            let payload = [0; FRAME - 42];
            ip().udp(ports[0], ports[1]).write(&mut bytes, &payload)
        }
    };
    built.context("cannot build a frame")?;
    bytes.resize(FRAME, 0);
    if matches!(step, Step::Datagram | Step::Reply) {
        const UDP_CHECKSUM: usize = 14 + 20 + 6;
        bytes[UDP_CHECKSUM..UDP_CHECKSUM + 2].fill(0);
    }
    Ok(*bytes
        .first_chunk()
        .context("a frame shorter than 64 bytes")?)
}
