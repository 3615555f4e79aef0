//! Decides whether a frame that came out may have come out, by docs/packets.md and the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_reference::{Fragment, Packet, Parsed};

use crate::arena::Arena;

/// Routing protocols to their groups; the table of docs/packets.md.
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

/// May a packet that policy is asked about pass? Neither end is isolated, and it goes to nobody else.
fn may_pass(packet: &Packet, frame: &[u8], arena: &Arena<'_>, end: usize) -> bool {
    let sender = sender_of(frame);
    // What the machine itself sends has not been forwarded. What it forwards with its own address may be
    // masqueraded, or forged behind an interface that nobody judges: see docs/unseen.md.
    let own = matches!(hops_of(frame), 1 | 64 | 255) || arena.name == "host" && sender.is_ipv6();
    if own && arena.unseen.contains(&sender) {
        return true;
    }
    let local = |end: &IpAddr| match end {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if arena.told && end == 1 && !local(&sender) {
        return false;
    }
    // The packet is an answer to what an error quotes; who reports it may be another.
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
    // A later fragment over IPv6 does not say what it is of.
    let unknown = matches!(packet.fragment, Fragment::Later { .. }) && packet.protocol == 0;
    let routing = unknown
        || matches!(packet.protocol, 88 | 89 | 103 | 112)
        || packet.protocol == 17 && matches!(packet.destination_port, 3784 | 3785);
    // What is sent to groups has its senders' leave.
    if to_group && (arena.frames.bridge || end == 0) {
        return is_control(packet);
    }
    // To the machine itself anybody on the link may send, and this may be of such a flow, or an error about
    // one.
    let of_machine = |end: &IpAddr| !arena.told && arena.unseen.contains(end);
    let to_machine =
        of_machine(&packet.destination) || packet.related && of_machine(&packet.source);
    !ends[..2].iter().any(local) || routing || to_machine
}

/// The IP packet in a frame.
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

/// Its TTL or hop limit.
fn hops_of(frame: &[u8]) -> u8 {
    let header = packet_of(frame);
    header[if header[0] >> 4 == 4 { 8 } else { 7 }]
}

/// Its source.
fn sender_of(frame: &[u8]) -> IpAddr {
    let header = packet_of(frame);
    match header[0] >> 4 {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(&header[12..16]).unwrap()).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(&header[8..24]).unwrap()).into(),
    }
}

/// What is wrong with a frame that came out, if anything is.
pub(crate) fn wrong(frame: &[u8], arena: &Arena<'_>, end: usize) -> Result<&'static str, String> {
    match bailey_reference::parse(frame, &arena.frames) {
        Parsed::Pass(reason) => Ok(reason),
        Parsed::Packet(packet) if may_pass(&packet, frame, arena, end) => {
            // Who is asked is no secret of a fragment without ports.
            Ok(match packet.fragment {
                Fragment::Whole => "nobody isolated",
                _ => "fragment, nobody isolated",
            })
        }
        other => Err(format!("{other:?}: {frame:02x?}")),
    }
}
