use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use crate::network::{Delivery, Place};
use crate::window::Window;
use crate::{Frames, Parsed, ipv4, ipv6};

const TAGS: [EtherType; 3] = [EtherType(0x8100), EtherType(0x88a8), EtherType(0x9100)];
/// The first address of a header that could carry IP.
const SNAP: u8 = 0xaa;
const IP_SAP: u8 = 0x06;

/// Reads a frame, outermost or of a tunnel.
pub(crate) fn read(frame: Window<'_>, frames: &Frames, place: Place) -> Parsed {
    let Some(header) = frame
        .read(14)
        .and_then(|b| Ethernet2HeaderSlice::from_slice(b).ok())
    else {
        return Parsed::Drop("eth-truncated");
    };
    let delivery = match header.destination()[0] & 1 {
        0 => Delivery::Station,
        _ => Delivery::Group,
    };
    let mut rest = frame.after(14);
    let mut ethertype = header.ether_type();
    let mut tags = Vec::new();
    while TAGS.contains(&ethertype) {
        if tags.len() == 2 {
            return Parsed::Drop("vlan");
        }
        let Some(tag) = rest
            .read(4)
            .and_then(|b| SingleVlanHeaderSlice::from_slice(b).ok())
        else {
            return Parsed::Drop("eth-truncated");
        };
        tags.push(u32::from(tag.vlan_identifier().value()));
        ethertype = tag.ether_type();
        rest = rest.after(4);
    }
    match ethertype {
        EtherType::IPV4 => return ipv4::read(rest, delivery, zone(&tags, frames), frames, place),
        EtherType::IPV6 => return ipv6::read(rest, delivery, zone(&tags, frames), frames, place),
        EtherType::ARP => return Parsed::Pass("arp"),
        _ => {}
    }
    if is_link_local_control(header.destination()) {
        Parsed::Pass("link-local-control")
    } else if place == Place::Tunnel {
        Parsed::Drop("ethertype")
    } else if frames.bridge && is_llc(ethertype, rest, delivery) {
        Parsed::Pass("llc")
    } else if frames.ethertypes.contains(&ethertype.0) {
        Parsed::Pass("ethertype-allowed")
    } else {
        Parsed::Drop("ethertype")
    }
}

fn zone(tags: &[u32], frames: &Frames) -> u32 {
    if !frames.vlan_zones {
        return 0;
    }
    // A priority tag adds nothing, so it must not shift the other's number either.
    tags.iter()
        .filter(|&&number| number != 0)
        .fold(0, |zone, number| zone * 4096 + number)
}

fn is_link_local_control(destination: [u8; 6]) -> bool {
    destination[..5] == [0x01, 0x80, 0xc2, 0x00, 0x00] && destination[5] <= 0x0f
}

fn is_llc(length: EtherType, rest: Window<'_>, delivery: Delivery) -> bool {
    let Some(saps) = rest.read(2).filter(|_| length.0 < 0x0600) else {
        return false;
    };
    // The lowest bit of a SAP says "group" or "response", not which.
    match saps[0] & 0xfe {
        IP_SAP => false,
        _ if saps[1] & 0xfe == IP_SAP => false,
        SNAP => delivery == Delivery::Group && rest.read(8).is_some_and(is_snap_of_switches),
        _ => true,
    }
}

/// Not what stands for an Ethernet frame or an ethertype: RFC 1042, 802.1H, RFC 2684.
fn is_snap_of_switches(header: &[u8]) -> bool {
    let vendor = [header[3], header[4], header[5]];
    let kind = EtherType(u16::from_be_bytes([header[6], header[7]]));
    let network = [EtherType::IPV4, EtherType::IPV6, EtherType::ARP];
    header[..3] == [SNAP, SNAP, 0x03]
        && ![[0, 0, 0], [0, 0, 0xf8], [0, 0x80, 0xc2]].contains(&vendor)
        && !network.contains(&kind)
        && !TAGS.contains(&kind)
}
