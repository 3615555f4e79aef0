use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use etherparse::PacketBuilder;
use ipnet::IpNet;

use crate::policies::address_in;

/// Bytes of each frame, without the check sequence: the shortest that Ethernet has, and room for a stamp.
pub(crate) const FRAME: usize = 64;
pub(crate) type Frame = [u8; FRAME];

/// Who is protected, and the port that policy is about.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub(crate) const PORT: u16 = 80;
/// The interfaces of the left and of the right host.
pub(crate) const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 9, 0], [2, 0, 0, 0, 9, 1]];
/// Where allowed clients are: denied prefixes are elsewhere.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(12, 0, 0, 0);

/// What a frame of a flow does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Syn,
    SynAck,
    Ack,
    Datagram,
    Answer,
}

/// The n-th of many clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
}

/// As many, no two alike.
pub(crate) fn clients(count: u32) -> Vec<Client> {
    const PORTS: u32 = 64;
    (0..count)
        .map(|n| Client {
            address: Ipv4Addr::from_bits(CLIENTS.to_bits() + 1 + n / PORTS),
            port: 10_000 + (n % PORTS) as u16,
        })
        .collect()
}

/// SYNs from anywhere in these prefixes.
pub(crate) fn denied(
    prefixes: &[IpNet],
    count: usize,
    random: &mut fastrand::Rng,
) -> Result<Vec<Frame>> {
    (0..count)
        .map(|_| {
            let IpAddr::V4(address) = address_in(&prefixes[random.usize(..prefixes.len())], random)
            else {
                bail!("an IPv6 prefix");
            };
            let port = random.u16(1024..);
            frame(Step::Syn, Client { address, port })
        })
        .collect()
}

/// With all checksums right: those who track connections verify them. That of UDP is left out.
pub(crate) fn frame(step: Step, client: Client) -> Result<Frame> {
    let answers = matches!(step, Step::SynAck | Step::Answer);
    let mut hosts = MACS;
    let mut addresses = [client.address.octets(), SERVER.octets()];
    let mut ports = [client.port, PORT];
    if answers {
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
        Step::Datagram | Step::Answer => {
            let payload = [0; FRAME - 42];
            ip().udp(ports[0], ports[1]).write(&mut bytes, &payload)
        }
    };
    built.context("cannot build a frame")?;
    bytes.resize(FRAME, 0);
    if matches!(step, Step::Datagram | Step::Answer) {
        const UDP_CHECKSUM: usize = 14 + 20 + 6;
        bytes[UDP_CHECKSUM..UDP_CHECKSUM + 2].fill(0);
    }
    Ok(*bytes.first_chunk().context("a short frame")?)
}
