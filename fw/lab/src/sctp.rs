//! SCTP handshakes (RFC 9260) over raw sockets, which need no SCTP in the kernel.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::namespace::Namespace;
use crate::traffic::{Observed, SILENCE, observed};

const SCTP: i32 = 132;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
/// The bytes of a packet up to its initiate tag: common header, chunk header, tag.
const LEAST_BYTES: usize = 20;

/// Answers each INIT to a port of one address with an INIT ACK, until the process ends.
///
/// # Errors
/// Without CAP_NET_RAW.
pub fn serve(namespace: &Namespace, address: IpAddr, port: u16) -> Result<()> {
    let socket = namespace.run(move || open_raw(address));
    let socket = socket.with_context(|| format!("raw socket on {address}"))?;
    thread::spawn(move || {
        while let Ok((packet, from)) = receive(&socket) {
            if let Some(init) = Chunk::read(&packet, INIT).filter(|chunk| chunk.to == port) {
                let answer = build_packet(INIT_ACK, port, init.from, init.tag);
                let _ = socket.send_to(&answer, SocketAddr::new(from, 0));
            }
        }
    });
    Ok(())
}

/// Sends an INIT and waits for the INIT ACK.
pub fn connect(namespace: &Namespace, source: IpAddr, destination: SocketAddr) -> Observed {
    const PORT: u16 = 36_412;
    let result = namespace.run(move || {
        let socket = open_raw(source)?;
        let deadline = Instant::now() + SILENCE;
        let init = build_packet(INIT, PORT, destination.port(), 0);
        socket.send_to(&init, SocketAddr::new(destination.ip(), 0))?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            socket.set_read_timeout(Some(left))?;
            let (packet, from) = receive(&socket)?;
            let answers = |chunk: Chunk| chunk.to == PORT && chunk.from == destination.port();
            if from == destination.ip() && Chunk::read(&packet, INIT_ACK).is_some_and(answers) {
                return Ok(());
            }
        }
    });
    observed(result)
}

/// Opens a raw socket. As a `UdpSocket` it has all methods that are needed here.
fn open_raw(address: IpAddr) -> std::io::Result<UdpSocket> {
    let at = SocketAddr::new(address, 0);
    let protocol = Some(Protocol::from(SCTP));
    let socket = Socket::new(Domain::for_address(at), Type::RAW, protocol)?;
    socket.bind(&at.into())?;
    Ok(socket.into())
}

/// Receives a packet; returns it without its IP header, and its sender.
fn receive(socket: &UdpSocket) -> std::io::Result<(Vec<u8>, IpAddr)> {
    let mut packet = vec![0; 2048];
    let (length, from) = socket.recv_from(&mut packet)?;
    packet.truncate(length);
    if from.is_ipv4() && length > 0 {
        let header = usize::from(packet[0] & 0x0f) * 4;
        packet.drain(..header.min(length));
    }
    Ok((packet, from.ip()))
}

/// The fields of an INIT or INIT ACK.
struct Chunk {
    from: u16,
    to: u16,
    tag: u32,
}

impl Chunk {
    fn read(packet: &[u8], kind: u8) -> Option<Self> {
        let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        (packet.len() >= LEAST_BYTES && packet[12] == kind).then(|| Self {
            from: port(0),
            to: port(2),
            tag: u32::from_be_bytes([packet[16], packet[17], packet[18], packet[19]]),
        })
    }
}

/// Builds a packet with one INIT or INIT ACK.
fn build_packet(kind: u8, from: u16, to: u16, tag: u32) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    // The chunk: tag, window, streams out and in, first TSN.
    packet.extend([kind, 0, 0, 20]);
    packet.extend(0x0b1e_u32.to_be_bytes());
    packet.extend(65_536_u32.to_be_bytes());
    packet.extend([0, 1, 0, 1]);
    packet.extend(1_u32.to_be_bytes());
    let checksum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet
}

/// Computes the CRC32c (RFC 9260, appendix A), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let by_bit = |crc: u32| (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| by_bit(crc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_matches_its_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
