//! Decides whether a received frame was allowed to pass, by docs/packets.md and the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_reference::{Fragment, Packet, Parsed};

use crate::arena::Arena;

/// Whether a packet is routing control traffic to its group: the table under *Groups* in
/// docs/packets.md.
fn is_control(packet: &Packet) -> bool {
    let one_of = |groups: &[&str]| {
        let mut groups = groups.iter().map(|text| text.parse::<IpAddr>().unwrap());
        groups.any(|group| group == packet.destination)
    };
    match (packet.protocol, packet.destination_port) {
        (89, _) => one_of(&["224.0.0.5", "224.0.0.6", "ff02::5", "ff02::6"]),
        (88 | 103 | 112, _) => one_of(&[
            "224.0.0.10",
            "224.0.0.13",
            "224.0.0.18",
            "ff02::a",
            "ff02::d",
            "ff02::12",
        ]),
        _ => false,
    }
}

/// Whether policy may allow a packet: neither end is isolated, and the packet reaches no third
/// endpoint.
fn may_pass(packet: &Packet, frame: &[u8], arena: &Arena<'_>, end: usize) -> bool {
    let sender = sender_of(frame);
    // Packets of the machine itself have an initial TTL. Forwarded packets with the machine's
    // address may be masqueraded, or spoofed behind an interface without a program: see
    // docs/unseen.md.
    let own = matches!(hops_of(frame), 1 | 64 | 255) || arena.name == "host" && sender.is_ipv6();
    if own && arena.machine_addresses.contains(&sender) {
        return true;
    }
    let local = |end: &IpAddr| match end {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if arena.knows_sources && end == 1 && !local(&sender) {
        return false;
    }
    // For an ICMP error, source and destination are those of a reply to the quoted packet. The
    // sender of the error may be a third host.
    let ends = [packet.source, packet.destination, sender];
    let is_isolated = |end: &IpAddr| arena.isolated.iter().any(|net| net.contains(end));
    if ends.iter().any(is_isolated) {
        return false;
    }
    let to_group = frame[0] & 1 == 1
        || arena.broadcasts.contains(&packet.destination)
        || match packet.destination {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        };
    // A later fragment over IPv6 does not state its protocol.
    let unknown = matches!(packet.fragment, Fragment::Later { .. }) && packet.protocol == 0;
    let routing = unknown
        || matches!(packet.protocol, 88 | 89 | 103 | 112)
        || packet.protocol == 17 && matches!(packet.destination_port, 3784 | 3785);
    // Packets to groups: only control traffic passes while endpoints are isolated.
    if to_group && (arena.frames.bridge || end == 0) {
        return is_control(packet);
    }
    // Any host on the link may send to the machine itself. The packet may belong to such a flow, or
    // be an error about one.
    let of_machine = |end: &IpAddr| !arena.knows_sources && arena.machine_addresses.contains(end);
    let to_machine =
        of_machine(&packet.destination) || packet.is_icmp_error && of_machine(&packet.source);
    !ends[..2].iter().any(local) || routing || to_machine
}

/// The bytes after the Ethernet header and the VLAN tags.
fn packet_of(frame: &[u8]) -> &[u8] {
    let mut at = 12;
    while matches!(
        frame[at..at + 2],
        [0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00]
    ) {
        at += 4;
    }
    &frame[at + 2..]
}

/// TTL or hop limit of the packet in a frame.
fn hops_of(frame: &[u8]) -> u8 {
    let header = packet_of(frame);
    header[if header[0] >> 4 == 4 { 8 } else { 7 }]
}

/// Source address of the packet in a frame.
fn sender_of(frame: &[u8]) -> IpAddr {
    let header = packet_of(frame);
    match header[0] >> 4 {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(&header[12..16]).unwrap()).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(&header[8..24]).unwrap()).into(),
    }
}

/// The reason for which a received frame may pass; or the error that it should not have passed.
pub(crate) fn check_frame(
    frame: &[u8],
    arena: &Arena<'_>,
    end: usize,
) -> Result<&'static str, String> {
    match bailey_reference::parse(frame, &arena.frames) {
        Parsed::Pass(reason) => Ok(reason),
        Parsed::Packet(packet) if may_pass(&packet, frame, arena, end) => {
            // Fragments are listed apart: later ones have no ports to evaluate.
            Ok(match packet.fragment {
                Fragment::Whole => "no end isolated",
                _ => "fragment, no end isolated",
            })
        }
        other => Err(format!("{other:?}: {frame:02x?}")),
    }
}
