//! VXLAN and Geneve: the frame or packet inside a datagram.

use etherparse::EtherType;

use super::network::{Carrier, Delivery, Ip};
use super::window::Window;
use super::{ethernet, ipv4, ipv6};
use crate::{Frames, Parsed, Tunnel, TunnelKind};

const UDP_HEADER: usize = 8;
const ETHERNET: EtherType = EtherType(0x6558);

/// Reads the frame or packet in a tunnel's datagram.
pub(super) fn read(tunnel: &Tunnel, ip: &Ip<'_>, frames: &Frames) -> Parsed {
    if !ip.is_whole() {
        return Parsed::Drop("fragment");
    }
    if !tunnel.peers.iter().any(|peer| peer.contains(&ip.source)) {
        return Parsed::Drop("tunnel-peer");
    }
    // Layer 4 has checked that the UDP length is within the packet.
    let inner = ip.payload.read(UDP_HEADER).and_then(|header| {
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let datagram = ip.payload.first(length).after(UDP_HEADER);
        match tunnel.kind {
            TunnelKind::Vxlan => vxlan(datagram),
            TunnelKind::Geneve => geneve(datagram),
        }
    });
    // A packet without a frame has no tags; those of the outer frame do not apply.
    let zone = 0;
    match inner {
        Some((ETHERNET, frame)) => ethernet::read(frame, frames, Carrier::Tunnel),
        Some((EtherType::IPV4, packet)) => {
            ipv4::read(packet, Delivery::None, zone, frames, Carrier::Tunnel)
        }
        Some((EtherType::IPV6, packet)) => {
            ipv6::read(packet, Delivery::None, zone, frames, Carrier::Tunnel)
        }
        _ => Parsed::Drop("tunnel-header"),
    }
}

fn vxlan(datagram: Window<'_>) -> Option<(EtherType, Window<'_>)> {
    let header = datagram.read(8)?;
    (header[0] & 0x08 != 0).then(|| (ETHERNET, datagram.after(8)))
}

fn geneve(datagram: Window<'_>) -> Option<(EtherType, Window<'_>)> {
    let header = datagram.read(8)?;
    let version = header[0] >> 6;
    let control = header[1] & 0x80 != 0;
    let length = 8 + usize::from(header[0] & 0x3f) * 4;
    (version == 0 && !control && length <= datagram.len()).then(|| {
        (
            EtherType(u16::from_be_bytes([header[2], header[3]])),
            datagram.after(length),
        )
    })
}
