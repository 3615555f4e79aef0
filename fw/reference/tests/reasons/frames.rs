//! Builders of frames, and assertions about their reasons.

use std::net::IpAddr;

use bailey_reference::{Frames, Packet, Parsed, Tunnel, TunnelKind, parse};

pub(crate) const A4: [u8; 4] = [10, 0, 0, 1];
pub(crate) const B4: [u8; 4] = [10, 1, 0, 9];
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SYN: u8 = 0x02;

pub(crate) fn a6() -> [u8; 16] {
    address("fd00::1")
}

pub(crate) fn b6() -> [u8; 16] {
    address("fd01::9")
}

pub(crate) fn address(text: &str) -> [u8; 16] {
    match text.parse().unwrap() {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => panic!("{text} is not an IPv6 address"),
    }
}

pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    ethernet_to([2, 0, 0, 0, 0, 1], ethertype, payload)
}

pub(crate) fn ethernet_to(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend([2, 0, 0, 0, 0, 2]);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) struct Ipv4 {
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) fragment: u16,
    pub(crate) options: Vec<u8>,
}

pub(crate) fn ipv4(protocol: u8) -> Ipv4 {
    Ipv4 {
        source: A4,
        destination: B4,
        ttl: 64,
        protocol,
        fragment: 0,
        options: Vec::new(),
    }
}

impl Ipv4 {
    pub(crate) fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let total = (header + payload.len()) as u16;
        let mut packet = vec![0x40 | (header / 4) as u8, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 7]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(&self.options);
        packet.extend(payload);
        packet
    }

    pub(crate) fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(0x0800, &self.packet(payload))
    }
}

pub(crate) struct Ipv6 {
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) hop_limit: u8,
    pub(crate) next: u8,
}

pub(crate) fn ipv6(next: u8) -> Ipv6 {
    Ipv6 {
        source: a6(),
        destination: b6(),
        hop_limit: 64,
        next,
    }
}

impl Ipv6 {
    pub(crate) fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([self.next, self.hop_limit]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(payload);
        packet
    }

    pub(crate) fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(0x86dd, &self.packet(payload))
    }
}

pub(crate) fn tcp(flags: u8) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags];
    segment.extend([0; 6]);
    segment
}

pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = source.to_be_bytes().to_vec();
    datagram.extend(destination.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

pub(crate) fn icmp(kind: u8, identifier: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend([0, 1]);
    message.extend(payload);
    message
}

/// An extension header of 8 bytes.
pub(crate) fn extension(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

pub(crate) fn fragment_header(next: u8, field: u16) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend(field.to_be_bytes());
    header.extend([0, 0, 0, 7]);
    header
}

pub(crate) fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn tunnels() -> Frames {
    let peers = vec!["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()];
    Frames {
        vlan_zones: true,
        tunnels: vec![
            Tunnel {
                kind: TunnelKind::Vxlan,
                port: 4789,
                peers: peers.clone(),
            },
            Tunnel {
                kind: TunnelKind::Geneve,
                port: 6081,
                peers,
            },
        ],
        ..Frames::default()
    }
}

pub(crate) fn vxlan(frame: &[u8]) -> Vec<u8> {
    ipv4(UDP).frame(&udp(1, 4789, &concat(&[&[8, 0, 0, 0, 0, 0, 1, 0], frame])))
}

pub(crate) fn geneve(header: [u8; 8], rest: &[u8]) -> Vec<u8> {
    ipv6(UDP).frame(&udp(1, 6081, &concat(&[&header, rest])))
}

#[track_caller]
pub(crate) fn drops(frame: &[u8], reason: &'static str) {
    assert_eq!(parse(frame, &Frames::default()), Parsed::Drop(reason));
}

#[track_caller]
pub(crate) fn passes(frame: &[u8], reason: &'static str) {
    assert_eq!(parse(frame, &Frames::default()), Parsed::Pass(reason));
}

#[track_caller]
pub(crate) fn packet(frame: &[u8]) -> Packet {
    packet_of(frame, &Frames::default())
}

#[track_caller]
pub(crate) fn packet_of(frame: &[u8], frames: &Frames) -> Packet {
    match parse(frame, frames) {
        Parsed::Packet(packet) => packet,
        other => panic!("{other:?}"),
    }
}
