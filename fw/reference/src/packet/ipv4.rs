//! The IPv4 header and its options.

use std::net::Ipv4Addr;

use etherparse::Ipv4HeaderSlice;
use etherparse::err::ipv4::HeaderSliceError;

use super::fragment;
use super::network::{self, Carrier, Delivery, Ip};
use super::window::Window;
use crate::{Fragment, Frames, Parsed};

/// The length of a header without options, in bytes.
const FIXED: usize = 20;

/// Reads an IPv4 packet and its payload.
pub(super) fn read(
    packet: Window<'_>,
    delivery: Delivery,
    zone: u32,
    frames: &Frames,
    carrier: Carrier,
) -> Parsed {
    match header(packet, delivery) {
        Ok(ip) => network::read(&ip, zone, frames, carrier),
        Err(reason) => Parsed::Drop(reason),
    }
}

fn header(packet: Window<'_>, delivery: Delivery) -> Result<Ip<'_>, &'static str> {
    packet.read(FIXED).ok_or("ip-truncated")?;
    let header = Ipv4HeaderSlice::from_slice(packet.bytes()).map_err(|error| match error {
        HeaderSliceError::Content(_) => "ip-header",
        // The options end behind the frame. Then the total length does, too, or ends within the
        // options.
        HeaderSliceError::Len(_) => "ip-length",
    })?;
    let length = header.slice().len();
    let total = usize::from(header.total_len());
    if total < length || total > packet.len() {
        return Err("ip-length");
    }
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if is_martian(source, destination) {
        return Err("martian");
    }
    if !delivery.may_carry(destination.into()) {
        return Err("group-mac");
    }
    options(packet, length)?;

    let payload = packet.first(total).after(length);
    let offset = header.fragments_offset().byte_offset();
    let more = header.more_fragments();
    let fragment = if more || offset != 0 {
        fragment::classify(offset, more, payload.len(), length)?
    } else {
        Fragment::Whole
    };
    Ok(Ip {
        delivery,
        source: source.into(),
        destination: destination.into(),
        hops: header.ttl(),
        protocol: header.protocol(),
        fragment,
        payload,
    })
}

/// Whether an address of the packet is one that no host can use.
fn is_martian(source: Ipv4Addr, destination: Ipv4Addr) -> bool {
    let is_this_network = |address: Ipv4Addr| address.octets()[0] == 0;
    is_this_network(source) && !source.is_unspecified()
        || source.is_loopback()
        || source.is_multicast()
        || source.is_broadcast()
        || is_this_network(destination)
        || destination.is_loopback()
        || source == destination
}

/// Walks the options.
///
/// # Errors
///
/// The reason of the drop, if an option is invalid or a source route.
fn options(packet: Window<'_>, header: usize) -> Result<(), &'static str> {
    let byte = |at: usize| {
        // Only in a tunnel can options lie behind the part of the frame that is read.
        packet
            .read(at + 1)
            .map(|bytes| bytes[at])
            .ok_or("ip-truncated")
    };
    let mut at = FIXED;
    while at < header {
        match byte(at)? {
            0 => break,
            1 => at += 1,
            131 | 137 => return Err("source-route"),
            _ if at + 1 == header => return Err("ip-header"),
            _ => {
                let length = usize::from(byte(at + 1)?);
                if length < 2 || at + length > header {
                    return Err("ip-header");
                }
                at += length;
            }
        }
    }
    Ok(())
}
