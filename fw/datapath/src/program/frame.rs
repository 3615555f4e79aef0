//! Frames of the first packet of a connection, as a host would send them. Checksums are zero,
//! because the programs leave them to the kernel network stack.

use std::net::IpAddr;

use bailey_policy::{Connection, Protocol};

/// Frames that firewalls commonly mishandle.
pub mod malformed;

/// Source port of the frames, and identifier of echo requests.
pub const SOURCE_PORT: u16 = 40_000;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const TCP_SYN: u8 = 0x02;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const TTL: u8 = 64;

/// First frame of a connection: a SYN, a datagram, an INIT, an echo request, or eight bytes of
/// another protocol.
///
/// # Panics
/// If the addresses are of different families.
pub fn opening(connection: &Connection) -> Vec<u8> {
    let payload = match connection.protocol {
        Protocol::TCP => tcp(SOURCE_PORT, connection.port, TCP_SYN),
        Protocol::UDP => udp(SOURCE_PORT, connection.port),
        Protocol::SCTP => sctp(SOURCE_PORT, connection.port),
        Protocol::ICMP if connection.source.is_ipv4() => echo(ECHO_REQUEST_V4),
        Protocol::ICMPV6 if connection.source.is_ipv6() => echo(ECHO_REQUEST_V6),
        _ => vec![0; 8],
    };
    ip(
        connection.source,
        connection.destination,
        connection.protocol,
        &payload,
    )
}

/// A TCP segment without data.
pub fn tcp(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&source.to_be_bytes());
    segment[2..4].copy_from_slice(&destination.to_be_bytes());
    segment[12] = 5 << 4;
    segment[13] = flags;
    segment
}

/// A UDP datagram without data.
pub fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut datagram = vec![0; 8];
    datagram[..2].copy_from_slice(&source.to_be_bytes());
    datagram[2..4].copy_from_slice(&destination.to_be_bytes());
    datagram[4..6].copy_from_slice(&8_u16.to_be_bytes());
    datagram
}

/// An SCTP packet with an empty INIT chunk.
pub fn sctp(source: u16, destination: u16) -> Vec<u8> {
    let mut packet = vec![0; 32];
    packet[..2].copy_from_slice(&source.to_be_bytes());
    packet[2..4].copy_from_slice(&destination.to_be_bytes());
    packet[12] = 1;
    packet[14..16].copy_from_slice(&20_u16.to_be_bytes());
    packet
}

/// An ICMP or ICMPv6 echo message with this type.
pub fn echo(kind: u8) -> Vec<u8> {
    let mut message = vec![0; 8];
    message[0] = kind;
    message[4..6].copy_from_slice(&SOURCE_PORT.to_be_bytes());
    message
}

/// An Ethernet frame that contains an IP packet.
///
/// # Panics
/// If the addresses are of different families.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = destination_mac(destination).to_vec();
    frame.extend([2, 0, 0, 0, 0, 1]);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend(ETHERTYPE_IPV4.to_be_bytes());
            let total = 20 + payload.len() as u16;
            frame.extend([0x45, 0]);
            frame.extend(total.to_be_bytes());
            frame.extend([0, 0, 0, 0, TTL, protocol.0, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            frame.extend(ETHERTYPE_IPV6.to_be_bytes());
            frame.extend([0x60, 0, 0, 0]);
            frame.extend((payload.len() as u16).to_be_bytes());
            frame.extend([protocol.0, TTL]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        _ => panic!("{source} and {destination} are of different families"),
    }
    frame.extend(payload);
    frame
}

/// Destination MAC address of a packet: multicast, broadcast (RFC 1112, 2464), or an arbitrary
/// unicast address.
fn destination_mac(destination: IpAddr) -> [u8; 6] {
    match destination {
        IpAddr::V4(address) if address.is_broadcast() => [0xff; 6],
        IpAddr::V4(address) if address.is_multicast() => {
            let [_, b, c, d] = address.octets();
            [0x01, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(address) if address.is_multicast() => {
            let [.., a, b, c, d] = address.octets();
            [0x33, 0x33, a, b, c, d]
        }
        _ => [2, 0, 0, 0, 0, 2],
    }
}
