use std::net::Ipv4Addr;

use etherparse::Ipv4HeaderSlice;
use etherparse::err::ipv4::HeaderSliceError;

use crate::network::{self, Delivery, Ip, Place};
use crate::window::Window;
use crate::{Fragment, Frames, Parsed, fragment};

/// The bytes of a header without options.
const FIXED: usize = 20;

/// Reads an IPv4 packet, and what follows it.
pub(crate) fn read(
    packet: Window<'_>,
    delivery: Delivery,
    zone: u32,
    frames: &Frames,
    place: Place,
) -> Parsed {
    match header(packet, delivery) {
        Ok(ip) => network::read(&ip, zone, frames, place),
        Err(reason) => Parsed::Drop(reason),
    }
}

fn header(packet: Window<'_>, delivery: Delivery) -> Result<Ip<'_>, &'static str> {
    packet.read(FIXED).ok_or("ip-truncated")?;
    let header = Ipv4HeaderSlice::from_slice(packet.bytes()).map_err(|error| match error {
        HeaderSliceError::Content(_) => "ip-header",
        // Options that are beyond the frame: the total length is, too, or ends within them.
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
    if !delivery.suits(destination.into()) {
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

fn is_martian(source: Ipv4Addr, destination: Ipv4Addr) -> bool {
    let nowhere = |address: Ipv4Addr| address.octets()[0] == 0;
    nowhere(source) && !source.is_unspecified()
        || source.is_loopback()
        || source.is_multicast()
        || source.is_broadcast()
        || nowhere(destination)
        || destination.is_loopback()
        || source == destination
}

fn options(packet: Window<'_>, header: usize) -> Result<(), &'static str> {
    let byte = |at: usize| {
        // Only in a tunnel can options lie beyond what is read of the frame.
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
