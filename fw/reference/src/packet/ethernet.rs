//! Ethernet frames: destination, tags, types, and the frames that pass unread.

use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::network::{Carrier, Delivery};
use super::window::Window;
use super::{ipv4, ipv6};
use crate::{Frames, Parsed};

const TAGS: [EtherType; 3] = [EtherType(0x8100), EtherType(0x88a8), EtherType(0x9100)];
/// The service access point (SAP) of SNAP, whose header may carry IP.
const SNAP: u8 = 0xaa;
/// The SAP of IP.
const IP_SAP: u8 = 0x06;

/// Reads a frame: the outermost one, or one inside a tunnel.
pub(super) fn read(frame: Window<'_>, frames: &Frames, carrier: Carrier) -> Parsed {
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
        EtherType::IPV4 => return ipv4::read(rest, delivery, zone(&tags, frames), frames, carrier),
        EtherType::IPV6 => return ipv6::read(rest, delivery, zone(&tags, frames), frames, carrier),
        EtherType::ARP => return Parsed::Pass("arp"),
        _ => {}
    }
    if is_link_local_control(header.destination()) {
        Parsed::Pass("link-local-control")
    } else if carrier == Carrier::Tunnel {
        Parsed::Drop("ethertype")
    } else if frames.bridge && is_llc(ethertype, rest, delivery) {
        Parsed::Pass("llc")
    } else if frames.ethertypes.contains(&ethertype.0) {
        Parsed::Pass("ethertype-allowed")
    } else {
        Parsed::Drop("ethertype")
    }
}

/// The zone of the VLAN ids, from the outermost on.
fn zone(tags: &[u32], frames: &Frames) -> u32 {
    if !frames.vlan_zones {
        return 0;
    }
    // A priority tag has no VLAN id, so it must not shift the id of the other tag.
    tags.iter()
        .filter(|&&vlan| vlan != 0)
        .fold(0, |zone, vlan| zone * 4096 + vlan)
}

/// Whether the destination is 01:80:c2:00:00:00 to 0f, which no bridge forwards.
fn is_link_local_control(destination: [u8; 6]) -> bool {
    destination[..5] == [0x01, 0x80, 0xc2, 0x00, 0x00] && destination[5] <= 0x0f
}

/// Whether this is an LLC frame that a bridge passes.
fn is_llc(length: EtherType, rest: Window<'_>, delivery: Delivery) -> bool {
    let Some(saps) = rest.read(2).filter(|_| length.0 < 0x0600) else {
        return false;
    };
    // The lowest bit of a SAP marks a group or a response; it is no part of the value.
    match saps[0] & 0xfe {
        IP_SAP => false,
        _ if saps[1] & 0xfe == IP_SAP => false,
        SNAP => delivery == Delivery::Group && rest.read(8).is_some_and(is_snap_of_switches),
        _ => true,
    }
}

/// Whether a SNAP header belongs to a protocol of switches, and not to an encapsulated Ethernet
/// frame or EtherType: RFC 1042, 802.1H, RFC 2684.
fn is_snap_of_switches(header: &[u8]) -> bool {
    let vendor = [header[3], header[4], header[5]];
    let kind = EtherType(u16::from_be_bytes([header[6], header[7]]));
    let network = [EtherType::IPV4, EtherType::IPV6, EtherType::ARP];
    header[..3] == [SNAP, SNAP, 0x03]
        && ![[0, 0, 0], [0, 0, 0xf8], [0, 0x80, 0xc2]].contains(&vendor)
        && !network.contains(&kind)
        && !TAGS.contains(&kind)
}
