use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use crate::network::Place;
use crate::window::Window;
use crate::{Frames, Parsed, ipv4, ipv6};

const TAGS: [EtherType; 3] = [EtherType(0x8100), EtherType(0x88a8), EtherType(0x9100)];
/// The first address of a header that could carry IP.
const SNAP: u8 = 0xaa;

/// Reads a frame, outermost or of a tunnel.
pub(crate) fn read(frame: Window<'_>, frames: &Frames, place: Place) -> Parsed {
    let Some(header) = frame
        .read(14)
        .and_then(|b| Ethernet2HeaderSlice::from_slice(b).ok())
    else {
        return Parsed::Drop("eth-truncated");
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
        EtherType::IPV4 => return ipv4::read(rest, zone(&tags, frames), frames, place),
        EtherType::IPV6 => return ipv6::read(rest, zone(&tags, frames), frames, place),
        EtherType::ARP => return Parsed::Pass("arp"),
        _ => {}
    }
    if is_link_local_control(header.destination()) {
        Parsed::Pass("link-local-control")
    } else if place == Place::Tunnel {
        Parsed::Drop("ethertype")
    } else if frames.bridge && is_llc(ethertype, rest) {
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

fn is_llc(length: EtherType, rest: Window<'_>) -> bool {
    length.0 < 0x0600 && rest.read(2).is_some_and(|sap| sap[0] != SNAP)
}
