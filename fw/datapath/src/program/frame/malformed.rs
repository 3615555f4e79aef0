//! Frames that firewalls commonly mishandle: tags, extension headers, fragments, chosen sequence
//! numbers.

use std::net::IpAddr;

use bailey_policy::Protocol;

use crate::program::frame;

const ETHERTYPE: usize = 12;

/// An Ethernet frame with this EtherType and payload.
pub fn ethernet(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend([2, 0, 0, 0, 0, 2]);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A frame with VLAN tags (EtherType, TCI), outermost first.
pub fn tagged(untagged: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = untagged[..ETHERTYPE].to_vec();
    for (ethertype, tci) in tags {
        frame.extend(ethertype.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(&untagged[ETHERTYPE..]);
    frame
}

/// A TCP segment without data.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields of the header")]
pub struct TcpSegment {
    pub source: u16,
    pub destination: u16,
    pub flags: u8,
    pub sequence: u32,
    pub ack: u32,
}

impl TcpSegment {
    /// The segment in wire format.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = frame::tcp(self.source, self.destination, self.flags);
        bytes[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ack.to_be_bytes());
        bytes
    }
}

/// An SCTP packet with one chunk of the length of an INIT.
pub fn sctp_chunk(
    source: u16,
    destination: u16,
    tag: u32,
    kind: u8,
    flags: u8,
    initiate: u32,
) -> Vec<u8> {
    let mut packet = frame::sctp(source, destination);
    packet[4..8].copy_from_slice(&tag.to_be_bytes());
    packet[12] = kind;
    packet[13] = flags;
    packet[16..20].copy_from_slice(&initiate.to_be_bytes());
    packet
}

/// An IPv6 packet with extension headers, each given as its protocol number and bytes. The first
/// byte of each, the next header, is filled in.
///
/// # Panics
/// If an address is not IPv6.
pub fn ipv6_chain(
    source: IpAddr,
    destination: IpAddr,
    headers: &[(u8, Vec<u8>)],
    protocol: Protocol,
    payload: &[u8],
) -> Vec<u8> {
    let numbers = headers.iter().map(|(number, _)| *number);
    let mut numbers = numbers.chain([protocol.0]);
    let first = numbers.next().expect("at least the protocol");
    let mut bytes = Vec::new();
    for ((_, header), next) in headers.iter().zip(numbers) {
        bytes.push(next);
        bytes.extend(&header[1..]);
    }
    bytes.extend(payload);
    frame::ip(source, destination, Protocol(first), &bytes)
}

/// Position of a fragment in a packet.
#[derive(Debug, Clone, Copy)]
pub struct Fragment {
    /// Identification of the packet.
    pub id: u32,
    /// Offset in bytes, a multiple of 8.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
}

/// A fragment that contains these bytes of a packet's payload.
///
/// # Panics
/// If the addresses are of different families.
pub fn fragment(
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    fragment: Fragment,
    bytes: &[u8],
) -> Vec<u8> {
    if source.is_ipv6() {
        let mut header = vec![0, 0];
        header.extend((fragment.offset | u16::from(fragment.more)).to_be_bytes());
        header.extend(fragment.id.to_be_bytes());
        return ipv6_chain(source, destination, &[(44, header)], protocol, bytes);
    }
    let mut frame = frame::ip(source, destination, protocol, bytes);
    frame[18..20].copy_from_slice(&(fragment.id as u16).to_be_bytes());
    let word = (fragment.offset / 8) | if fragment.more { 0x2000 } else { 0 };
    frame[20..22].copy_from_slice(&word.to_be_bytes());
    frame
}
